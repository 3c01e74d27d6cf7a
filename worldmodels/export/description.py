"""What the page knows of the model besides its graphs: model.json and starts.bin."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from worldmodels.play.actions import ActionRange
from worldmodels.play.hello import hello
from worldmodels.play.model import PlayModel
from worldmodels.play.wheel import Wheel
from worldmodels.worlds.starts import Starts

FORMAT = "worldmodels-export-1"
MOST_STARTS = 64  # of the run's bank: 150 kB, and people do not meet the same one twice in an hour


def exported_starts(starts: Starts, openings: float = 0.0) -> Starts:
    """The part of the bank that goes with the page: moments of one kind, evenly spaced.

    `openings` is the model's share of dreams that begin where episodes do, 0 or 1. With 0 they are later moments, and
    openings where there are no others.
    """
    later = openings < 1 and len(starts) > starts.openings
    first, last = (starts.openings, len(starts)) if later else (0, starts.openings)
    count = min(MOST_STARTS, last - first)
    rows = first + (np.arange(count) * (last - first)) // count
    at = torch.from_numpy(rows).to(starts.mu.device)
    parts = (part[at] for part in (starts.mu, starts.logvar, starts.h, starts.c))
    return Starts(*parts, openings=0 if later else count)


def starts_file(starts: Starts) -> bytes:
    """mu and logvar (S, Z), h and c (S, N), float32 in little endian."""
    parts = (starts.mu, starts.logvar, starts.h, starts.c)
    return b"".join(part.cpu().numpy().astype("<f4").tobytes() for part in parts)


def describe(model: PlayModel, starts: Starts, files: dict[str, int]) -> dict[str, Any]:
    """model.json.

    Args:
        starts: those in the page. files: the size in bytes of what the page fetches, by its path in the site.
    """
    actions = ActionRange(model.spec)
    greeting = hello(model, "here", Wheel(model)) | {
        "screens": ["dream"],
        "recording": {"formats": ["gif"], "seconds": 60},
    }
    return {
        "format": FORMAT,
        "hello": greeting,
        "hash": model.memory_hash[:16],  # a link to a moment says which model it belongs to
        "start_counts": [starts.openings, len(starts) - starts.openings],
        "hidden_size": model.memory.config.hidden_size,
        "action_low": list(actions.low),  # in hundredths
        "action_high": list(actions.high),
        "controllers": [
            {
                "name": driver.name,
                "features": driver.config.features,
                "kinds": list(driver.config.action_kinds),
                "bias": driver.config.bias,
                "parameters": _short(driver.parameters.cpu().numpy()),
            }
            for driver in model.controllers
        ],
        "files": files,
    }


def _short(numbers: np.ndarray) -> list[float]:
    """float32 numbers by the fewest digits that tell them apart."""
    return [float(str(number)) for number in numbers.astype(np.float32)]
