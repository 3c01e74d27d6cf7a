"""The steps of a training timed from outside: the production loop runs as it is, and ends when enough was seen."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from worldmodels.bench.measurement import Budget, Timing
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.optimise import LOG_EVERY, AdamConfig

NO_HURRY = 1e9  # seconds between two checkpoints: none is written while the clock runs

T = TypeVar("T", bound=AdamConfig)


class Enough(Exception):
    """The budget of a training is spent."""


class TrainingClock:
    """Notes when the steps of a training begin, and ends it when the budget is spent.

    On a GPU nobody waits for a step: there the clock waits for all that was begun, at every LOG_EVERY-th step, where
    the training itself reads its numbers. What it counts then are so many steps at once.
    """

    def __init__(self, budget: Budget, device: torch.device | str = "cpu") -> None:
        self.budget, self.began, self.device = budget, list[float](), torch.device(device)
        self._together = LOG_EVERY if self.device.type == "cuda" else 1  # steps

    def listen(self, training: T) -> T:
        """The same settings for so many steps as it takes; whoever asks them for a step's rate begins that step."""
        heard, rate, begun = replace(training, steps=10**6), training.rate, self.began

        def noted(step: int) -> float:
            if step == len(begun) * self._together:
                if self.device.type == "cuda":
                    torch.cuda.synchronize(self.device)
                begun.append(time.perf_counter())
                counted = len(begun) - 1 - self.budget.warm_up  # whole steps since the clock runs
                if (
                    counted >= self.budget.least
                    and begun[-1] - begun[self.budget.warm_up] >= self.budget.seconds
                ):
                    raise Enough
            return rate(0)

        object.__setattr__(heard, "rate", noted)
        return heard

    def timing(self) -> Timing:
        """Seconds of a step."""
        seconds = np.diff(self.began[self.budget.warm_up :]) / self._together
        return Timing.of(seconds.tolist())


@contextmanager
def training_ground() -> Iterator[RunFolder]:
    """A run folder that goes with the block, and nothing said on standard error meanwhile."""
    with (
        tempfile.TemporaryDirectory(prefix="worldmodels-bench-") as folder,
        redirect_stderr(io.StringIO()),
        suppress(Enough),
    ):
        yield RunFolder(Path(folder))
