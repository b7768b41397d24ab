"""Row orders that nets are given, not drawn by their seeds: made some epochs ahead."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.lane_group import LaneGroup
from ..kernels.launching import kernels, parallel
from ..kernels.launching.entries import Slice

_MOST_EPOCHS: Final = 256  # that are made ahead: some are for nothing, where nets stop early
_MOST_BYTES: Final = 32 * 2**20
_MANY_ROWS: Final = 100_000  # whose ordering is worth starting threads
_LANE: Final = LaneGroup(np.float64, 1)

Integers = NDArray[np.int32]


class Generator(NamedTuple):
    """The state of a `RandomState`.

    Attributes
    ----------
    words : (624,) array
    position : int
        Of the word that comes next.
    """

    words: NDArray[np.uint32]
    position: int

    @classmethod
    def of(cls, random_state: Any) -> "Generator":
        """That of a RandomState with a Mersenne Twister."""
        state = random_state.get_state(legacy=False)["state"]
        return cls(np.array(state["key"], np.uint32), int(state["pos"]))

    def put_into(self, random_state: Any) -> None:
        """Set a RandomState to this state."""
        whole = random_state.get_state(legacy=False)
        whole["state"] = {"key": self.words, "pos": self.position}
        random_state.set_state(whole)


class RowOrders:
    """The row orders of some nets.

    Each epoch's is the one before it, shuffled as scikit-learn does by a RandomState; or the rows
    stay in the first order.

    Parameters
    ----------
    rows : sequence of (n,) arrays
        The rows of each order, of one number.
    generators : sequence of Generator
        One for each order; empty: they stay as they are.
    epochs : int
        The most that any net is trained for.
    threads : int
    """

    def __init__(
        self,
        rows: Sequence[Integers],
        generators: Sequence[Generator],
        epochs: int,
        threads: int,
    ) -> None:
        self.threads, self.shuffles = threads, bool(generators)
        self._rows = np.array(rows, np.int32)
        self.epochs = 1
        if self.shuffles:
            most = max(1, _MOST_BYTES // self._rows.nbytes)
            self.epochs = min(max(1, epochs), most, _MOST_EPOCHS)
            self._words = np.array([each.words for each in generators])
            self._positions = np.array([each.position for each in generators], np.int64)
            # where generators were when orders were made from an epoch on
            self._after: dict[tuple[int, int], Generator] = {}
            self._before: list[tuple[NDArray[np.uint32], NDArray[np.int64]]] = []
        self.orders = np.repeat(self._rows, self.epochs, axis=0)

    def prepare(self, epoch: int) -> int:
        """Make the orders from an epoch on, where that is to be done; the epoch to which there are
        orders then."""
        if self.shuffles and epoch // self.epochs == len(self._before):
            self._before.append((self._words.copy(), self._positions.copy()))
            self._make(self._words, self._positions, self._rows, self.orders, self.epochs)
        return (epoch // self.epochs + 1) * self.epochs

    def after(self, number: int, epochs: int) -> Generator:
        """The generator of an order once so many epochs are ordered, that were prepared."""
        if (number, epochs) not in self._after:
            self._after[number, epochs] = self._state_after(number, epochs)
        return self._after[number, epochs]

    def _state_after(self, number: int, epochs: int) -> Generator:
        whole, rest = divmod(epochs, self.epochs)
        if whole == len(self._before):  # and rest is 0
            return Generator(self._words[number], int(self._positions[number]))
        only = slice(number, number + 1)
        words, positions = self._before[whole][0][only].copy(), self._before[whole][1][only].copy()
        rows = np.zeros_like(self._rows[:1])
        if rest:
            self._make(words, positions, rows, np.empty((rest, rows.size), np.int32), rest)
        return Generator(words[0], int(positions[0]))

    def _make(
        self,
        words: NDArray[np.uint32],
        positions: NDArray[np.int64],
        rows: Integers,
        orders: Integers,
        epochs: int,
    ) -> None:
        count = len(rows)
        threads = min(self.threads, count) if orders.size > _MANY_ROWS else 1
        arguments = [
            kernels.Permutations(
                Slice(0, 0), words, positions, rows, orders, np.empty(624, np.uint32)
            )
            for _ in range(threads)
        ]
        call = kernels.PERMUTE_ROWS.bind(_LANE, arguments)
        slices = [(0, s, s + 1, 0, epochs) for s in range(count)]
        if threads == 1:
            slices = [(0, 0, count, 0, epochs)]
        parallel.launch_all([call], slices, threads)
