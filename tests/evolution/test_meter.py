"""The exploitation meter: it watches and does not steer, and a killed evolution reads the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution import evolve as evolving
from worldmodels.evolution.controllers import load_controller
from worldmodels.evolution.evolve import EvolutionConfig, evolve
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.worlds.state import Step

CONFIG = ControllerConfig(feature_size=2, action_kinds=("symmetric",))
PLAIN = EvolutionConfig(generations=7, population=6, repeats=2, sigma=0.3)
METERED = replace(PLAIN, meter_every=3, meter_episodes=5)


class Still:
    """A world of one tick that pays for actions near 0.5."""

    feature_size, horizon, at_once, game_steps = 2, 1, 1000, 0
    device = torch.device("cpu")

    def reset(self, seeds: Any) -> Tensor:
        return torch.ones(len(seeds), 2)

    def step(self, actions: Tensor) -> Step:
        ended = torch.ones(len(actions), dtype=torch.bool)
        return Step(torch.ones(len(actions), 2), -(actions[:, 0] - 0.5).square(), ended, ~ended)

    def keep(self, rows: Tensor) -> None:
        raise AssertionError("nobody outlives the first tick")


def early_is_better(parameters: np.ndarray) -> Mapping[str, float]:
    """An "actual game" in which every step that C takes away from zero does harm."""
    length = float(np.linalg.norm(parameters))
    return {"dream": length, "actual": -length}


def run_one(folder: Path, evolution: EvolutionConfig, meter: Any = early_is_better) -> np.ndarray:
    run = RunFolder(folder)
    evolve(
        run,
        CONFIG,
        evolution,
        [Still()],
        path=run.controller(0),
        log_name="evolve-00",
        round=0,
        seed=3,
        made_from={},
        save_every=0.0,
        meter=meter,
    )
    return load_controller(run.controller(0))[1].numpy()


def readings(folder: Path) -> list[dict[str, float]]:
    return [
        json.loads(line) for line in RunFolder(folder).metrics("meter-evolve-00").read_text().splitlines()
    ]


def test_it_reads_every_so_often_and_the_last_mean_and_changes_nothing(tmp_path):
    plain = run_one(tmp_path / "plain", PLAIN, None)
    metered = run_one(tmp_path / "metered", METERED)
    assert np.array_equal(plain, metered)
    assert [line["step"] for line in readings(tmp_path / "metered")] == [3, 6, 7]
    assert readings(tmp_path / "metered")[-1]["dream"] == pytest.approx(np.linalg.norm(metered))
    assert not RunFolder(tmp_path / "plain").metrics("meter-evolve-00").exists()
    logs = [RunFolder(tmp_path / name).metrics("evolve-00").read_bytes() for name in ("plain", "metered")]
    assert logs[0] == logs[1]


def test_the_best_in_the_actual_game_is_taken_only_where_that_was_asked_for(tmp_path):
    run_one(tmp_path / "last", METERED)
    best = run_one(tmp_path / "best", replace(METERED, select_actual=True))
    scores = {line["step"]: line["actual"] for line in readings(tmp_path / "best")}
    assert scores[3] == max(scores.values())
    assert -np.linalg.norm(best) == pytest.approx(scores[3])
    path = RunFolder(tmp_path / "best").controller(0)
    selected = load_checkpoint(path, kind="controller").progress["selected"]
    assert selected == {"generation": 3, "candidates": 3, "actual_episodes": 15}
    path = RunFolder(tmp_path / "last").controller(0)
    assert "selected" not in load_checkpoint(path, kind="controller").progress


@pytest.mark.parametrize("killed_at", [2, 3, 4, 7])
@pytest.mark.parametrize("where", ["in the dream", "at the meter"])
def test_killed_and_resumed_it_reads_the_same_and_ends_in_the_same_c(tmp_path, monkeypatch, killed_at, where):
    evolution = replace(METERED, meter_every=2, select_actual=True)
    through = run_one(tmp_path / "through", evolution)
    play, calls = evolving.returns, []

    def killed(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == killed_at:
            raise KeyboardInterrupt
        return play(*arguments)

    def meter(parameters: np.ndarray) -> Mapping[str, float]:
        if where == "at the meter" and len(calls) >= killed_at - 1:
            raise KeyboardInterrupt
        return early_is_better(parameters)

    with monkeypatch.context() as patch:
        patch.setattr(evolving, "returns", killed)
        with pytest.raises(KeyboardInterrupt):
            run_one(tmp_path / "killed", evolution, meter)
    again = run_one(tmp_path / "killed", evolution)
    assert np.array_equal(again, through)
    folders = [RunFolder(tmp_path / name) for name in ("through", "killed")]
    assert readings(tmp_path / "killed") == readings(tmp_path / "through")
    a, b = (load_checkpoint(folder.controller(0), kind="controller") for folder in folders)
    assert (a.sha256, a.progress) == (b.sha256, b.progress)


def test_a_meter_that_was_not_there_before_reads_what_it_has_missed(tmp_path, monkeypatch):
    """Means of earlier generations follow from the fitnesses that are kept."""
    run_one(tmp_path / "through", METERED)
    play, calls = evolving.returns, []

    def killed(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return play(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(evolving, "returns", killed)
        with pytest.raises(KeyboardInterrupt):
            run_one(tmp_path / "late", PLAIN, None)
    run_one(tmp_path / "late", METERED)
    assert readings(tmp_path / "late") == readings(tmp_path / "through")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"meter_every": -1}, "meter_every >= 0"),
        ({"meter_episodes": 0}, "meter_episodes >= 1"),
        ({"select_actual": True}, "select_actual needs a meter"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        EvolutionConfig(**wrong)


def test_a_meter_is_needed_where_one_shall_be_read(tmp_path):
    with pytest.raises(ValueError, match="meter_every is 3 and there is no meter"):
        run_one(tmp_path, METERED, None)
