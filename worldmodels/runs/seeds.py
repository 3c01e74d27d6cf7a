"""Named random streams: every random number of a run follows from one seed and the name of its use.

Adding a stream never changes another, and nothing depends on the order in which streams are opened:

    stream(seed, "evolution", generation, "episode", 3)
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream(seed: int, *names: str | int) -> int:
    """Seed of the stream called `names`: an integer in [0, 2**63), the same on every machine.

    Names keep their type: "1" and 1 are two streams.
    """
    # JSON keeps the parts apart ("a", "bc" is not "ab", "c"); int() because it does not know NumPy's
    # integers.
    parts = [int(seed), *(name if isinstance(name, str) else int(name) for name in names)]
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """NumPy generator of the stream called `names`."""
    return np.random.Generator(np.random.PCG64(stream(seed, *names)))


def torch_stream(seed: int, *names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """PyTorch generator of the stream called `names` on `device`; CPU and CUDA draw different numbers."""
    import torch  # here, so that rooms without torch can use the streams

    return torch.Generator(device=device).manual_seed(stream(seed, *names))
