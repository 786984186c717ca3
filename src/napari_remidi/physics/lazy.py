"""A `functools.cached_property` that threads do not wait for."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")


class _Lazy(cached_property[T]):
    def __init__(self, func: Callable[[Any], T]) -> None:
        super().__init__(func)
        self.lock = nullcontext()  # where Python 3.11 has one for all instances


lazy = _Lazy
