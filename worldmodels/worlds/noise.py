"""Random numbers of a dream as a pure function of (dream's key, tick): no state, no order, no batch.

A dream is then the same whether it runs alone or among a thousand, and can be replayed from any tick.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from worldmodels.memory.normal import normal_quantile

_WORD = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    """A 32-bit integer hash with good avalanche: C. Wellons' lowbias32 (xor-shift and multiply)."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _WORD
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _WORD
    return x ^ (x >> 16)


def keys(seeds: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """One 32-bit key for each seed (any integers): (B,) int64."""
    wide = [seed & 0xFFFFFFFFFFFFFFFF for seed in seeds]
    low = torch.tensor([seed & _WORD for seed in wide], dtype=torch.int64, device=device)
    high = torch.tensor([seed >> 32 for seed in wide], dtype=torch.int64, device=device)
    return _mix(_mix(low) ^ high)


def uniform(keys: Tensor, tick: int | Tensor, count: int) -> Tensor:
    """Uniform numbers in the open interval (0, 1): keys (B,) int64 -> (B, count) float32.

    `tick` is one for all, or (B,) int64. A stream is read with one `count` throughout: it numbers its draws by
    tick * count.
    """
    first = tick * count if isinstance(tick, int) else (tick * count).unsqueeze(1)  # (B, 1)
    counters = torch.arange(count, device=keys.device, dtype=torch.int64) + first  # (count,) or (B, count)
    words = _mix(_mix(counters & _WORD) ^ keys.unsqueeze(1))  # (B, count)
    words = _mix((words + 0x9E3779B9) & _WORD)
    return ((words >> 9).to(torch.float32) + 0.5) * 2.0**-23


def normal(keys: Tensor, tick: int, count: int) -> Tensor:
    """Standard normal numbers: (B, count) float32."""
    return to_normal(uniform(keys, tick, count))


def to_normal(uniform: Tensor) -> Tensor:
    """Uniform numbers in (0, 1) to standard normal ones, by the inverse CDF."""
    return normal_quantile(uniform)


def fork(keys: Tensor, number: int) -> Tensor:
    """Keys of another, independent stream of the same dreams: (B,) int64, for each number >= 0."""
    return _mix((keys ^ _mix(torch.full_like(keys, number + 1))) & _WORD)
