"""The table of temperatures: `worldmodels sweep RUN`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from worldmodels.cli import main
from worldmodels.evaluation.sweep import pooled
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder

SHORT = ["--temperatures", "0.3,1.0", "--generations", "3", "--episodes", "2"]


def table(run: Path) -> dict[str, Any]:
    return json.loads(RunFolder(run).sweep.read_text())


def order(run: Path) -> list[tuple[int, float]]:
    return [(cell["evolution_seed"], cell["temperature"]) for cell in table(run)["cells"]]


def made(run: Path) -> dict[str, bytes]:
    """Every C, log and score of the sweep."""
    return {
        path.name: path.read_bytes()
        for folder in ("controller", "evaluation", "metrics")
        for path in sorted((run / folder).iterdir())
        if "-temperature-" in path.name or path.name == "sweep.json"
    }


def test_every_temperature_and_seed_gets_a_c_and_a_score(toy_copy, results, capsys):
    (toy_copy / "report.html").unlink(missing_ok=True)
    before = results(toy_copy)
    assert main(["sweep", str(toy_copy), *SHORT, "--seeds", "2"]) == 0
    after, said = results(toy_copy), capsys.readouterr()
    assert {name for name in before if after.get(name) != before[name]} == set()

    found = table(toy_copy)
    assert order(toy_copy) == [(0, 0.3), (0, 1.0), (1, 0.3), (1, 1.0)]
    assert found["table"] == pooled(found["cells"])
    assert (found["game"], found["generations"], found["episodes"], found["dreams"]) == ("toy", 3, 2, 256)
    seeds = {cell["actual"]["seed"] for cell in found["cells"]} | {found["random"]["seed"]}
    assert len(seeds) == 1, "everybody meets the same episodes"
    assert {cell["actual"]["episodes"] for cell in found["cells"]} == {found["random"]["episodes"]} == {2}
    assert {cell["dream"]["episodes"] for cell in found["cells"]} == {256}

    run = RunFolder(toy_copy)
    assert {
        run.media(name).suffix for name in ("cheating.mp4", "honest.mp4") if run.media(name).exists()
    } == {".mp4"}
    assert run.media("honest.mp4").stat().st_size < 500_000
    page = run.report.read_text()
    assert "<h2>Cheating the dream</h2>" in page
    assert "The meter: both scores while C evolves" in page
    name = f"meter-evolve-{found['round']:02d}-temperature-0.30-seed-1"
    steps = [json.loads(line)["step"] for line in run.metrics(name).read_text().splitlines()]
    assert steps == [1, 2, 3], "a twentieth of so few generations is each of them"

    names = [run.controller_at(found["round"], tau, seed).stem for seed, tau in order(toy_copy)]
    logs = [run.metrics(f"evolve-{name.removeprefix('round-')}").read_text() for name in names]
    assert len(set(logs)) == 4, "each has dreams or random numbers of its own"
    assert said.out.splitlines()[0].split() == ["tau", "|", "dream", "|", "actual", "|", "seeds"]
    assert said.out.splitlines()[-2].startswith("random policy |")
    assert "mean ± standard error over seeds (standard deviation of single episodes)" in said.out
    assert "[ 1/4] temperature 0.30, seed 0 ..." in said.err
    assert "left\n" in said.err.split("[ 1/4]")[2]


def test_seed_0_is_what_evolve_makes_and_another_seed_is_made_by_it_too(toy_copy, tmp_path):
    for seed in ("0", "1"):
        options = ["--temperature", "0.3", "--seed", seed, "--generations", "3", "--episodes", "2"]
        assert main(["evolve", str(toy_copy), *options]) == 0
    run = RunFolder(toy_copy)
    round = json.loads(run.best_controller.read_text())["round"]
    paths = [run.controller_at(round, 0.3, seed) for seed in (0, 1)]
    evolved = [path.read_bytes() for path in paths]
    assert main(["sweep", str(toy_copy), *SHORT, "--seeds", "2"]) == 0
    assert [path.read_bytes() for path in paths] == evolved
    for path in paths:
        path.unlink()
    assert main(["sweep", str(toy_copy), *SHORT, "--seeds", "2"]) == 0
    assert [path.read_bytes() for path in paths] == evolved


def test_stopped_anywhere_it_ends_in_the_same_table(toy_copy, monkeypatch, stop_at, change):
    """In the third C, after two whole ones, and again in the fourth."""
    change(toy_copy, lambda settings: settings.update(save_every=0))
    command = ["sweep", str(toy_copy), *SHORT, "--seeds", "2"]
    for generation, cells in ((8, 2), (4, 3)):
        with monkeypatch.context() as patch:
            stop_at(patch, generation)
            assert main(command) == 130
        assert len(table(toy_copy)["cells"]) == cells
        assert [row["seeds"] for row in table(toy_copy)["table"]] == ([1, 1] if cells == 2 else [2, 1])
    assert main(command) == 0
    stopped = made(toy_copy)
    for name in stopped:
        next(toy_copy.rglob(name)).unlink()
    assert main(command) == 0
    assert made(toy_copy) == stopped


def test_what_is_there_is_not_done_again(toy_copy, monkeypatch, capsys, stop_at):
    command = ["sweep", str(toy_copy), *SHORT]
    assert main(command) == 0
    said = capsys.readouterr().out
    with monkeypatch.context() as patch:
        stop_at(patch, 1)
        assert main(command) == 0
        assert capsys.readouterr().out == said
        # Left out, the settings are those it was begun with; more episodes score the same Cs again.
        assert main(["sweep", str(toy_copy), "--temperatures", "1.0"]) == 0
        assert capsys.readouterr().out == said
        assert main([*command[:-1], "3"]) == 0
    assert {cell["actual"]["episodes"] for cell in table(toy_copy)["cells"]} == {3}
    assert main(["sweep", str(toy_copy), "--temperatures", "0.5"]) == 0
    assert order(toy_copy) == [(0, 0.3), (0, 0.5), (0, 1.0)]


def test_cs_of_other_generations_are_not_put_into_one_table(toy_copy, capsys):
    assert main(["sweep", str(toy_copy), *SHORT]) == 0
    assert main(["sweep", str(toy_copy), "--generations", "5", "--temperatures", "1.0"]) == 2
    said = capsys.readouterr().err
    assert (
        "temperature-1.00.safetensors was evolved for 3 generations, and the other Cs of this sweep" in said
    )
    assert "type --generations 3 for all, or delete it" in said


def test_actual_episodes_choose_a_c_where_that_was_asked_for_and_never_one_of_a_sweep(
    toy_copy, change, capsys
):
    metered = {"meter_every": 2, "meter_episodes": 3, "select_actual": True}
    change(toy_copy, lambda settings: settings["evolution"].update(metered))
    run = RunFolder(toy_copy)
    for path in (run.controller(1), run.dream_score(1)):
        path.unlink()
    assert main(["evolve", str(toy_copy)]) == 0
    lines = [json.loads(line) for line in run.metrics("meter-evolve-01").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    best = max(lines, key=lambda line: line["actual"])["step"]
    selected = json.loads(run.dream_score(1).read_text())["dream"]["selected"]
    assert selected == {"generation": best, "candidates": 3, "actual_episodes": 9}

    short = ["--generations", "2", "--episodes", "2"]
    assert main(["evolve", str(toy_copy), "--temperature", "0.5", *short]) == 0
    chosen = run.controller_at(1, 0.5)
    assert main(["sweep", str(toy_copy), "--temperatures", "0.5", *short]) == 2
    assert f"{chosen} was chosen by episodes of the actual game" in capsys.readouterr().err
    chosen.unlink()
    assert main(["sweep", str(toy_copy), "--temperatures", "0.5", *short]) == 0
    (cell,) = table(toy_copy)["cells"]
    assert "selected" not in cell["dream"]
    path = run.controller_at(cell["round"], 0.5)
    assert "selected" not in load_checkpoint(path, kind="controller").progress


def test_a_game_means_the_run_of_that_name(toy_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/toy").symlink_to(toy_run)
    (tmp_path / "runs/car-racing").symlink_to(toy_run)
    assert main(["sweep", "toy", "--temperatures", "0"]) == 2
    assert main(["sweep", "car-racing"]) == 2
    assert "runs/car-racing is a run of toy, not of car-racing" in capsys.readouterr().err
