"""A sweep is columns: each setting's distinct values, and for each net which of them it has."""

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .checks import is_sequence, show
from .settings import SETTINGS, check_together, find, resolve

MOST_NETS: Final = 10_000_000  # more is a mistake in the grid, better said than run out of memory
_ONE_A_SWEEP: Final = ("validation", "record_every", "dtype")

# What check_together tells apart, so that a random search is checked once a case, not once a net.
# (Of learning_rate and min_learning_rate it is which one is larger.)
_INTERACT: Final[Mapping[str, Callable[[Any], Any]]] = {
    "hidden": len,
    "activation": lambda value: None if isinstance(value, str) else len(value),
    "dropout": lambda value: len(value) if isinstance(value, tuple) else None,
    "loss": str,
    "output": str,
    "optimizer": str,
    "schedule": str,
    "warmup_epochs": bool,
    "weight_decay": bool,
    "momentum": bool,
    "nesterov": bool,
}


@dataclass(frozen=True, eq=False)
class Grid:
    """The nets of a sweep as columns.

    Attributes
    ----------
    varied : tuple of str
        The settings that the grid names, in the order met.
    candidates : dict
        For every setting the list of its distinct checked values; of one that does not vary,
        the one value.
    index : dict
        For each varied setting an int32 array: each net's position in `candidates`.
    nets : int
        How many nets there are.
    """

    varied: tuple[str, ...]
    candidates: dict[str, Sequence[Any]]
    index: dict[str, NDArray[np.int32]]
    nets: int

    def __len__(self) -> int:
        return self.nets

    def column(self, name: str) -> NDArray[Any]:
        """Return the values of one setting, a row a net.

        The array is of floats, ints (seeds uint64, others int64), bools or strings where all
        values are such, else of objects.

        Examples
        --------
        >>> expand({"learning_rate": [0.1, 1], "seed": range(2)}, {}).column("learning_rate")
        array([0.1, 0.1, 1. , 1. ])
        """
        values = _array(name, self.candidates[name])
        return values[self.index[name]] if name in self.index else np.repeat(values, self.nets)

    def settings(self, i: int) -> dict[str, Any]:
        """Return every setting of net `i`.

        Examples
        --------
        >>> expand({"hidden": [4, (8, 8)]}, {"epochs": 5}).settings(1)["hidden"]
        (8, 8)
        """
        i = range(self.nets)[i]  # an IndexError where there is no such net
        return {
            name: values[self.index[name][i] if name in self.index else 0]
            for name, values in self.candidates.items()
        }

    def coarser(self, cases: Mapping[str, Callable[[Any], Any]]) -> "Grid":
        """Return the grid of the settings in `cases`, each with ``case(value)`` for its value.

        Examples
        --------
        >>> grid = expand({"l2": [0.0, 0.1, 0.2], "seed": [1, 2]}, {}).coarser({"l2": bool})
        >>> grid.candidates, len(grid.groups(["l2"])[0])
        ({'l2': [False, True]}, 2)
        """
        candidates: dict[str, Sequence[Any]] = {}
        index = {}
        for name, case in cases.items():
            positions: dict[Any, int] = {}
            of_value = [
                positions.setdefault(case(v), len(positions)) for v in self.candidates[name]
            ]
            candidates[name] = list(positions)
            if name in self.index:
                index[name] = np.array(of_value, np.int32)[self.index[name]]
        return Grid(tuple(index), candidates, index, self.nets)

    def groups(self, names: Iterable[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Sort the nets into groups that agree in the settings `names`.

        Returns
        -------
        first : array
            The first net of each group.
        group : array of length N
            The group of each net.

        Examples
        --------
        >>> grid = expand({"seed": range(3), "hidden": [4, 8]}, {})
        >>> first, group = grid.groups(["hidden"])
        >>> group
        array([0, 1, 0, 1, 0, 1])
        """
        code, codes = np.zeros(self.nets, np.int64), 1
        varied = [name for name in names if name in self.index]
        if not varied or self.nets == 1:
            return np.zeros(1, np.intp), np.zeros(self.nets, np.intp)
        for name in varied:
            if codes * len(self.candidates[name]) > 2**62:
                code = np.unique(code, return_inverse=True)[1]
                codes = self.nets
            code = code * len(self.candidates[name]) + self.index[name]
            codes *= len(self.candidates[name])
        _, first, group = np.unique(code, return_index=True, return_inverse=True)
        return first, group


def expand(
    grid: Mapping[str, Sequence[Any]]
    | Sequence[Mapping[str, Sequence[Any]]]
    | Iterable[Mapping[str, Any]],
    fixed: Mapping[str, Any],
) -> Grid:
    """Return the nets of a sweep, every setting checked.

    Parameters
    ----------
    grid : dict, list of dicts, or iterable of dicts
        A dict of lists of candidates stands for all their combinations, the last key varying
        fastest; a list of such dicts for one after the other. Any other iterable of dicts, such
        as a generator, or a list with a value that is no list, has one dict a net.
    fixed : mapping
        The settings that all nets share.

    Returns
    -------
    Grid

    Examples
    --------
    >>> grid = expand({"hidden": [4, 8], "seed": range(3)}, {"epochs": 10})
    >>> len(grid), grid.varied, grid.column("seed")
    (6, ('hidden', 'seed'), array([0, 1, 2, 0, 1, 2], dtype=uint64))
    >>> len(expand(({"seed": seed} for seed in (3, 1, 2)), {}))
    3
    """
    shared = resolve(fixed)
    scalar = isinstance(grid, np.ndarray) and grid.ndim == 0
    if isinstance(grid, str) or scalar or not isinstance(grid, Iterable):
        raise TypeError(f"grid = {show(grid)} must be a dict of lists, or an iterable of dicts")
    columns = _Columns(fixed)
    if isinstance(grid, Mapping):
        columns.add_grids([grid], ["grid"])
    elif isinstance(grid, list | tuple) and all(map(_is_grid, grid)):
        columns.add_grids(grid, [f"grid[{i}]" for i in range(len(grid))])
    else:
        columns.add_nets(grid)
    if columns.nets == 0:
        raise ValueError("grid = [] must hold at least one net")
    values, index = columns.finish()
    candidates = {name: values.get(name, [shared[name]]) for name in SETTINGS}
    result = Grid(tuple(index), candidates, index, columns.nets)
    for i in _cases(result):
        check_together(result.settings(i))
    return result


def _cases(grid: Grid) -> NDArray[np.intp]:
    """Return the first net of each case that check_together tells apart, ascending."""
    if grid.nets == 1:
        return np.zeros(1, np.intp)
    cases = grid.coarser(_INTERACT)
    ends_higher = grid.column("min_learning_rate") > grid.column("learning_rate")
    cases.candidates["min_learning_rate"] = [False, True]
    cases.index["min_learning_rate"] = ends_higher.astype(np.int32)
    return np.sort(cases.groups(cases.index)[0])


class _Columns:
    """Gathers the nets of one or more grids; -1 in an index stands for the setting's default."""

    def __init__(self, fixed: Mapping[str, Any]) -> None:
        self.fixed = fixed
        self.nets = 0
        # a setting's checked values, numbered; a range of seeds as it is
        self.positions: dict[str, dict[Any, int] | range] = {}
        self.index: dict[str, list[NDArray[np.int32]]] = {}

    def add_grids(self, grids: Sequence[Mapping[str, Sequence[Any]]], names: list[str]) -> None:
        """Add all combinations of each of the grids; `names` is what errors call them."""
        for grid, name in zip(grids, names, strict=True):
            if not grid:
                raise ValueError(f"{name} = {{}} must name a setting to vary")
            for setting, values in grid.items():
                self._check_name(setting, values)
                if not is_sequence(values):
                    raise TypeError(
                        f"{setting} = {show(values)} must be a list of candidates "
                        "(a list of one for one value)"
                    )
        sizes = [[_length(values) for values in grid.values()] for grid in grids]
        if sum(map(math.prod, sizes)) > MOST_NETS:
            raise ValueError(
                f"grid = {show(grids[0] if len(grids) == 1 else grids)} must make at most "
                f"{MOST_NETS} nets, not {sum(map(math.prod, sizes))}"
            )
        for grid, size in zip(grids, sizes, strict=True):
            if 0 in size:
                setting = list(grid)[size.index(0)]
                raise ValueError(f"{setting} = [] must list at least one candidate")
            part, repeat, nets = {}, math.prod(size), math.prod(size)
            for setting, values in grid.items():
                if not isinstance(values, Sequence):
                    values = np.asarray(values)
                    if values.dtype.kind in "biufU":
                        values = values.tolist()  # Python's numbers are checked faster than numpy's
                positions = self._positions(setting, values)
                repeat //= len(positions)
                part[setting] = np.resize(np.repeat(positions, repeat), nets)
            self._add(part, nets)

    def add_nets(self, nets: Iterable[Mapping[str, Any]]) -> None:
        """Add one net for each dict of settings."""
        part: dict[str, array[int]] = {}
        i = -1
        for i, net in enumerate(nets):
            if i == MOST_NETS:
                raise ValueError(f"grid = {show(nets)} must make at most {MOST_NETS} nets")
            if not isinstance(net, Mapping):
                raise TypeError(f"grid[{i}] = {show(net)} must be a dict of settings")
            for name, value in net.items():
                if name not in part:
                    self._check_name(name, value)
                    part[name] = array("i", [-1]) * i
                try:
                    part[name].append(self._slot(name, value))
                except (TypeError, ValueError) as error:
                    raise type(error)(f"grid[{i}] is the settings of one net: {error}") from None
            for column in part.values():
                if len(column) == i:
                    column.append(-1)
        self._add({name: np.array(column, np.int32) for name, column in part.items()}, i + 1)

    def finish(self) -> tuple[dict[str, Sequence[Any]], dict[str, NDArray[np.int32]]]:
        """Return the candidates and the index of each varied setting."""
        index = {name: np.concatenate(parts) for name, parts in self.index.items()}
        for name, column in index.items():
            if (absent := column < 0).any():
                column[absent] = self._slot(name, SETTINGS[name].default)
        return {name: _candidates(self.positions[name]) for name in index}, index

    def _check_name(self, name: str, value: Any) -> None:
        find(name, value)
        if name in _ONE_A_SWEEP:
            raise ValueError(f"{name} = {show(value)} must not be in grid: a sweep has one {name}")
        if name in self.fixed:
            raise TypeError(
                f"{name} = {show(value)} is in grid, and {name} = {show(self.fixed[name])} in the "
                "keyword settings: give it in one of them"
            )

    def _positions(self, name: str, values: Sequence[Any]) -> NDArray[np.int32]:
        """Number all values."""
        if name in _SEEDS and name not in self.positions and _is_range(values, *_SEEDS[name]):
            self.positions[name] = values  # type: ignore[assignment]
            return np.arange(len(values), dtype=np.int32)
        return np.array([self._slot(name, value) for value in values], np.int32)

    def _slot(self, name: str, value: Any) -> int:
        positions = self.positions.setdefault(name, {})
        if isinstance(positions, range):
            self.positions[name] = positions = {seed: k for k, seed in enumerate(positions)}
        return positions.setdefault(SETTINGS[name].check(value), len(positions))

    def _add(self, part: dict[str, NDArray[np.int32]], nets: int) -> None:
        for name in part:
            self.index.setdefault(name, [np.full(self.nets, -1, np.int32)])
        for name, parts in self.index.items():
            parts.append(part[name] if name in part else np.full(nets, -1, np.int32))
        self.nets += nets


# Of a million seeds no Python number need be made: that took 1 us each.
_SEEDS = {"seed": (0, 2**64), "shuffle_seed": (0, 2**64)}


def _is_range(values: Sequence[Any], low: int, high: int) -> bool:
    """Whether values are a range, ascending, of numbers from low to high - 1."""
    return isinstance(values, range) and values.step > 0 and values[0] >= low and values[-1] < high


def _candidates(positions: Mapping[Any, int] | range) -> Sequence[Any]:
    return positions if isinstance(positions, range) else list(positions)


def _is_grid(grid: object) -> bool:
    return isinstance(grid, Mapping) and all(map(is_sequence, grid.values()))


def _length(values: Sequence[Any]) -> int:
    try:
        return len(values)
    except OverflowError:  # a range of more than an index can hold
        return MOST_NETS + 1


def _array(name: str, values: Sequence[Any]) -> NDArray[Any]:
    if isinstance(values, range):
        steps = np.arange(len(values), dtype=np.uint64)
        return np.uint64(values.start) + np.uint64(values.step) * steps
    kinds = set(map(type, values))
    if kinds == {int}:
        return np.array(values, np.uint64 if name in ("seed", "shuffle_seed") else np.int64)
    if len(kinds) == 1 and kinds <= {float, bool, str}:
        return np.array(values)
    result = np.empty(len(values), object)
    for i, value in enumerate(values):  # element by element: a tuple is one value
        result[i] = value
    return result
