"""Row orders that are given: those of numpy's RandomState, however far ahead they are made."""

import numpy as np
import pytest
from sklearn.utils import shuffle

from shoal.running import row_orders
from shoal.running.row_orders import Generator, RowOrders

pytestmark = pytest.mark.kernels
EPOCHS = 12


def states(seeds=(3, 4)):
    found = [np.random.RandomState(seed) for seed in seeds]
    for k, state in enumerate(found):
        state.uniform(size=17 + 700 * k)  # words that are used up before
    return found


@pytest.mark.parametrize("ahead", [1, 5, 256])
@pytest.mark.parametrize("rows", [1, 2, 3, 17, 64, 623, 624, 1437])
@pytest.mark.parametrize("threads", [1, 2])
def test_orders_are_those_of_scikit_learns_shuffle(rows, ahead, threads, monkeypatch):
    monkeypatch.setattr(row_orders, "_MOST_EPOCHS", ahead)
    monkeypatch.setattr(row_orders, "_MANY_ROWS", 0)
    generators = states()
    firsts = [np.arange(rows) + 100 * k for k in range(2)]
    orders = RowOrders(firsts, [Generator.of(each) for each in generators], EPOCHS, threads)
    expected, ends = firsts, []
    for epoch in range(EPOCHS):
        assert epoch < orders.prepare(epoch) <= epoch + ahead
        expected = [
            shuffle(order, random_state=state)
            for order, state in zip(expected, generators, strict=True)
        ]
        at = epoch % orders.epochs
        assert np.array_equal(orders.orders[[at, orders.epochs + at]], expected)
        ends.append([state.get_state()[1:3] for state in generators])
    for epoch in (0, 4, EPOCHS - 1):
        for number in range(2):
            words, position = ends[epoch][number]
            after = orders.after(number, epoch + 1)
            state = np.random.RandomState()
            after.put_into(state)
            right = np.random.RandomState()
            right.set_state(("MT19937", words, position, 0, 0.0))
            assert state.randint(1 << 30) == right.randint(1 << 30)


def test_rows_that_are_not_shuffled_stay():
    orders = RowOrders([np.array([5, 3]), np.array([1, 2])], [], 100, 1)
    assert orders.prepare(7) == 8
    assert orders.orders.tolist() == [[5, 3], [1, 2]]
