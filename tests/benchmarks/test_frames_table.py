"""Frames against score: what a C had cost when it was made, and nothing that was played to score it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def table(script: Callable[[str], Any]) -> Any:
    return script("frames_table")


def write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def score(mean: float, episodes: int) -> dict[str, Any]:
    return {"mean": mean, "std": 40.0, "standard_error": 10.0, "episodes": episodes}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two rounds: 600 frames at random; 16 trials of C 0 in 300 and 90 of exploring with it; 200 of trials of C 1."""
    run = tmp_path / "runs" / "demo"
    settings = {"game": "car-racing", "rounds": {"count": 2}, "evaluation": {"candidates": 1}}
    write(run / "experiment.json", {"experiment": settings})
    for round, frames in enumerate((600, 990, 1190)):
        write(run / "rollouts" / f"round-{round:02d}.json", {"episodes": 5, "game_steps": frames})
    for round, frames in enumerate((990, 1190)):
        scored = {"round": round, "dream": score(70, 256), "actual": score(500 + 100 * round, 16)}
        write(run / "evaluation" / f"round-{round:02d}.json", scored | {"game_steps": frames})
        write(run / "evaluation" / f"round-{round:02d}-dream.json", {"round": round, "dream": score(70, 256)})
    write(run / "evaluation" / "round-01-temperature-0.10.json", {"actual": score(900, 100)})
    write(run / "evaluation" / "actual.json", score(580, 100) | {"controller_round": 1})
    write(run / "controller" / "best.json", {"round": 1, "game_steps": 1190})
    return run


def change(path: Path, **more: Any) -> None:
    write(path, json.loads(path.read_text()) | more)


def frames(table: Any, run: Path) -> dict[str, int]:
    return {point.what: point.frames for point in table.points_of(run)}


def test_a_c_costs_what_had_been_played_when_it_was_made(table: Any, run: Path):
    """Not its own trials, nor the exploring beside them, but those of the Cs before it: their episodes taught M."""
    assert frames(table, run) == {
        "round 0, trials": 600,
        "round 1, trials": 990,
        "final score, of round 1": 990,
    }
    points = table.points_of(run)
    assert [(point.name, point.mean, point.standard_error, point.episodes) for point in points] == [
        ("demo", 500, 10, 16), ("demo", 600, 10, 16), ("demo", 580, 10, 100),
    ]  # fmt: skip


def test_what_it_was_evolved_in_is_part_of_it_where_that_was_the_actual_game(table: Any, run: Path):
    """The frames that a round's C was evolved in are in what later rounds say, and not yet in its own."""
    change(run / "evaluation" / "round-00.json", dream=score(70, 256) | {"game_steps": 50}, game_steps=1040)
    for round, played in ((1, 1040), (2, 1240)):
        change(run / "rollouts" / f"round-{round:02d}.json", game_steps=played)
    assert frames(table, run) == {
        "round 0, trials": 650, "round 1, trials": 1040, "final score, of round 1": 1040,
    }  # fmt: skip


def test_episodes_that_chose_a_c_count_at_full_length(table: Any, run: Path):
    chosen = score(70, 256) | {"selected": {"generation": 3, "candidates": 2, "actual_episodes": 4}}
    change(run / "evaluation" / "round-00.json", dream=chosen)
    assert frames(table, run) == {
        "round 0, trials": 4600, "round 1, trials": 4990, "final score, of round 1": 4990,
    }  # fmt: skip


def test_a_c_that_was_taken_out_of_several_costs_their_trials_too(table: Any, run: Path):
    settings = {"game": "car-racing", "rounds": {"count": 2}, "evaluation": {"candidates": 2}}
    write(run / "experiment.json", {"experiment": settings})
    write(run / "controller" / "best.json", {"round": 0, "game_steps": 1500})
    change(run / "evaluation" / "actual.json", controller_round=0)
    assert frames(table, run)["final score, of round 0"] == 1500


def test_a_release_without_rollouts_says_what_it_can(table: Any, run: Path):
    for path in (run / "rollouts").iterdir():
        path.unlink()
    assert frames(table, run) == {"round 1, trials": 990, "final score, of round 1": 990}


def test_table_and_picture(table: Any, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    milestones = [{"asked": 50, "frames": 64 * number, **score(100 * number, 16)} for number in (1, 2)]
    write(tmp_path / "runs" / "ppo-0" / "ppo.json", {"milestones": milestones})
    picture = tmp_path / "frames.svg"
    arguments = [str(run), "--ppo", str(tmp_path / "runs" / "ppo-0" / "ppo.json"), "--picture", str(picture)]
    assert table.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| demo | round 0, trials | 600 | 500 ± 10 | 16 |"
    assert lines[5] == "| ppo-0 | PPO | 64 | 100 ± 10 | 16 |"
    drawn = picture.read_text()
    assert drawn.startswith("<?xml")
    table.main(arguments)
    assert picture.read_text() == drawn, "the same picture from the same scores"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--picture", "frames.pdf"], "--picture must end in .svg or .png"),
        (["--ppo", "nowhere/ppo.json"], "nowhere/ppo.json cannot be read"),
        (["empty"], "empty has no scores of the actual game yet"),
    ],
)
def test_wrong_input_is_one_sentence(
    table: Any, run: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
):
    assert table.main([*more, str(run)] if more == ["empty"] else [str(run), *more]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"frames_table: {message}")
    assert said.err.count("\n") == 1
