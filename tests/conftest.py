"""What all tests share."""

import signal

import hypothesis
import pytest

collect_ignore = ["typed_calls.py"]  # for type checkers: its wrong calls would raise

hypothesis.settings.register_profile("shoal", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("shoal")

# A shell's background job ignores SIGINT, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--whole", action="store_true", help="big matrices whole, of which a sample is tested else"
    )


def pytest_configure():
    from shoal.kernels.code.environment import jit_is_on

    if not jit_is_on():
        raise pytest.UsageError(
            "NUMBA_DISABLE_JIT is set, but the tests are of compiled kernels (those of plain "
            "Python, in test_plain_python.py, set it themselves)"
        )


@pytest.fixture(autouse=True)
def _teams_for_short_trainings(monkeypatch):
    """Threads share a net of a test as they share one that takes longer."""
    from shoal.running import calls

    monkeypatch.setattr(calls, "_WORTH_A_TEAM", 0.0)


@pytest.fixture
def whole(request):
    """Whether all of a big matrix is tested."""
    return request.config.getoption("--whole")
