"""C evolved in the actual game: as a round of its own, going on from a C that dreams have made."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worldmodels.cli import main
from worldmodels.evolution import evolve
from worldmodels.evolution.controllers import load_controller
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.interrupt import Interrupt

# After a round in the dream one in the game, for which nothing is learnt and nobody explores.
IN_THE_GAME = [
    *("--rounds.worlds", "dream", "actual"),
    *("--rounds.vision-steps", "12", "0"),
    *("--rounds.memory-steps", "40", "0"),
    *("--rounds.generations", "6", "4"),
    *("--collect.episodes", "0"),
    *("--evolution.patience", "5"),
]


@pytest.fixture(scope="module")
def options(tiny: list[str]) -> list[str]:
    return [*tiny, *IN_THE_GAME]


@pytest.fixture(scope="module")
def run(options: list[str], tmp_path_factory: pytest.TempPathFactory, one_thread: Any) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "both"
    with one_thread():
        assert main(["train", "toy", "--run", str(folder), *options]) == 0
    return RunFolder(folder)


def test_its_c_goes_on_from_the_dreams_and_counts_its_steps(run: RunFolder):
    first, second = (load_checkpoint(run.controller(r), kind="controller") for r in (0, 1))
    assert first.made_from == second.made_from, "V and M are those of the first round"
    assert first.progress["game_steps"] == 0
    played = second.progress["game_steps"]
    assert 0 < played <= 4 * 8 * 2 * 40, "generations, individuals, repeats, steps of an episode"
    log = [json.loads(line) for line in run.metrics("evolve-01").read_text().splitlines()]
    assert len(log) == 4
    assert log[0]["mean"] > 0, "a C from zero earns less than nothing by its jerks"
    moved = np.linalg.norm(load_controller(run.controller(1))[1] - load_controller(run.controller(0))[1])
    assert 0 < moved < np.linalg.norm(load_controller(run.controller(0))[1]) + 1


def test_its_steps_are_among_the_frames_of_the_run(run: RunFolder):
    evolved = load_checkpoint(run.controller(1), kind="controller").progress["game_steps"]
    before, after = (json.loads(run.evaluation(f"round-0{r}").read_text())["game_steps"] for r in (0, 1))
    trials = json.loads(run.collected(2).read_text())["game_steps"] - evolved - before
    assert after - before == evolved + trials
    assert 0 < trials <= 3 * 40
    assert json.loads(run.dream_score(1).read_text())["dream"]["game_steps"] == evolved
    assert "game_steps" not in json.loads(run.dream_score(0).read_text())["dream"]
    assert f"learnt in the actual game: {evolved:,} steps of it" in run.report.read_text()


def test_its_card_says_in_what_game_it_learnt(run: RunFolder, tmp_path: Path):
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    record = json.loads((copy / "experiment.json").read_text())
    record["experiment"]["evolution"]["backend"] = "sketch"
    (copy / "experiment.json").write_text(json.dumps(record))
    assert main(["release", str(copy), "--name", "of-the-game", "--out", str(tmp_path)]) == 0
    card = (tmp_path / "of-the-game/README.md").read_text()
    evolved = load_checkpoint(run.controller(1), kind="controller").progress["game_steps"]
    assert f"learnt in the actual game: {evolved:,} steps of it. They were played by sketch." in card


def test_killed_in_the_game_it_ends_in_the_same_c(
    run: RunFolder,
    options: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    results: Callable[[Path], dict[str, Any]],
):
    """Interrupted after each generation and at the end of every evolution, and begun again."""
    again = tmp_path / "again"

    pressed = Interrupt()
    pressed.requested = True
    monkeypatch.setattr(evolve, "deferred_interrupt", lambda: contextlib.nullcontext(pressed))
    tries = 0
    while main(["train", "toy", "--run", str(again), *options]) == 128 + signal.SIGINT:
        tries += 1
        assert tries < 30
    assert tries == 6 + 1 + 4 + 1, "after each generation, and when C has been saved"
    assert results(again) == results(run.path)


def test_a_world_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "toy", "--run", str(tmp_path / "r"), "--rounds.worlds", "game"])
    assert "rounds.worlds must be of dream and actual" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("game", "options", "advice"),
    [
        ("toy", [], "type --gradient.missed 0"),
        ("take-cover", [], "type --gradient.missed 0"),
        ("car-racing", ["--backend", "envpool"], "or --evolution.backend sketch"),
    ],
)
def test_who_does_not_count_missed_tiles_is_refused_before_anything_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], game: str, options: list[str], advice: str
):
    if options:
        pytest.importorskip("envpool")
    run = tmp_path / "run"
    assert main(["train", game, "--run", str(run), "--gradient.missed", "10", *options]) == 2
    said = capsys.readouterr().err
    assert "which tiles of a road were missed" in said
    assert advice in said
    assert not run.exists()
