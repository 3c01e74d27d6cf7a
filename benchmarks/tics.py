"""What the yardsticks of Take Cover share: a run whose ticks are tics, and not too many engines at once."""

from __future__ import annotations

from sentences import run_of

from worldmodels.errors import UserError
from worldmodels.pipeline.work import Work

AT_ONCE = 32  # games of ViZDoom, each an engine of its own


def run_of_tics(name: str) -> Work:
    """A run of Take Cover whose ticks are the game's tics, opened; UserError for another one."""
    work = run_of(name, "take-cover")
    if (repeat := work.experiment.action_repeat) != 1:
        raise UserError(f"{name} holds actions for {repeat} tics; give a run that holds them for 1")
    return work


def batches(seeds: range) -> list[range]:
    """The seeds in their order, of as many games as are played at once."""
    return [seeds[first : first + AT_ONCE] for first in range(0, len(seeds), AT_ONCE)]
