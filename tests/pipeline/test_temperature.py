"""Another C for the same V and M: `worldmodels evolve RUN --temperature T`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from worldmodels.cli import main
from worldmodels.evolution import evolve
from worldmodels.evolution.controllers import load_controller
from worldmodels.experiments import RoundsConfig
from worldmodels.pipeline.work import Work
from worldmodels.presets import preset
from worldmodels.runs.checkpoint import load_checkpoint, save_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.lock import locked

SHORT = ["--generations", "4", "--episodes", "2"]


def chosen_round(run: Path) -> int:
    return json.loads((run / "controller/best.json").read_text())["round"]


def choose_round(run: Path, round: int) -> None:
    path = run / "controller/best.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"round": round}))


def made_at(run: Path, temperature: str) -> list[str]:
    """What evolving at a temperature makes, TensorBoard's files aside."""
    name = f"{chosen_round(run):02d}-temperature-{temperature}"
    return [
        f"controller/round-{name}.safetensors",
        f"evaluation/round-{name}.json",
        f"metrics/evolve-{name}.jsonl",
    ]


def test_it_adds_files_and_touches_nothing(
    toy_copy: Path, results: Callable[[Path], dict[str, Any]], capsys: pytest.CaptureFixture[str]
):
    before = results(toy_copy)
    assert main(["evolve", str(toy_copy), "--temperature", "0.5", *SHORT]) == 0
    after, said = results(toy_copy), capsys.readouterr().out
    assert after.keys() - before.keys() == set(made_at(toy_copy, "0.50"))
    assert {name for name in before if after[name] != before[name]} == set()
    assert len((toy_copy / made_at(toy_copy, "0.50")[2]).read_text().splitlines()) == 4

    found = json.loads((toy_copy / made_at(toy_copy, "0.50")[1]).read_text())
    dream, actual = found["dream"], found["actual"]
    assert found.keys() == {"round", "temperature", "evolution_seed", "dream", "actual"}
    assert (found["round"], found["temperature"]) == (chosen_round(toy_copy), 0.5)
    assert dream.keys() == {"mean", "std", "standard_error", "episodes", "ticks", "per_1000_steps"}
    assert (dream["episodes"], dream["ticks"]) == (64, 40)
    assert dream["per_1000_steps"] == pytest.approx(dream["mean"] * 25)
    assert actual["mean"] == pytest.approx(np.mean(actual["scores"]))
    assert actual["standard_error"] == pytest.approx(actual["std"] / 2**0.5)
    assert (actual["episodes"], len(actual["scores"])) == (2, 2)
    assert f"at temperature 0.50 earns {dream['mean']:.0f} ± " in said

    assert main(["evolve", str(toy_copy), "--temperature", "0.5"]) == 0
    assert results(toy_copy).keys() == after.keys()
    assert capsys.readouterr().out == said


def test_at_the_own_temperature_it_is_the_rounds_own_c(toy_copy):
    """Whatever a C of another temperature does otherwise, it does because of the temperature."""
    run, round = RunFolder(toy_copy), 0  # where the run's own C too begins at zero
    choose_round(toy_copy, round)
    assert main(["evolve", str(toy_copy), "--temperature", "1", "--episodes", "1"]) == 0
    assert run.controller_at(round, 1.0).read_bytes() == run.controller(round).read_bytes()
    assert main(["evolve", str(toy_copy), "--temperature", "1.5", "--episodes", "1"]) == 0
    assert load_controller(run.controller_at(round, 1.5))[2] != load_controller(run.controller(round))[2]
    assert list(run.controllers_at(round)) == [1.0, 1.5]
    assert run.controllers_at(5) == {}


