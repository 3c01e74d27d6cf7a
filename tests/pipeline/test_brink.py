"""Dreams that begin shortly before the end of a game: where C is sought, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from worldmodels.pipeline.work import open_run
from worldmodels.runs.folder import RunFolder


def test_a_score_or_a_film_begins_at_any_moment(toy_run: Path):
    work = open_run(RunFolder(toy_run), "cpu")
    parts, config = work.best(), replace(work.experiment.dream, starts=8)
    plain, settings, sought = (
        work.dream(parts.round, parts.memory, "zh", replace(config, brink=brink), asked).starts
        for brink, asked in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    )
    assert torch.equal(settings.mu, plain.mu)
    assert not torch.equal(sought.mu, plain.mu)
    assert torch.equal(sought.mu[: sought.openings], plain.mu[: plain.openings]), (
        "openings are what they were"
    )
