"""Pictures of a sweep: functions that take a `Sweep` and return the matplotlib Axes."""

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .inputs.checks import show
from .inputs.floating_point import without_floating_point_errors
from .model import Model
from .results import Sweep

Axes: TypeAlias = Any  # matplotlib.axes.Axes; matplotlib is imported where it is used

# Okabe and Ito's colours, told apart with any colour vision; black and yellow are left out.
_CATEGORIES: Final = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
_MOST_VALUES: Final = 12  # colours or columns that a reader can tell apart
_MOST_LINES: Final = 2_000
_INK: Final = "#333333"


class _Share(NamedTuple):
    """The nets with one value of a setting."""

    label: str
    colour: Any
    nets: NDArray[np.intp]


def _axes(sweep: Sweep, ax: Axes | None) -> Axes:
    if not isinstance(sweep, Sweep):
        raise TypeError(f"sweep = {show(sweep)} must be a Sweep")
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(
            'plots need matplotlib, which cannot be imported: pip install "shoal[plot]"'
        ) from None
    return pyplot.subplots(layout="constrained")[1]


def _word(value: Any) -> str:
    """Short name of a setting's value, as it stands on an axis."""
    if isinstance(value, tuple):
        return "-".join(map(_word, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shares(sweep: Sweep, name: str, setting: str) -> list[_Share]:
    """Nets by the values of a varied setting: numbers ascending, else in the order of the grid."""
    varied = sweep.varied
    if setting not in varied:
        raise ValueError(f"{name} = {setting!r} must be a varied setting: {', '.join(varied)}")
    column = sweep.column(setting).tolist()
    values = list(dict.fromkeys(column))
    if len(values) > _MOST_VALUES:
        raise ValueError(
            f"{name} = {setting!r} has {len(values)} values in this sweep, but must have at most "
            f"{_MOST_VALUES}, to be told apart"
        )
    ordered = all(isinstance(value, int | float) for value in values)
    if ordered or len(values) > len(_CATEGORIES):
        from matplotlib import colormaps

        colours: Any = colormaps["viridis"](np.linspace(0, 0.88, len(values)))
    else:
        colours = _CATEGORIES
    at: dict[Any, list[int]] = {value: [] for value in (sorted(values) if ordered else values)}
    for i, value in enumerate(column):
        at[value].append(i)
    return [
        _Share(_word(value), colour, np.array(nets))
        for (value, nets), colour in zip(at.items(), colours, strict=False)
    ]


def _legend(ax: Axes, title: str, shares: list[_Share]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=s.colour, linewidth=3, label=s.label) for s in shares]
    ax.legend(handles=lines, title=title.replace("_", " "), frameon=False)


def _median(nets: list[Model], what: str) -> NDArray[Any]:
    """Median of a column of the nets' histories, NaN where it is a net's that diverged.

    Such a net counts as the worst from there on; one that was stopped counts no more.
    """
    worst = -np.inf if what == "score" else np.inf
    rows = [getattr(net.history, what).astype(float) for net in nets]
    ends = [worst if net.status == "diverged" else np.nan for net in nets]
    filled = np.array([np.where(np.isnan(r), e, r) for r, e in zip(rows, ends, strict=True)])
    middle = np.full(filled.shape[1], np.nan)
    known = ~np.isnan(filled).all(axis=0)
    middle[known] = np.nanmedian(filled[:, known], axis=0)
    return np.where(np.isfinite(middle), middle, np.nan)


# What `plot_losses` draws, and its axis' label
_CURVES: Final = {
    "loss": "training loss",
    "val_loss": "validation loss",
    "score": "score",
    "learning_rate": "learning rate",
}


@without_floating_point_errors
def plot_losses(
    sweep: Sweep, *, what: str = "loss", by: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the loss of each net over its epochs, and the median of each colour.

    Parameters
    ----------
    sweep : Sweep
        Of more than 2,000 nets, 2,000 evenly spaced ones are drawn.
    what : str
        A column of the nets' histories: loss (of training), val_loss, score or learning_rate.
    by : str, optional
        The varied setting that colours stand for.
    ax : Axes, optional
        Where to draw; None: a new figure.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np, shoal
    >>> from shoal.plots import plot_losses
    >>> grid = {"learning_rate": [0.01, 0.1], "seed": range(8)}
    >>> sweep = shoal.sweep(np.eye(3), [0.0, 1.0, 2.0], grid, hidden=4, epochs=20)
    >>> plot_losses(sweep, by="learning_rate").get_xlabel()
    'epoch'
    """
    if what not in _CURVES:
        raise ValueError(f"what = {show(what)} must be one of {', '.join(_CURVES)}")
    ax = _axes(sweep, ax)
    from matplotlib.collections import LineCollection

    count = min(len(sweep), _MOST_LINES)
    drawn = np.unique(np.linspace(0, len(sweep) - 1, count).astype(np.intp))
    models = {int(i): sweep[int(i)] for i in drawn}
    shares = _shares(sweep, "by", by) if by else [_Share("", _CATEGORIES[0], drawn)]
    thin = float(np.clip(40 / count, 0.08, 0.6))
    values = np.concatenate([getattr(model.history, what) for model in models.values()])
    if what == "val_loss" and np.isnan(values).all():
        raise ValueError("what = 'val_loss' needs a sweep with validation rows, but it had none")
    for share in shares:
        nets = [models[i] for i in share.nets.tolist() if i in models]
        lines = [np.column_stack((net.history.epoch, getattr(net.history, what))) for net in nets]
        ax.add_collection(LineCollection(lines, colors=[share.colour], alpha=thin, linewidths=0.7))
        # nets that were recorded at the same epochs have a median
        for epochs in {n.history.epoch.tobytes(): n.history.epoch for n in nets}.values():
            same = [net for net in nets if np.array_equal(net.history.epoch, epochs)]
            median = _median(same, what)
            ax.plot(epochs, median, color="white", linewidth=4, zorder=3)
            ax.plot(epochs, median, color=share.colour, lw=2.2, zorder=4)
    if what != "score" and (values > 0).any():
        ax.set_yscale("log")
    ax.autoscale_view()
    ax.margins(x=0.01)
    ax.set_xlabel("epoch")
    ax.set_ylabel(_CURVES[what])
    if by:
        _legend(ax, by, shares)
    return ax


@without_floating_point_errors
def plot_scores(sweep: Sweep, x: str, *, by: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the score of each net as a dot, in columns, and the median of each column as a bar.

    Parameters
    ----------
    sweep : Sweep
        The nets.
    x : str
        The varied setting that columns stand for.
    by : str, optional
        Another one, which colours stand for.
    ax : Axes, optional
        Where to draw; None: a new figure.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np, shoal
    >>> from shoal.plots import plot_scores
    >>> grid = {"hidden": [2, 4, 8], "learning_rate": [0.01, 0.1], "seed": range(8)}
    >>> sweep = shoal.sweep(np.eye(3), [0.0, 1.0, 2.0], grid, epochs=20)
    >>> plot_scores(sweep, "hidden", by="learning_rate").get_xlabel()
    'hidden'
    """
    ax = _axes(sweep, ax)
    columns = _shares(sweep, "x", x)
    every = np.arange(len(sweep))
    shares = _shares(sweep, "by", by) if by else [_Share("", _CATEGORIES[0], every)]
    scores = sweep.results["score"]
    width = 0.8 / len(shares)
    for c, column in enumerate(columns):
        for k, share in enumerate(shares):
            nets = np.intersect1d(column.nets, share.nets)
            nets = nets[np.isfinite(scores[nets])]
            if not len(nets):
                continue
            middle = c + (k - (len(shares) - 1) / 2) * width
            # multiples of the golden ratio spread the dots evenly, the same way each time
            aside = (np.arange(len(nets)) * 0.6180339887 % 1 - 0.5) * width * 0.7
            ax.scatter(middle + aside, scores[nets], 7, [share.colour], alpha=0.45, linewidths=0)
            median = float(np.median(scores[nets]))
            ends = [middle - 0.42 * width, middle + 0.42 * width]
            ax.plot(ends, [median, median], color=_INK, linewidth=1.6, solid_capstyle="butt")
    ax.set_xticks(range(len(columns)), [column.label for column in columns])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(x.replace("_", " "))
    ax.set_ylabel("score")
    if by:
        _legend(ax, by, shares)
    return ax