def test_stopped_halfway_it_ends_in_the_same_c(toy_copy, tmp_path, monkeypatch, capsys):
    record = json.loads((toy_copy / "experiment.json").read_text())
    record["experiment"]["save_every"] = 0
    (toy_copy / "experiment.json").write_text(json.dumps(record))
    command = ["evolve", str(toy_copy), "--temperature", "0.3", *SHORT]
    paths = [toy_copy / name for name in made_at(toy_copy, "0.30")]
    resume = RunFolder(toy_copy).resume(paths[0])
    play, played = evolve.returns, []

    def interrupted(*arguments: Any) -> Any:
        played.append(1)
        if len(played) == 3:
            raise KeyboardInterrupt
        return play(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(evolve, "returns", interrupted)
        assert main(command) == 130
    assert resume.exists()
    assert not paths[0].exists()
    assert main(command) == 0
    assert not resume.exists()
    stopped = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    assert main(command) == 0
    assert [path.read_bytes() for path in paths] == stopped


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--temperature 0", "--temperature must be a positive number, got 0.0"),
        ("--temperature nan", "--temperature must be a positive number, got nan"),
        ("--temperature 0.105", "--temperature goes in steps of 0.01 here, got 0.105"),
        ("--temperature 0.001", "--temperature goes in steps of 0.01 here, got 0.001"),
        ("--temperature 0.5 --generations 0", "--generations must be at least 1, got 0"),
        ("--temperature 0.5 --episodes 0", "--episodes must be at least 1, got 0"),
        ("--temperature 0.5 --seed -1", "--seed must not be negative, got -1"),
        (
            "--generations 3",
            "--generations, --episodes and --seed are those of another C; add --temperature T",
        ),
    ],
)
def test_wrong_input_gets_one_sentence(toy_run, options, sentence, capsys):
    assert main(["evolve", str(toy_run), *options.split()]) == 2
    assert sentence in capsys.readouterr().err


def test_a_c_that_is_there_is_not_taken_for_another(toy_copy, capsys):
    command = ["evolve", str(toy_copy), "--temperature", "0.5"]
    assert main([*command, *SHORT]) == 0
    for asked, sentence in {
        ("--generations", "5"): "was evolved for 4 generations: leave out --generations 5, or delete ",
        ("--episodes", "3"): "was scored for 2 episodes: leave out --episodes 3, or delete ",
    }.items():
        assert main([*command, *asked]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert str(toy_copy / made_at(toy_copy, "0.50")[1]) in said


def test_one_of_other_parts_is_refused(toy_copy, capsys):
    path = toy_copy / made_at(toy_copy, "0.50")[0]
    other = toy_copy / f"controller/round-{1 - chosen_round(toy_copy):02d}.safetensors"
    path.write_bytes(other.read_bytes())
    assert main(["evolve", str(toy_copy), "--temperature", "0.5"]) == 2
    said = capsys.readouterr().err
    assert f"{path} was made from another " in said
    assert f"delete it and run `worldmodels evolve {toy_copy} --temperature 0.50`" in said


def test_a_run_in_use_is_left_alone(toy_run, capsys):
    with locked(toy_run):
        assert main(["evolve", str(toy_run), "--temperature", "0.5"]) == 2
    assert f"{toy_run} is in use by process " in capsys.readouterr().err


def test_each_round_may_dream_at_a_temperature_of_its_own(tmp_path):
    experiment = preset("toy", "demo")
    scheduled = replace(experiment, rounds=replace(experiment.rounds, temperatures=(1.15, 0.5)))
    work = Work(RunFolder(tmp_path), scheduled, torch.device("cpu"))
    assert [work.temperature(round) for round in range(3)] == [1.15, 0.5, 0.5]
    plain = replace(work, experiment=experiment)
    assert [plain.temperature(round) for round in range(2)] == [experiment.dream.temperature] * 2
    with pytest.raises(ValueError, match=r"rounds.temperatures must be positive numbers, got \(1.0, -1.0\)"):
        RoundsConfig(temperatures=(1.0, -1.0))


def test_scores_of_a_c_that_grew_in_another_m_are_not_given_for_this_ones(
    toy_copy: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["evolve", str(toy_copy), "--temperature", "0.5"]
    assert main([*command, *SHORT]) == 0
    run, round = RunFolder(toy_copy), chosen_round(toy_copy)
    c = run.controller_at(round, 0.5)
    checkpoint = load_checkpoint(c, kind="controller")
    save_checkpoint(
        c,
        kind="controller",
        config=checkpoint.config,
        weights=checkpoint.weights,
        progress=checkpoint.progress,
        made_from=checkpoint.made_from | {"memory": "another"},
    )
    capsys.readouterr()
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "has the scores of a C that grew in the dream of another M than the one in use" in said
    c.unlink()  # without it the scores are nobody's: it is made again
    assert main([*command, *SHORT]) == 0
    assert load_checkpoint(c, kind="controller").made_from == checkpoint.made_from
