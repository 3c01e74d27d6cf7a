"""A run of which a later round has a second M, in whose dreams C is evolved too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worldmodels.cli import main
from worldmodels.runs.checkpoint import load_checkpoint

OWN, OTHER = "memory/round-01.safetensors", "memory/round-01-dreamer-1.safetensors"
TWO_IN_THE_SECOND = ["--rounds.dreamers", "1", "2"]


@pytest.fixture(scope="module")
def dreamers_run(
    tmp_path_factory: pytest.TempPathFactory, tiny: list[str], one_thread: Callable[[], Any]
) -> Path:
    run = tmp_path_factory.mktemp("runs") / "dreamers"
    with one_thread():
        assert main(["train", "toy", "--run", str(run), *tiny, *TWO_IN_THE_SECOND]) == 0
    return run


def test_the_second_m_has_learnt_for_as_long_and_c_met_it(dreamers_run: Path, toy_run: Path):
    assert (dreamers_run / OWN).read_bytes() == (toy_run / OWN).read_bytes(), "C's own M is what it was alone"
    own, other = (load_checkpoint(dreamers_run / path, kind="memory") for path in (OWN, OTHER))
    assert own.sha256 != other.sha256
    assert (own.progress["steps"], other.progress["steps"]) == (20, 40 + 20)
    assert not (dreamers_run / "memory/round-00-dreamer-1.safetensors").exists()
    controller = load_checkpoint(dreamers_run / "controller/round-01.safetensors", kind="controller")
    assert controller.made_from["dreamer-1"] == other.sha256
    alone = load_checkpoint(toy_run / "controller/round-01.safetensors", kind="controller")
    assert controller.sha256 != alone.sha256
    score = json.loads((dreamers_run / "evaluation/round-01-dream.json").read_text())["dream"]
    (others,) = score["others"]
    assert others["episodes"] == score["episodes"]
    assert others["mean"] != score["mean"]
    assert (dreamers_run / "metrics/memory-01-dreamer-1.jsonl").exists()


def test_stopped_behind_the_second_m_it_ends_the_same(
    dreamers_run: Path, tmp_path: Path, tiny: list[str], results: Callable[[Path], dict[str, Any]]
):
    stopped = Path(shutil.copytree(dreamers_run, tmp_path / "stopped"))
    for path in (OWN, "controller/round-01.safetensors", "evaluation/round-01-dream.json", "finished.json"):
        (stopped / path).unlink()
    trained = (stopped / OTHER).stat().st_mtime_ns
    assert main(["train", "toy", "--run", str(stopped), *tiny, *TWO_IN_THE_SECOND]) == 0
    assert (stopped / OTHER).stat().st_mtime_ns == trained, "what is there is not trained again"
    assert results(stopped) == results(dreamers_run)


def test_more_dreamers_than_dreams_of_an_individual(
    tmp_path: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    assert main(["train", "toy", "--run", str(run), *tiny, "--rounds.dreamers", "3"]) != 0
    assert "rounds.dreamers" in capsys.readouterr().err
    assert not run.exists()
