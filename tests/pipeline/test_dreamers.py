"""A run of which a later round has a second M, in whose dreams C is evolved too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worldmodels.cli import main
from worldmodels.pipeline.work import open_run
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder

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


@pytest.mark.parametrize(("gone", "left"), [(OWN, OTHER), (OTHER, OWN)])
def test_whichever_m_is_missing_is_trained_again_and_nothing_else_changes(
    gone: str,
    left: str,
    dreamers_run: Path,
    tmp_path: Path,
    results: Callable[[Path], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
):
    copy = Path(shutil.copytree(dreamers_run, tmp_path / "copy"))
    for path in (gone, "controller/round-01.safetensors", "evaluation/round-01-dream.json"):
        (copy / path).unlink()
    trained = (copy / left).stat().st_mtime_ns
    assert main(["evolve", str(copy)]) != 0
    assert "worldmodels memory" in capsys.readouterr().err
    assert main(["memory", str(copy)]) == 0
    assert main(["evolve", str(copy)]) == 0
    assert (copy / left).stat().st_mtime_ns == trained
    assert results(copy) == results(dreamers_run)


def test_a_release_has_the_m_that_c_reads(dreamers_run: Path, tmp_path: Path):
    assert main(["release", str(dreamers_run), "--name", "two", "--out", str(tmp_path)]) == 0
    released = open_run(RunFolder(tmp_path / "two"), "cpu")
    round = released.best().round
    assert released.dreamers(round) == 1
    assert len(list((tmp_path / "two/memory").iterdir())) == 1


def test_more_dreamers_than_dreams_of_an_individual(
    tmp_path: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    assert main(["train", "toy", "--run", str(run), *tiny, "--rounds.dreamers", "3"]) != 0
    assert "rounds.dreamers" in capsys.readouterr().err
    assert not run.exists()
