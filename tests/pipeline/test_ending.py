"""What a trained run is scored in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from worldmodels.errors import UserError
from worldmodels.evaluation import score
from worldmodels.pipeline.ending import actual_score, dream_score, evaluate_run
from worldmodels.pipeline.work import Work, open_run
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.folder import RunFolder


@pytest.mark.parametrize(("horizons", "ticks"), [((40,), 40), ((10, 60), 60), ((10, 20), 40)])
def test_c_is_scored_in_dreams_as_long_as_it_knows_them(toy_run: Path, horizons: tuple[int, ...], ticks: int):
    work = open_run(RunFolder(toy_run), "cpu")
    experiment = replace(work.experiment, rounds=replace(work.experiment.rounds, horizons=horizons))
    work = replace(work, experiment=experiment)
    score = dream_score(work, work.parts(1), 4, 0, 1.0)
    assert score["ticks"] == ticks, "the longer one of dream.horizon, 40, and what C grew in"


@pytest.fixture
def work(toy_copy: Path, change: Callable[..., None]) -> Work:
    """A run whose C is to be scored in ten episodes of the game, three at a time."""
    change(toy_copy, lambda experiment: experiment["evaluation"].update(episodes=10, batch=3))
    return open_run(RunFolder(toy_copy), "cpu")


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """stop_after(n): Ctrl-C in the batch after so many; returns the sizes of those that are played."""
    returns = score.returns

    def patched(batches: int) -> list[int]:
        played: list[int] = []

        def play(config: Any, parameters: Any, world: Any, seeds: Any) -> Any:
            if len(played) == batches:
                raise KeyboardInterrupt
            played.append(len(seeds))
            return returns(config, parameters, world, seeds)

        monkeypatch.setattr(score, "returns", play)
        return played

    return patched


def test_a_score_goes_on_from_the_episodes_that_were_played(
    work: Work, stop_after: Callable[[int], list[int]]
):
    kept = work.run.evaluation("actual.resume")
    whole = actual_score(work, work.best(), 10, 5, "auto")
    for batches in (0, 2, 1):
        stop_after(batches)
        with pytest.raises(KeyboardInterrupt):
            actual_score(work, work.best(), 10, 5, "auto", kept)
    played = stop_after(99)
    resumed = actual_score(work, work.best(), 10, 5, "auto", kept)
    assert played == [1], "three batches of three were there"
    assert resumed["scores"] == whole["scores"]
    assert read_json(kept)["steps"] == round(whole["seconds"] * whole["steps_per_second"])


@pytest.mark.parametrize(
    "other", [{"seed": 6}, {"episodes": 9}, {"batch": 2}, {"controller": "another C"}, {"of": "nothing"}]
)
def test_what_was_kept_of_another_score_is_not_gone_on_with(
    work: Work, stop_after: Callable[[int], list[int]], other: dict[str, Any]
):
    kept = work.run.evaluation("actual.resume")
    stop_after(2)
    with pytest.raises(KeyboardInterrupt):
        actual_score(work, work.best(), 10, 5, "auto", kept)
    content = read_json(kept)
    write_json(kept, {**content, "of": other["of"] if "of" in other else content["of"] | other})
    played = stop_after(99)
    actual_score(work, work.best(), 10, 5, "auto", kept)
    assert played == [3, 3, 3, 1]


def test_damaged_scores_are_refused_or_played_again(work: Work, stop_after: Callable[[int], list[int]]):
    kept = work.run.evaluation("actual.resume")
    stop_after(2)
    with pytest.raises(KeyboardInterrupt):
        actual_score(work, work.best(), 10, 5, "auto", kept)
    whole = kept.read_text()
    kept.write_text(whole[:40])
    with pytest.raises(UserError, match=r"actual.resume.json is not complete JSON .*; delete it and run"):
        actual_score(work, work.best(), 10, 5, "auto", kept)
    kept.write_text(whole.replace('"scores"', '"others"'))
    played = stop_after(99)
    actual_score(work, work.best(), 10, 5, "auto", kept)
    assert played == [3, 3, 3, 1]


def test_the_last_stage_but_one_goes_on_in_its_middle(work: Work, stop_after: Callable[[int], list[int]]):
    run = work.run
    run.evaluation("actual").unlink()
    stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(work, 1)
    assert not run.evaluation("actual").exists()
    played = stop_after(99)
    evaluate_run(work, 1)
    assert played == [4, 3, 1], "four dreams again, and what is left of ten episodes"
    assert read_json(run.evaluation("actual"))["episodes"] == 10
    assert not run.evaluation("actual.resume").exists()
