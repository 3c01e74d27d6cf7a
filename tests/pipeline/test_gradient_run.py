"""A run whose C learns by policy gradient, in the dreams of two Ms."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worldmodels.cli import main
from worldmodels.evolution import evolve, gradient
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import read_metrics

BY_GRADIENT = [
    *("--evolution.search", "gradient"),
    *("--gradient.dreams", "12"),
    *("--gradient.ticks", "16"),
    *("--gradient.batch-size", "64"),
    *("--rounds.dreamers", "1", "2"),
]


@pytest.fixture(scope="module")
def run(tiny: list[str], tmp_path_factory: pytest.TempPathFactory, one_thread: Any) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "gradient"
    with one_thread():
        assert main(["train", "toy", "--run", str(folder), *tiny, *BY_GRADIENT]) == 0
    return RunFolder(folder)


def test_v_and_m_are_those_of_an_evolution_and_c_is_another(run: RunFolder, toy_run: Path):
    evolved = RunFolder(toy_run)
    assert run.memory(0).read_bytes() == evolved.memory(0).read_bytes()
    ours, theirs = (load_checkpoint(r.controller(0), kind="controller") for r in (run, evolved))
    assert ours.config == theirs.config, "the same layer"
    assert ours.sha256 != theirs.sha256
    log = read_metrics(run, "evolve-01")
    assert len(log) == 6
    assert {"best", "mean", "worst", "sigma"} <= log[0].keys()
    assert len(json.loads(run.dream_score(1).read_text())["dream"]["others"]) == 1
    assert run.report.exists()


def test_a_run_killed_while_c_learns_ends_as_if_it_had_not_been(
    run: RunFolder,
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    results: Callable[[Path], dict[str, Any]],
):
    generation, killed = gradient.Learning.generation, []

    def once(self: Any, number: int) -> Any:
        if number == 4 and not killed:
            killed.append(number)
            raise KeyboardInterrupt
        return generation(self, number)

    monkeypatch.setattr(gradient.Learning, "generation", once)
    command = ["train", "toy", "--run", str(tmp_path / "run")]
    with contextlib.suppress(KeyboardInterrupt):
        main([*command, *tiny, *BY_GRADIENT, "--save-every", "0"])
    assert killed == [4]
    assert main(command) == 0
    assert results(tmp_path / "run") == results(run.path)


@pytest.mark.parametrize("first", ["auto", "gradient"])
def test_with_another_search_an_unfinished_one_begins_anew(
    first: str, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    copy.controller(1).unlink()
    copy.dream_score(1).unlink()
    recorded = json.loads(copy.experiment.read_text())
    recorded["experiment"]["save_every"] = 0.0

    def searched_by(name: str) -> None:
        recorded["experiment"]["evolution"]["search"] = name
        copy.experiment.write_text(json.dumps(recorded))

    def stop(log: Any, step: int, **_: float) -> None:
        if step == 1:
            raise KeyboardInterrupt

    searched_by(first)
    with monkeypatch.context() as patched:
        patched.setattr(evolve.MetricsLog, "write", stop)
        patched.setattr(gradient.MetricsLog, "write", stop)
        assert main(["evolve", str(copy.path)]) != 0
    assert copy.resume(copy.controller(1)).exists()
    searched_by("gradient" if first == "auto" else "auto")
    assert main(["evolve", str(copy.path)]) == 0
    done = load_checkpoint(copy.controller(1), kind="controller").sha256
    kept = load_checkpoint(run.controller(1), kind="controller").sha256
    assert (done == kept) == (first == "auto")


def test_the_meter_leaves_c_as_it_would_have_been(run: RunFolder, tmp_path: Path, change: Any):
    """It plays other dreams in the same world, more of them than the search has; C's own go on where they stood."""
    copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))
    copy.controller(1).unlink()
    copy.dream_score(1).unlink()
    change(copy.path, lambda settings: settings["evolution"].update(meter_every=1, meter_episodes=2))
    assert main(["evolve", str(copy.path)]) == 0
    assert [line["step"] for line in read_metrics(copy, "meter-evolve-01")] == [1, 2, 3, 4, 5, 6]
    metered, plain = (load_checkpoint(r.controller(1), kind="controller") for r in (copy, run))
    assert metered.weights["parameters"].tolist() == plain.weights["parameters"].tolist()


def test_an_ablation_of_it_evolves_in_the_game(run: RunFolder, tmp_path: Path):
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    command = [
        "ablate",
        str(copy),
        "--features",
        "zh",
        "--generations",
        "1",
        "--episodes",
        "2",
        "--horizon",
        "5",
    ]
    assert main(command) == 0


def test_in_the_actual_game_c_learns_too_and_what_it_played_is_counted(tiny: list[str], tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    by_gradient = [*BY_GRADIENT[2:], "--rounds.searches", "auto", "gradient", "--gradient.games", "5"]
    options = [*tiny, *by_gradient, "--rounds.worlds", "dream", "actual", "--gradient.last-noise", "0.1"]
    assert main(["train", "toy", "--run", str(run.path), *options]) == 0
    dreamt, played = (load_checkpoint(run.controller(r), kind="controller").progress for r in (0, 1))
    assert dreamt["game_steps"] == 0
    assert played["game_steps"] > 0
    assert len(read_metrics(run, "evolve-01")) == played["generations"]
    assert "critic" not in read_metrics(run, "evolve-00")[0], "the first round's C was evolved"
    assert read_metrics(run, "evolve-01")[-1]["sigma"] == pytest.approx(0.1)


def test_searches_that_do_not_go_together_with_the_rest_are_refused_before_a_run_begins(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["train", "toy", "--run", str(tmp_path / "run"), *tiny]
    for options, why in (
        (
            ["--rounds.searches", "newton"],
            "evolution.search must be auto, cma, device or gradient, got 'newton'",
        ),
        (["--rounds.searches", "auto", "gradient", "--evolution.worst", "0.5"], "give it 1, got 0.5"),
    ):
        assert main([*command, *options]) == 2
        assert why in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
