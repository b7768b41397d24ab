"""Digits, by scikit-learn alone: a search over nets, and what the best one comes to.

    python examples/scikit_learn_search.py
    python -m shoal.sklearn examples/scikit_learn_search.py

print the same figures; the second one trains the nets of the search as one sweep.
"""

import time
import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.simplefilter("ignore", ConvergenceWarning)  # 20 epochs are few

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
net = make_pipeline(StandardScaler(), MLPClassifier(max_iter=20, batch_size=32, random_state=0))
search = GridSearchCV(
    net,
    {
        "mlpclassifier__hidden_layer_sizes": [(16,), (32,), (32, 16)],
        "mlpclassifier__alpha": [1e-4, 1e-2],
        "mlpclassifier__learning_rate_init": [1e-3, 1e-2],
    },
)

start = time.perf_counter()
search.fit(X_train, y_train)
seconds = time.perf_counter() - start

results = search.cv_results_
rows = zip(results["params"], results["mean_test_score"], results["rank_test_score"], strict=True)
for settings, score, rank in rows:
    names = {name.removeprefix("mlpclassifier__"): value for name, value in settings.items()}
    print(f"{rank:2}  {score:.6f}  {names}")
print("of the test rows", f"{search.score(X_test, y_test):.6f}")
print("loss of the last epoch", f"{search.best_estimator_[-1].loss_:.9f}")
print(f"{seconds:.1f} s")
