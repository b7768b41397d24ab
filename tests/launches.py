"""What tests change of launches, and see of them."""

from shoal.kernels.launching import parallel
from shoal.kernels.launching.entries import Kernel
from shoal.kernels.launching.slices import STOPPED
from shoal.running import scheduler


def set_seconds(monkeypatch, launch, first=None, short=None, phase=None):
    """Of a launch, of a block's first slice, of pieces that are not cut, of a phase."""
    first, short = (launch if value is None else value for value in (first, short))
    names = {"LAUNCH": launch, "FIRST_SLICE": first, "SHORT": short, "PHASE": phase}
    for name, value in names.items():
        if value is not None:
            monkeypatch.setattr(scheduler, f"_{name}", value)


def watch(monkeypatch, see):
    """Call ``see(calls, slices, control)`` after each launch."""
    launch = parallel.launch

    def launch_and_see(calls, slices, threads=1, seconds=None, control=None):
        outcome = launch(calls, slices, threads, seconds, control)
        see(calls, slices, control)
        return outcome

    monkeypatch.setattr(parallel, "launch", launch_and_see)


def stop_after(monkeypatch, is_time):
    """End the training after the launch with a slice that ends at a tile for which ``is_time``."""

    def see(calls, slices, control):
        if control is not None and any(is_time(stop) for *_, stop in slices):
            control[STOPPED] = 1

    watch(monkeypatch, see)


class Launches:
    """Counts where launches are cut."""

    def __init__(self, monkeypatch):
        self.all = self.inside_epochs = self.inside_batches = self.of_groups = 0
        watch(monkeypatch, self.see)

    def see(self, calls, slices, control):
        for call, first, last, start, stop in slices:
            arguments = calls[call].arguments[0]
            if stop == 0 or arguments.evaluating:
                continue
            task = arguments.task
            of_batch = -(-task.batch // task.tile)
            rest = -(-(task.rows % task.batch) // task.tile)
            trained = task.rows // task.batch * of_batch + rest
            validated = -(-task.validation_rows // max(1, task.validation_tile))
            tile = stop % (trained + validated)
            self.all += stop > start
            self.inside_epochs += tile > 0
            self.inside_batches += 0 < tile < trained and tile % of_batch > 0
            self.of_groups += last - first > 1 and start > 0


def forbid(monkeypatch, error):
    """Raise an error where something is about to be compiled or launched."""

    def refuse(*arguments):
        raise error

    monkeypatch.setattr(Kernel, "bind", refuse)
    monkeypatch.setattr(Kernel, "prepare", refuse)
