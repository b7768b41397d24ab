"""Calls that type checkers accept, and such that they must refuse: see test_signatures.py."""

from pathlib import Path

import numpy as np

import shoal

X = np.zeros((40, 2))
y = [0, 1] * 20
weights = [np.zeros((2, 1))]
grid = {"hidden": [4, (8, 8)], "learning_rate": [0.01, 0.1], "seed": range(3)}

model: shoal.Model = shoal.fit(X.tolist(), ["a", "b"] * 20, hidden=(8,), threads=2)
model = shoal.fit(X, y, hidden=8, learning_rate=0.1, validation=0.2, dtype="float32")
shoal.fit(X, y, hidden=[8, 8], activation=["relu", "tanh"], dropout=[0.0, 0.1, 0.1])
shoal.fit(X, y, learning_rate=np.float32(0.1), batch_size=np.int64(8), dtype=np.float64)
shoal.fit(X, y, validation=(X, y), class_weight={0: 1.0, 1: 2}, patience=None, warm_start=model)
sweep: shoal.Sweep = shoal.sweep(X, y, grid, epochs=10, batch_size=None, optimizer="adamw")
sweep = shoal.sweep(X, np.zeros(40), [{"seed": [1]}, {"seed": [2]}], threads=1, verbose=True)
sweep = shoal.sweep(X, np.zeros(40), ({"seed": seed} for seed in range(3)))
history: shoal.History = shoal.train(X, y, weights, epochs=10, learning_rate=1, activation="tanh")
outputs = model(X) + model.predict_proba(X)
model.save(Path("model"))
best: shoal.Model = shoal.load("model")
top: list[shoal.Model] = sweep.top(3) + sweep[1:]
one: shoal.Model = sweep[0]
for net in sweep:
    print(net.history.loss[-1], sweep.results["score"].max(), shoal.TUTORIAL["loss"], len(sweep))

shoal.fit(X, y, learning_rate="x")  # type: ignore
shoal.fit(X, y, learning_rat=0.1)  # type: ignore
shoal.fit(X, y, hidden=8.5)  # type: ignore
shoal.fit(X, y, optimizer="adamm")  # type: ignore
shoal.fit(X, y, validation="all")  # type: ignore
shoal.fit(X, y, batch_norm="yes")  # type: ignore
shoal.fit(X, y, warm_start=sweep)  # type: ignore
shoal.fit(X, y, progress="yes")  # type: ignore
shoal.sweep(X, y, grid, dtype="float16")  # type: ignore
shoal.sweep(X, y, grid, epochs=None)  # type: ignore
shoal.sweep(X, y, 3)  # type: ignore
shoal.train(X, y, weights)  # type: ignore
shoal.train(X, y, weights, epochs=10, hidden=4)  # type: ignore
shoal.train(X, y, weights, epochs=10, loss="squared")  # type: ignore
sweep.top("3")  # type: ignore
