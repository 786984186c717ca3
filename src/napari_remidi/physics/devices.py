"""Where the arithmetic runs: one name in, one torch device out, and one sentence when its memory is full."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from napari_remidi.errors import InputError, OutOfMemory

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
MOST_WORKERS = min(CORES, 8)
# M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD of glibc's malloc.h: sizes up to which memory is kept, bytes
MALLOC_OPTIONS = {-3: 2**25, -1: 2**28, -2: 2**26}
DEVICES = ("auto", "cuda", "mps", "cpu")


def choose_device(name: str = "auto") -> torch.device:
    """Return the torch device for a name of `DEVICES`; ``auto`` takes cuda, then mps, then cpu.

    Raises
    ------
    InputError
        For an unknown name, or a device that this machine does not have.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in DEVICES[1:] if present[kind]))
    kind = name.split(":")[0]
    if kind not in present:
        raise InputError(f"device {name!r} is unknown; choose one of {', '.join(DEVICES)}")
    if not present[kind]:
        raise InputError(f"device {name!r} is not available on this machine; choose 'auto' or 'cpu'")
    return torch.device(name)


def algebra_device(device: torch.device) -> torch.device:
    """Return the device for float64 algebra: the same one, or the CPU where it has no float64 (mps)."""
    return torch.device("cpu") if device.type == "mps" else device


@contextmanager
def memory_guard(device: torch.device, what: str) -> Iterator[None]:
    """Turn torch's out-of-memory RuntimeErrors into `OutOfMemory` with a remedy."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(device, what) from error
    except RuntimeError as error:
        if "out of memory" in str(error) or "can't allocate memory" in str(error):
            raise _out_of_memory(device, what) from error
        raise


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next use, where it is glibc.

    It gives arrays of more than 128 kB back to the system at once, and takes them from there again, page by page: a
    fifth of the time of an inversion.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in MALLOC_OPTIONS.items():
            mallopt(option, value)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let every operation run on one thread of the CPU: on small matrices several are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, "blas"):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def workers(device: torch.device) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` that works on several pieces at once where the device is the CPU, a thread for each core.

    Results come in the order of the pieces. Leaving the context drops what has not begun.
    """
    if device.type != "cpu" or MOST_WORKERS == 1:
        yield map
        return
    pool = ThreadPoolExecutor(MOST_WORKERS)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def at_once(device: torch.device, *calls: Callable[[], Any]) -> list[Any]:
    """What several calls return, made side by side by `workers`."""
    with workers(device) as each:
        return list(each(lambda call: call(), calls))


def _out_of_memory(device: torch.device, what: str) -> OutOfMemory:
    remedy = "use fewer modes or measurements" if device.type == "cpu" else "choose device 'cpu' or use fewer modes"
    return OutOfMemory(f"{device} ran out of memory while {what}: {remedy}")


def free_memory(device: torch.device) -> int:
    """Bytes that a device has left."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # neither macOS nor Windows says
        return 8 * 2**30
