"""What C needs: `worldmodels ablate RUN`, on the toy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worldmodels.cli import main
from worldmodels.evolution.controllers import load_controller
from worldmodels.evolution.ppo import Learning
from worldmodels.pipeline.ablation import rows
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder

SHORT = ["--generations", "3", "--episodes", "2", "--horizon", "10"]
KINDS = ["z", "z-hidden", "zh", "zh-untrained"]


def table(run: Path) -> dict[str, Any]:
    return json.loads(RunFolder(run).ablation.read_text())


def order(run: Path) -> list[tuple[int, str]]:
    return [(cell["evolution_seed"], cell["features"]) for cell in table(run)["cells"]]


def made(run: Path) -> dict[str, bytes]:
    """Every C, log and score of the ablation."""
    return {
        path.name: path.read_bytes()
        for folder in ("controller", "evaluation", "metrics")
        for path in sorted((run / folder).iterdir())
        if "-features-" in path.name or path.name == "ablation.json"
    }


def test_every_kind_and_seed_gets_a_c_and_a_score(toy_copy, results, capsys):
    (toy_copy / "report.html").unlink()
    before = results(toy_copy)
    assert main(["ablate", str(toy_copy), *SHORT, "--seeds", "2"]) == 0
    after, said = results(toy_copy), capsys.readouterr()
    assert {name for name in before if after.get(name) != before[name]} == set()
    assert not any("meter" in name for name in after.keys() - before.keys())

    run, found = RunFolder(toy_copy), table(toy_copy)
    assert order(toy_copy) == [(seed, kind) for seed in range(2) for kind in KINDS]
    assert found["table"] == rows(found["cells"])
    budget = {"generations": 3, "population": 8, "repeats": 1, "horizon": 10, "patience": 25, "episodes": 2}
    assert {name: found[name] for name in budget} == budget
    assert len({cell["actual"]["seed"] for cell in found["cells"]}) == 1, "everybody meets the same episodes"
    assert all(len(cell["actual"]["scores"]) == 2 for cell in found["cells"])
    most = 3 * 8 * 10  # generations, individuals, ticks; a lost ball ends an episode before
    assert all(most / 2 < cell["game_steps"] <= most for cell in found["cells"])

    round, untrained = found["round"], set()
    for seed, kind in order(toy_copy):
        checkpoint = load_checkpoint(run.controller_of(round, kind, seed), kind="controller")
        config = load_controller(run.controller_of(round, kind, seed))[0]
        assert config.hidden == (40 if kind == "z-hidden" else 0)
        assert config.feature_size == {"z": 8, "zh": 24}[config.features]
        parents = dict(checkpoint.made_from)
        assert parents.pop("vision") == found["vision"]
        if kind == "zh":
            assert parents == {"memory": found["memory"]}
        elif kind == "zh-untrained":
            untrained.add(parents["memory"])
        else:
            assert parents == {}
    assert len(untrained) == 2, "each seed has an untrained M of its own"
    assert all(name.startswith("untrained-") for name in untrained)

    firsts = [json.loads(run.metrics(f"evolve-{round:02d}-features-{kind}").read_text().splitlines()[0])
              for kind in KINDS]  # fmt: skip
    assert len({line["mean"] for line in firsts}) == 4, "trained or not, M makes a difference"
    assert [row.split("|")[0].strip() for row in said.out.splitlines()[2:6]] == KINDS
    assert "mean ± standard error over seeds (standard deviation of single episodes)" in said.out
    assert "[ 1/8] z, seed 0 ..." in said.err
    assert "left\n" in said.err.split("[ 1/8]")[2]
    assert "<h2>What C needs</h2>" in run.report.read_text()


def test_stopped_anywhere_it_ends_in_the_same_table(toy_copy, monkeypatch, stop_at, change):
    """In the second C, after a whole one, and again in the fourth."""
    change(toy_copy, lambda settings: settings.update(save_every=0))
    command = ["ablate", str(toy_copy), *SHORT, "--features", "z-hidden,zh-untrained", "--seeds", "2"]
    for generation, cells in ((5, 1), (7, 3)):
        with monkeypatch.context() as patch:
            stop_at(patch, generation)
            assert main(command) == 130
        assert len(table(toy_copy)["cells"]) == cells
    assert order(toy_copy) == [(0, "z-hidden"), (0, "zh-untrained"), (1, "z-hidden")]
    assert main(command) == 0
    stopped = made(toy_copy)
    for name in stopped:
        next(toy_copy.rglob(name)).unlink()
    assert main(command) == 0
    assert made(toy_copy) == stopped


def test_what_is_there_is_not_done_again(toy_copy, monkeypatch, capsys, stop_at):
    command = ["ablate", str(toy_copy), *SHORT, "--features", "z,zh"]
    assert main(command) == 0
    said = capsys.readouterr().out
    with monkeypatch.context() as patch:
        stop_at(patch, 1)
        assert main(command) == 0
        assert capsys.readouterr().out == said
        # Left out, the settings are those it was begun with; more episodes score the same Cs again.
        assert main(["ablate", str(toy_copy), "--features", "zh"]) == 0
        assert capsys.readouterr().out == said
        assert main([*command, "--episodes", "3"]) == 0
    assert {cell["actual"]["episodes"] for cell in table(toy_copy)["cells"]} == {3}
    assert main(["ablate", str(toy_copy), "--features", "z-hidden"]) == 0
    assert order(toy_copy) == [(0, "z"), (0, "z-hidden"), (0, "zh")]


def test_by_gradient_cs_learn_and_go_on_where_they_were_stopped(toy_copy, monkeypatch, change, capsys):
    change(toy_copy, lambda settings: settings.update(save_every=0))
    command = ["ablate", str(toy_copy), *SHORT, "--features", "z,zh-untrained", "--search", "gradient"]
    command += ["--repeats", "4"]
    generation, numbers = Learning.generation, []

    def once(learning: Any, number: int) -> Any:
        numbers.append(number)
        if numbers == [0, 1]:
            raise KeyboardInterrupt
        return generation(learning, number)

    monkeypatch.setattr(Learning, "generation", once)
    assert main(command) == 130
    assert main(command) == 0
    assert numbers == [0, 1, 1, 2, 0, 1, 2]
    found, said = table(toy_copy), capsys.readouterr().out
    assert (found["search"], found["population"], found["repeats"]) == ("gradient", 1, 4)
    assert "3 generations of 4 episodes, by policy gradient at a rate of 0.0003, of at most 10 ticks" in said
    assert "by policy gradient" in RunFolder(toy_copy).report.read_text()
    stopped = made(toy_copy)
    for name in stopped:
        next(toy_copy.rglob(name)).unlink()
    assert main(command) == 0
    assert made(toy_copy) == stopped
    for more, why in (
        (["--search", "evolution"], "begun with search gradient, not evolution"),
        (["--search", "gradient", "--population", "8"], "leave it out, or --search gradient"),
        (
            ["--search", "gradient", "--learning-rate", "0.5"],
            "begun with learning_rate 0.0003, not 0.5: leave out",
        ),
        (["--search", "gradient", "--learning-rate", "nan"], "--learning-rate must be above 0, got nan"),
        (["--search", "newton"], "--search takes evolution or gradient"),
    ):
        assert main(["ablate", str(toy_copy), *more]) == 2
        assert why in capsys.readouterr().err


def test_cs_of_another_budget_are_not_put_into_one_table(toy_copy, capsys):
    command = ["ablate", str(toy_copy), *SHORT, "--features", "z"]
    assert main(command) == 0
    there = made(toy_copy)
    for name, had, asked in (
        ("horizon", 10, 9),
        ("generations", 3, 4),
        ("repeats", 1, 2),
        ("population", 8, 9),
    ):
        capsys.readouterr()
        assert main(["ablate", str(toy_copy), "--features", "zh", f"--{name}", str(asked)]) == 2
        said = capsys.readouterr().err
        assert (
            f"this ablation was begun with {name} {had}, not {asked}: leave out --{name}, or delete" in said
        )
    assert made(toy_copy) == there

    RunFolder(toy_copy).ablation.unlink()
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "features-z.safetensors is there, and" in said
    assert "does not say how it was evolved from the V and M in use: delete" in said
    for path in (toy_copy / "controller").glob("*-features-*"):
        path.unlink()
    assert main([*command, "--horizon", "9"]) == 0
    assert table(toy_copy)["horizon"] == 9


def test_features_of_take_cover_are_the_runs_own_there(toy_copy, change):
    def cells_too(settings: dict[str, Any]) -> None:
        settings["controller"].update(features="zch", feature_size=40)
        settings["rounds"].update(count=1)

    change(toy_copy, cells_too)
    run = RunFolder(toy_copy)
    for path in (run.controller(0), run.dream_score(0), run.best_controller):
        path.unlink()
    assert main(["evolve", str(toy_copy)]) == 0
    assert main(["ablate", str(toy_copy), *SHORT, "--generations", "1"]) == 0
    assert [kind for _, kind in order(toy_copy)] == ["z", "z-hidden", "zch", "zch-untrained"]


def test_a_release_is_ablated_in_a_copy(offered: Path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in offered.rglob("*") if path.is_file()}
    assert main(["ablate", "pretrained:toy", *SHORT, "--features", "zh", "--generations", "1"]) == 0
    assert "a copy of toy is in runs/pretrained-toy" in capsys.readouterr().err
    assert order(tmp_path / "runs/pretrained-toy") == [(0, "zh")]
    assert {path: path.read_bytes() for path in offered.rglob("*") if path.is_file()} == before
    assert main(["ablate", str(offered), *SHORT, "--generations", "1"]) == 0, "in the copy again"
    assert len(table(tmp_path / "runs/pretrained-toy")["cells"]) == 4
