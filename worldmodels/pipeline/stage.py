"""A stage is data: its name and round, the files that exist once it is finished, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Done:
    """What a stage says when it is finished."""

    summary: str
    count: float | None = None  # of `unit`, for the rate
    unit: str | None = None


@dataclass(frozen=True)
class Stage:
    """One step of a run."""

    name: str  # the verb on the command line
    round: int
    makes: tuple[Path, ...]  # exist all of them when, and only when, the stage is finished
    run: Callable[[], Done]
    whole: Callable[[], bool] = lambda: True  # whether nothing is missing of what these files say was made

    @property
    def finished(self) -> bool:
        return all(path.exists() for path in self.makes) and self.whole()
