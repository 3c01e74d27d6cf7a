"""The exploitation meter: what the search's mean is worth in fresh dreams and in the actual game, while C evolves.

The search never hears of it. The two curves part where C begins to live on what M gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType

import numpy as np

from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import MetricsLog, read_metrics

Meter = Callable[[np.ndarray], Mapping[str, float]]
"""Parameters (n,) float32 -> numbers, the same each time; "actual" is the mean return in the actual game."""


class MeterLog:
    """Readings of one evolution, every so many generations and after the last, in metrics/meter-NAME.jsonl.

    Args:
        name: of the evolution's own log. every: generations between two readings; 0 reads nothing and writes nothing.
        done: generations that an earlier process has finished: readings until then are taken from the file.
    """

    def __init__(
        self, run: RunFolder, name: str, meter: Meter | None, every: int, generations: int, done: int
    ) -> None:
        if every and meter is None:
            raise ValueError(f"evolution.meter_every is {every} and there is no meter to read")
        self._meter, self._every, self._generations = meter, every, generations
        self._log: MetricsLog | None = None
        self._known: dict[int, Mapping[str, float]] = {}
        self.readings = 0
        self.best: tuple[int, np.ndarray] | None = None  # generation and mean of the best actual score so far
        self._best_score = -np.inf
        if every:
            due = [generation for generation in range(1, done + 1) if self._due(generation)]
            lines = {line["step"]: line for line in read_metrics(run, f"meter-{name}")}
            for generation in due:  # up to the first that is missing: a log is written in order
                if generation not in lines:
                    break
                self._known[generation] = lines[generation]
            self._log = MetricsLog(run, f"meter-{name}", keep_before=max(self._known, default=-1) + 1)

    def read(self, generation: int, mean: np.ndarray) -> None:
        """Look at the mean (n,) of the search after so many generations, if a reading is due."""
        if self._log is None or not self._due(generation):
            return
        reading = self._known.get(generation)
        if reading is None:
            assert self._meter is not None, "the constructor has checked"
            reading = self._meter(mean)
            self._log.write(generation, **reading)
        self.readings += 1
        if reading["actual"] > self._best_score:
            self._best_score, self.best = reading["actual"], (generation, mean)

    def _due(self, generation: int) -> bool:
        return generation % self._every == 0 or generation == self._generations

    def __enter__(self) -> MeterLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._log is not None:
            self._log.close()
