"""How long a stage took, over all processes that worked on it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from worldmodels.pipeline import train
from worldmodels.pipeline.stage import Done, Stage
from worldmodels.presets import toy_demo
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import read_metrics


def test_a_stage_that_was_stopped_counts_what_it_had_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    work = train.begin(RunFolder(tmp_path / "run"), toy_demo(), "cpu")
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def stopped() -> Done:
        clock[0] += 30
        raise KeyboardInterrupt

    def finished() -> Done:
        clock[0] += 10
        return Done("there", 80, "steps")

    for run in (stopped, stopped):
        with pytest.raises(KeyboardInterrupt):
            train._run(work, Stage("memory", 0, (tmp_path / "never",), run), "[1/1]")
    train._run(work, Stage("memory", 1, (tmp_path / "never",), finished), "[1/1]")
    train._run(work, Stage("memory", 0, (tmp_path / "never",), finished), "[1/1]")
    lines = read_metrics(work.run, "stages")
    assert [(line["round"], line["seconds"], line["rate"]) for line in lines[2:]] == [
        (1, 10, 8),
        (0, 10, 80 / 70),
    ]
    assert [(line["summary"], line["seconds"]) for line in lines[:2]] == [("stopped", 30), ("stopped", 30)]
    assert "memory, round 0: there, in 1 min 10 s" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["{", "7\n", '{"stage": "memory"}\n', "\N{SNOWMAN} and rain\n"])
def test_a_damaged_log_of_times_stops_no_stage(tmp_path: Path, damage: str):
    work = train.begin(RunFolder(tmp_path / "run"), toy_demo(), "cpu")
    work.run.metrics("stages").parent.mkdir(parents=True, exist_ok=True)
    work.run.metrics("stages").write_text(damage)
    train._run(work, Stage("memory", 0, (tmp_path / "never",), lambda: Done("there")), "[1/1]")
    assert '"summary": "there"' in work.run.metrics("stages").read_text()
