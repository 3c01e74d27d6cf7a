"""Where to compute, as people type it."""

from __future__ import annotations

import torch

from worldmodels.errors import UserError


def choose_device(name: str) -> torch.device:
    """ "auto", "cpu" or "cuda" as a device; UserError for another name or when there is no GPU."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device must be auto, cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "--device cuda: PyTorch finds no GPU on this machine; leave --device out to use the CPU, "
            "or type --device cpu"
        )
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
