"""How work is spread over a machine's cores."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

from napari_remidi.physics.devices import CORES, at_once, one_thread, workers
from napari_remidi.physics.lazy import lazy

CPU = torch.device("cpu")


def test_results_come_in_the_order_of_their_pieces() -> None:
    met = threading.Barrier(min(CORES, 2), timeout=30)

    def squared(x: int) -> int:
        if x < min(CORES, 2):
            met.wait()  # the first ones are worked on together, or nobody comes on
        return x * x

    with workers(CPU) as each:
        assert list(each(squared, range(20))) == [x * x for x in range(20)]


def test_calls_are_made_at_once_and_return_in_their_order() -> None:
    met = threading.Barrier(min(CORES, 2), timeout=30)

    def after_all(value: int) -> int:
        met.wait()
        return value

    assert at_once(CPU, *(partial(after_all, value) for value in range(min(CORES, 2)))) == [0, 1][:CORES]


def test_a_failure_is_raised_and_what_has_not_begun_is_dropped() -> None:
    begun = []

    def failing(x: int) -> int:
        begun.append(x)
        if x == 0:
            raise ValueError("no")
        threading.Event().wait(0.05)
        return x

    with pytest.raises(ValueError, match="no"), workers(CPU) as each:
        list(each(failing, range(1000)))
    assert len(begun) < 1000


def test_one_thread_ends_where_it_began() -> None:
    before = torch.get_num_threads()
    seen = []

    def failing() -> None:
        with one_thread():
            seen.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert seen == [1]
    assert torch.get_num_threads() == before


def test_threads_make_lazy_values_of_different_instances_at_once() -> None:
    class Slow:
        @lazy
        def value(self) -> int:
            meeting.wait(timeout=10)  # until the other thread is here, too
            return 1

    meeting = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda slow: slow.value, [Slow(), Slow()])) == [1, 1]


def test_a_lazy_value_is_made_once() -> None:
    class Counted:
        made = 0

        @lazy
        def value(self) -> int:
            self.made += 1
            return self.made

    counted = Counted()
    assert (counted.value, counted.value) == (1, 1)
