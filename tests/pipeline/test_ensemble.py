"""A run in whose second round C is the mean of three searches' Cs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from worldmodels.cli import main
from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.controllers import load_controller
from worldmodels.evolution.evolve import EvolutionConfig
from worldmodels.experiments import Experiment, RoundsConfig
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import read_metrics


@pytest.fixture(scope="module")
def run(tiny: list[str], tmp_path_factory: pytest.TempPathFactory, one_thread: Any) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "ensemble"
    with one_thread():
        assert main(["train", "toy", "--run", str(folder), *tiny, "--rounds.ensemble", "1", "3"]) == 0
    return RunFolder(folder)


def test_c_is_the_mean_of_searches_of_which_the_first_is_what_it_would_be_alone(
    run: RunFolder, toy_run: Path
):
    alone, members = RunFolder(toy_run), [run.controller_member(1, member) for member in range(3)]
    assert not run.controller_member(0, 0).exists(), "the first round has one search"
    first, second, third = (load_controller(path)[1] for path in members)
    assert torch.equal(first, load_controller(alone.controller(1))[1])
    assert not torch.allclose(first, second)
    assert not torch.allclose(second, third)
    _, mean, sha256 = load_controller(run.controller(1))
    torch.testing.assert_close(mean, torch.stack([first, second, third]).mean(dim=0))
    assert load_checkpoint(run.controller(1), kind="controller").progress["members"] == 3
    assert sha256 != load_controller(alone.controller(1))[2]
    logs = [read_metrics(run, f"evolve-01{name}") for name in ("", "-member-1", "-member-2")]
    assert [len(log) for log in logs] == [6, 6, 6]
    assert logs[0] == read_metrics(alone, "evolve-01")
    assert run.report.exists()


@pytest.mark.parametrize("left", [0, 2], ids=["stopped early", "stopped late"])
def test_a_run_stopped_between_searches_ends_as_if_it_had_not_been(
    left: int, run: RunFolder, tmp_path: Path, results: Callable[[Path], dict[str, Any]]
):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    lost = [copy.controller(1), copy.dream_score(1), *(copy.controller_member(1, m) for m in range(left, 3))]
    for path in lost:
        path.unlink()
    assert main(["train", "toy", "--run", str(copy.path)]) == 0
    assert results(copy.path) == results(run.path)


@pytest.mark.parametrize("search", ["auto", "gradient"])
def test_each_search_in_the_game_counts_its_own_steps(
    search: str, tiny: list[str], tmp_path: Path, results: Callable[[Path], dict[str, Any]]
):
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    options = [
        "--rounds.worlds",
        "dream",
        "actual",
        "--rounds.ensemble",
        "1",
        "2",
        "--rounds.searches",
        "auto",
    ]
    options += [search, "--gradient.games", "4", "--gradient.batch-size", "64"]
    assert main(["train", "toy", "--run", str(whole.path), *tiny, *options]) == 0
    shutil.copytree(whole.path, stopped.path)
    for path in (stopped.controller(1), stopped.controller_member(1, 1), stopped.dream_score(1)):
        path.unlink()
    assert main(["train", "toy", "--run", str(stopped.path)]) == 0
    assert results(stopped.path) == results(whole.path)
    paths = whole.controller(1), whole.controller_member(1, 0), whole.controller_member(1, 1)
    mean, *members = (load_checkpoint(path, kind="controller").progress["game_steps"] for path in paths)
    assert mean == sum(members)
    assert min(members) > 0


def test_searches_in_another_ms_dream_are_not_taken_for_this_ones(
    run: RunFolder, toy_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    shutil.copy(copy.controller(0), copy.controller_member(1, 1))  # grew in the first round's
    copy.controller(1).unlink()
    copy.dream_score(1).unlink()
    assert main(["train", "toy", "--run", str(copy.path)]) == 2
    assert "round-01-member-1.safetensors" in capsys.readouterr().err


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"rounds.ensemble must be at least 1 in every round, got \(0,\)"):
        RoundsConfig(ensemble=(0,))
    three = RoundsConfig(count=2, ensemble=(1, 3), worlds=("actual",))
    early = replace(three, ensemble=(3, 1))
    with pytest.raises(ValueError, match="no later round can go on with"):
        Experiment(rounds=early, controller=ControllerConfig(hidden=4))
    with pytest.raises(ValueError, match="select_actual takes one C of a search"):
        Experiment(rounds=three, evolution=EvolutionConfig(meter_every=1, select_actual=True))
    Experiment(rounds=three, controller=ControllerConfig(hidden=4))  # of which nothing goes on
    Experiment(rounds=early, controller=ControllerConfig(hidden=4), evolution=EvolutionConfig(afresh=True))


def test_what_is_released_says_of_how_many_searches_its_c_is_the_mean(run: RunFolder, tmp_path: Path):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    copy.best_controller.write_text(copy.best_controller.read_text().replace('"round": 0', '"round": 1', 1))
    assert main(["release", str(copy.path), "--name", "mean", "--out", str(tmp_path)]) == 0
    card = (tmp_path / "mean/README.md").read_text()
    assert "the C of round 1 (the mean of the Cs of 3 searches)" in card
    assert sorted(path.name for path in (tmp_path / "mean/controller").iterdir()) == [
        "best.json",
        "round-01.safetensors",
    ]
