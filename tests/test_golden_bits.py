"""The bits of today are those of ``golden_bits.json``, whoever computes them."""

import golden_bits
import pytest
from test_lanes import choose

from shoal.inputs.settings import (
    ACTIVATIONS,
    INITS,
    LOSSES,
    OPTIMIZERS,
    OUTPUTS,
    REDUCTIONS,
    SCHEDULES,
    SETTINGS,
)

pytestmark = pytest.mark.kernels

RECORDED = golden_bits.read()
CHOICES = {
    "activation": ACTIVATIONS,
    "output": OUTPUTS,
    "loss": LOSSES,
    "init": INITS,
    "reduction": REDUCTIONS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows_in_lanes", [False, True], ids=["nets in lanes", "rows in lanes"])
@pytest.mark.parametrize("dtype", golden_bits.DTYPES)
def test_bits_are_the_recorded_ones(dtype, rows_in_lanes, threads, monkeypatch):
    choose(monkeypatch, rows_in_lanes)
    found = golden_bits.digests(RECORDED, dtype, threads)
    different = [
        f"net {k}: {found[k]}, but recorded was {net[dtype]}: {net}"
        for k, net in enumerate(RECORDED)
        if found[k] != net[dtype]
    ]
    assert not different, f"{len(different)} nets have other bits:\n" + "\n".join(different)


def test_every_setting_has_nets():
    """With another value than the default, and with each value of those that are a choice."""
    given = {name: set() for name in SETTINGS}
    for net in RECORDED:
        for name, setting in SETTINGS.items():
            value = net["settings"].get(name, setting.default)
            listed = isinstance(value, list) and name == "activation"
            given[name] |= set(value) if listed else {str(value)}
    given["dtype"] |= set(golden_bits.DTYPES)
    assert not [name for name, s in SETTINGS.items() if not given[name] - {str(s.default)}]
    for name, values in CHOICES.items():
        assert not set(values) - given[name], name
