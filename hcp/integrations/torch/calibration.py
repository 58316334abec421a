"""What a machine can do, measured once and kept: constants for the roofline, and times of single operations.

They are kept by what they depend on: the device, the number of threads, and PyTorch's version.
"""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import torch

from hcp.graph.errors import HcpError
from hcp.integrations.measurements import Measurements
from hcp.integrations.roofline import Constants
from hcp.integrations.torch import engines
from hcp.integrations.torch.host import to_device, to_host
from hcp.plans.cache import CacheOption, folder_of
from hcp.schedule.host import PER, HostLink

_REPEATS: Final = 9
_LAUNCHES: Final = 200
_MATRIX: Final = 512
_ELEMENTS: Final = 2**23
# Of copies beside the computation, and how many each way.
_COPIED: Final = 2**20
_COPIES: Final = 16


def constants(device: str, option: CacheOption) -> Constants:
    """A device's roofline, from the cache or measured now (a fraction of a second)."""
    return _constants(device, folder_of(option), torch.get_num_threads())


@cache
def _constants(device: str, folder: Path | None, _threads: int) -> Constants:
    store = measurements_of(device, "roofline", folder)
    found = {
        "flops": store.get("flops", lambda: _flops(device)),
        "moved_bytes": store.get("moved_bytes", lambda: _bandwidth(device)),
        "launch": store.get("launch", lambda: _launch(device)),
    }
    store.save()
    if not all(found.values()):
        raise HcpError(f"cache file {str(store.path)!r} has a constant of zero; delete it")
    return Constants(**found)


def host_link(device: str, option: CacheOption, *, overlap: bool = False) -> HostLink:
    """What moving tensors between a device and its host costs, in nanoseconds, from the cache or measured now.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        option: Where measurements are kept.
        overlap: Whether copies run beside the computation; they are measured so then, both ways at once.
    """
    return _host_link(device, folder_of(option), torch.get_num_threads(), overlap)


@cache
def _host_link(device: str, folder: Path | None, _threads: int, overlap: bool) -> HostLink:
    store = measurements_of(device, "host-link", folder)
    beside = " beside" if overlap else ""
    way = _Beside(device) if overlap else None
    out = store.get(f"offload{beside}", (lambda: way.rate("out")) if way else lambda: _rate(_offloading, device))
    back = store.get(f"fetch{beside}", (lambda: way.rate("back")) if way else lambda: _rate(_fetching, device))
    latency = store.get("latency", lambda: max(_offloading(device, 1), _fetching(device, 1)))
    store.save()
    return HostLink(max(1, round(out)), max(1, round(back)), round(latency), overlap=overlap)


@dataclass(frozen=True)
class _Beside:
    """The rates of copies both ways at once, beside products of matrices."""

    device: str

    def rate(self, way: str) -> float:
        """Bytes a second of one way, in the quickest of some runs."""
        return max(self._once()[way] for _ in range(_REPEATS))

    def _once(self) -> dict[str, float]:
        leaving = [torch.ones(_COPIED, device=self.device) for _ in range(_COPIES)]
        waiting = [to_host(tensor) for tensor in leaving]
        matrix = torch.ones(_MATRIX, _MATRIX, device=self.device)
        start = time.perf_counter_ns()
        last = {"out": [engines.send(each) for each in leaving][-1]}
        last["back"] = [engines.fetch(each, leaving[0].device) for each in waiting][-1]
        rates: dict[str, float] = {}
        while len(rates) < len(last):
            matrix @ matrix
            if torch.cuda.is_available():
                torch.cuda.current_stream().synchronize()
            for way in last.keys() - rates.keys():
                if not engines.under_way(last[way]):
                    rates[way] = 4 * _COPIED * _COPIES * PER / max(1, time.perf_counter_ns() - start)
        return rates


def measurements_of(device: str, kind: str, folder: Path | None) -> Measurements:
    """What is known of a kind of figures on this machine."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    cores, threads = os.cpu_count() or 0, torch.get_num_threads()
    return Measurements.of(kind, (device, name, cores, threads, torch.__version__), folder)


def _flops(device: str) -> float:
    matrix = torch.ones(_MATRIX, _MATRIX, device=device)
    return float(2 * _MATRIX**3 / _least(lambda: matrix @ matrix))


def _bandwidth(device: str) -> float:
    source = torch.ones(_ELEMENTS, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _least(lambda: target.copy_(source))


def _launch(device: str) -> float:
    one = torch.ones(16, device=device)

    def many() -> None:
        for _ in range(_LAUNCHES):
            torch.add(one, one)

    return _least(many) / _LAUNCHES


def _offloading(device: str, elements: int) -> float:
    tensor = torch.ones(elements, device=device)
    return _least(lambda: to_host(tensor))


def _fetching(device: str, elements: int) -> float:
    copy = to_host(torch.ones(elements, device=device))
    return _least(lambda: to_device(copy, torch.device(device)))


def _rate(nanoseconds: Callable[[str, int], float], device: str) -> float:
    """Bytes a second of a large transfer, its latency aside."""
    large, small = nanoseconds(device, _ELEMENTS), nanoseconds(device, 1)
    return 4 * _ELEMENTS * PER / max(1.0, large - small)


def _least(fn: Callable[[], object]) -> float:
    """Nanoseconds of the fastest of some runs."""
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter_ns()
        fn()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter_ns() - start)
    return float(max(1, min(times)))
