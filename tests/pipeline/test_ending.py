"""What a trained run is scored in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from worldmodels.pipeline.ending import dream_score
from worldmodels.pipeline.work import open_run
from worldmodels.runs.folder import RunFolder


@pytest.mark.parametrize(("horizons", "ticks"), [((40,), 40), ((10, 60), 60), ((10, 20), 40)])
def test_c_is_scored_in_dreams_as_long_as_it_knows_them(toy_run: Path, horizons: tuple[int, ...], ticks: int):
    work = open_run(RunFolder(toy_run), "cpu")
    experiment = replace(work.experiment, rounds=replace(work.experiment.rounds, horizons=horizons))
    work = replace(work, experiment=experiment)
    score = dream_score(work, work.parts(1), 4, 0, 1.0)
    assert score["ticks"] == ticks, "the longer one of dream.horizon, 40, and what C grew in"
