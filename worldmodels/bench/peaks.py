"""What this machine can do at best: large matrix products, and copying memory.

The peaks are measured with the same library and the same number of threads as everything else, in the same run. They
are what a program reaches and not what the maker of the processor promises.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from worldmodels.bench.costs import Cost
from worldmodels.bench.measurement import Budget, timed

LARGEST = 16384  # side of a matrix
DTYPES = {"f32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
COPIED = 256 << 20  # bytes to copy, far more than the caches hold


@dataclass(frozen=True)
class Peaks:
    """In billions of operations a second (a multiplication and an addition are two), and of bytes."""

    f32_gflops: float
    bf16_gflops: float
    copy_gb_s: float  # bytes read and bytes written, both counted
    tf32_gflops: float | None = None  # of GPUs, whose convolutions may use it

    def gflops(self, precision: str) -> float:
        """The peak of "f32", "tf32" or "bf16"; ValueError for a precision that this machine lacks."""
        found = asdict(self).get(f"{precision}_gflops")
        if found is None:
            raise ValueError(f"no peak was measured of {precision!r}")
        return found


def floor_seconds(cost: Cost, peaks: Peaks, precision: str) -> tuple[float, str]:
    """The least seconds of a cost, and which of the two takes them: "products" or "copying"."""
    products = cost.operations / (1e9 * peaks.gflops(precision))
    copying = cost.bytes / (1e9 * peaks.copy_gb_s)
    return (products, "products") if products >= copying else (copying, "copying")


def measure_peaks(
    device: torch.device, budget: Budget, *, call_seconds: float = 0.05, copied: int = COPIED
) -> Peaks:
    """Measure them.

    Args:
        call_seconds: how long one product should take, which sets the size of its matrices.
        copied: bytes to copy.
    """
    tf32 = None
    if device.type == "cuda":
        tf32 = product_gflops("tf32", device, budget, call_seconds)
    return Peaks(
        product_gflops("f32", device, budget, call_seconds),
        product_gflops("bf16", device, budget, call_seconds),
        copy_gb_s(device, budget, copied),
        tf32,
    )


def product_gflops(precision: str, device: torch.device, budget: Budget, call_seconds: float = 0.05) -> float:
    """The peak of large products in "f32", "bf16", or "tf32", which only GPUs have."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        return _product_gflops(DTYPES[precision], device, budget, call_seconds)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _product_gflops(dtype: torch.dtype, device: torch.device, budget: Budget, call_seconds: float) -> float:
    side = 256
    product = _product(side, dtype, device)
    product()
    while side < LARGEST:
        began = time.perf_counter()
        product()
        took = time.perf_counter() - began
        if took >= call_seconds / 2:
            break
        growth = min(4.0, (call_seconds / took) ** (1 / 3))  # a small product says little about large ones
        side = min(LARGEST, 64 * round(max(side * growth, side + 64) / 64))
        product = _product(side, dtype, device)
        product()
    return 2 * side**3 / timed(product, budget).median / 1e9


def _product(side: int, dtype: torch.dtype, device: torch.device) -> Callable[[], None]:
    left = torch.randn(side, side, device=device).to(dtype)
    right = torch.randn(side, side, device=device).to(dtype)
    into = torch.empty_like(left)
    return _whole(lambda: torch.mm(left, right, out=into), device)


def copy_gb_s(device: torch.device, budget: Budget, copied: int = COPIED) -> float:
    """The peak of copying, bytes read and bytes written both counted."""
    source = torch.ones(copied // 4, device=device)
    into = torch.zeros_like(source)
    return 2 * copied / timed(_whole(lambda: into.copy_(source), device), budget).median / 1e9


def _whole(call: Callable[[], Tensor], device: torch.device) -> Callable[[], None]:
    def wait() -> None:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return wait
