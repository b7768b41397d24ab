"""scikit-learn's own tests of its nets, and of what fits estimators in parallel, by Shoal.

All of it by ``pytest tests/test_sklearn_own_tests.py --whole``.
"""

import os
import re
import subprocess
import sys

import pytest

# pytest plugins: how scikit-learn's tests come to Shoal
PATCHED = "import shoal.sklearn\n\nshoal.sklearn.patch()\n"
IMPORTED = """
import sklearn.neural_network

import shoal.sklearn

sklearn.neural_network.MLPClassifier = shoal.sklearn.MLPClassifier
sklearn.neural_network.MLPRegressor = shoal.sklearn.MLPRegressor
"""
FUSED = """
import pytest

import shoal.sklearn


@pytest.fixture(autouse=True)
def _in_one_sweep():
    with shoal.sklearn.fused():
        yield
"""
PARALLEL = [
    "model_selection.tests.test_search", "model_selection.tests.test_successive_halving",
    "model_selection.tests.test_validation", "ensemble.tests.test_bagging",
    "ensemble.tests.test_voting", "ensemble.tests.test_stacking", "tests.test_multiclass",
    "tests.test_multioutput", "tests.test_calibration", "feature_selection.tests.test_rfe",
    "feature_selection.tests.test_sequential",
]  # fmt: skip
# They ask the call stack who has called whom, and fail with joblib's own threads too; the last one
# counts the jobs that joblib is told of.
BY_CALL_STACK = {
    "test_validation_functions_routing",
    "test_learning_curve_exploit_incremental_learning_routing",
    "test_multi_metric_search_forwards_metadata",
    "test_metadata_routing_with_dynamic_method_selection",
    "test_metadata_routing_for_voting_estimators",
    "test_metadata_routing_for_stacking_estimators",
    "test_multi_output_classification_partial_fit_parallelism",
}


def outcome(plugin, modules, folder):
    """(number of tests passed, names of those that failed) of scikit-learn's test modules."""
    (folder / "shoal_plugin.py").write_text(plugin)
    (folder / "pytest.ini").write_text("[pytest]\n")
    names = [f"sklearn.{module}" for module in modules]
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "shoal_plugin", "--pyargs"]
    where = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-W", "ignore", "-c", str(folder / "pytest.ini"),
         *names],
        capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": where},
    )  # fmt: skip
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout[-3000:] + done.stderr[-3000:]
    failed = re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
    return int(passed.group(1)), failed


@pytest.mark.parametrize("plugin", [PATCHED, IMPORTED], ids=["patched", "imported"])
def test_scikit_learns_tests_of_its_nets_pass(plugin, whole, tmp_path):
    if plugin is IMPORTED and not whole:
        pytest.skip("as patched, but for the import: with --whole")
    passed, failed = outcome(plugin, ["neural_network.tests.test_mlp"], tmp_path)
    assert not failed and passed >= 50


def test_scikit_learns_tests_of_what_runs_in_parallel_pass_in_one_sweep(whole, tmp_path):
    modules = PARALLEL if whole else PARALLEL[1:2]
    passed, failed = outcome(PATCHED + FUSED, modules, tmp_path)
    assert set(failed) <= BY_CALL_STACK and passed > 10 * len(modules)
