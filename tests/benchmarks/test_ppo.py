"""PPO beside ours: what is counted, what is saved, and that a stopped run goes on."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from worldmodels.envs.car_racing import CAR_RACING
from worldmodels.envs.pool import open_pool
from worldmodels.errors import UserError
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.interrupt import Interrupt

Script = Callable[[str], Any]
CPU = torch.device("cpu")
STEPS = 26  # of an episode: 6 actions held for 4 steps, and one for 2
AN_UPDATE = 2 * 2 * STEPS  # frames: 2 cars, 14 decisions of each


@pytest.fixture
def learner(script: Script) -> Any:
    return script("ppo_learner")


@pytest.fixture
def ppo(
    script: Script,
    learner: Any,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: Callable[[], AbstractContextManager[None]],
) -> Iterator[Any]:
    """The script, with short episodes."""
    pytest.importorskip("stable_baselines3", reason="PPO comes with the extra `ppo`")
    module = script("ppo")
    for place in (module, script("ppo_car")):
        monkeypatch.setattr(place, "CAR_RACING", replace(CAR_RACING, max_steps=STEPS))
    with one_thread():
        yield module


@pytest.fixture
def plan(learner: Any) -> Any:
    """Two small updates, each of two whole episodes of two cars, and a milestone after each."""
    settings = learner.PPOSettings(n_envs=2, n_steps=14, batch_size=14, n_epochs=1, net_arch=8)
    return learner.Plan(7, (AN_UPDATE - 4, AN_UPDATE + 1), 2, settings)


@pytest.fixture
def score_nothing(ppo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def scored(asked: int, learner: Any) -> dict[str, Any]:
        return {"asked": asked, "frames": learner.spent.frames, "updates": learner.spent.updates}

    monkeypatch.setattr(ppo, "scored", scored)


def tensors(learner: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.model.policy.named_parameters()}


def equal(ours: Mapping[str, torch.Tensor], theirs: Mapping[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("frames", [(), (0,), (200, 100), (100, 100)])
def test_milestones_rise(learner: Any, frames: tuple[int, ...]):
    with pytest.raises(UserError, match="--frames must be rising numbers above 0"):
        learner.Plan(0, frames, 16, learner.PPOSettings())


def test_where_it_is_not_installed_one_sentence_says_what_to_type(learner: Any):
    with pytest.raises(UserError, match=r"type pip install .*\[ppo\]"):
        learner.library("_of_another_name")


def test_frames_are_counted_to_the_step_and_the_record_says_what_was_done(
    ppo: Any, plan: Any, tmp_path: Path
):
    """With its real scores; the second milestone needs a second update."""
    record = ppo.train(tmp_path, plan, CPU, command="python benchmarks/ppo.py")
    assert record == json.loads((tmp_path / "ppo.json").read_text())
    first, second = record["milestones"]
    assert [(m["asked"], m["frames"], m["updates"]) for m in (first, second)] == [
        (AN_UPDATE - 4, AN_UPDATE, 1),
        (AN_UPDATE + 1, 2 * AN_UPDATE, 2),
    ]
    for milestone in (first, second):
        scores = milestone["scores"]
        assert (milestone["episodes"], len(scores), milestone["backend"]) == (2, 2, "gymnasium")
        assert milestone["mean"] == pytest.approx(np.mean(scores))
        assert milestone["standard_error"] == pytest.approx(np.std(scores, ddof=1) / 2**0.5)
        assert milestone["seconds"] == milestone["playing_seconds"] + milestone["learning_seconds"]
        assert milestone["peak_memory_mb"] > 0
    assert second["seconds"] > first["seconds"] > 0
    assert first["scores"] != second["scores"], "each milestone has tracks of its own"
    assert record["plan"]["settings"]["n_steps"] == 14
    assert record["versions"]["stable-baselines3"]
    assert record["machine"]["cpu"]


def test_the_score_is_of_what_was_trained_on(ppo: Any, learner: Any, script: Script, plan: Any):
    """What the driver sees in Gymnasium's own game is what the cars show while PPO learns."""
    own = learner.Learner(plan, learner.Spent(), CPU, processes=False)
    seen: list[np.ndarray] = []

    def choose(stacked: np.ndarray) -> np.ndarray:
        seen.append(stacked)
        return own.choose(stacked)

    driver = ppo.Driver(choose, 2)
    cars = own.model.env
    stacked = cars.reset()  # (2, 2, 64, 64)
    with open_pool(CAR_RACING, "gymnasium", 4) as pool:
        frames = pool.reset([script("ppo_car").training_track(plan.seed, car, 0, 0) for car in range(2)])
        driver.start([0, 0])
        for _ in range(5):
            actions = driver.act(frames)
            assert np.array_equal(seen[-1], stacked)
            stacked = cars.step(actions)[0]
            frames = pool.step(actions).frames


def test_what_is_saved_is_all_that_is_learnt(ppo: Any, learner: Any, plan: Any, tmp_path: Path):
    one = learner.Learner(plan, learner.Spent(), CPU, processes=False)
    before = tensors(one)
    assert one.update(Interrupt()).frames == AN_UPDATE
    assert not equal(before, tensors(one)), "it has learnt something"
    one.save(tmp_path / "one.safetensors")

    state = load_checkpoint(tmp_path / "one.safetensors", kind="ppo")
    other = learner.Learner(replace(plan, seed=8), learner.Spent(**state.progress), CPU, processes=False)
    assert not equal(tensors(one), tensors(other))
    other.restore(state.weights)
    assert equal(tensors(one), tensors(other))
    assert other.spent == one.spent
    for name in ("mean", "var", "count"):
        assert getattr(other.rewards.ret_rms, name) == getattr(one.rewards.ret_rms, name)
    pairs = zip(one.model.policy.parameters(), other.model.policy.parameters(), strict=True)
    for mine, theirs in pairs:
        adams = [own.model.policy.optimizer.state[p] for own, p in ((one, mine), (other, theirs))]
        assert equal(*adams)
    assert other.update(Interrupt()) is not None
    steps = {int(state["step"]) for state in other.model.policy.optimizer.state.values()}
    assert steps == {4}, "two batches an update: it has gone on and not begun again"


def test_the_rate_falls_by_frames_until_the_last_milestone(ppo: Any, learner: Any, plan: Any):
    spent = learner.Spent()
    own = learner.Learner(plan, spent, CPU, processes=False)
    assert own.rate(0.5) == 1e-4
    own.update(Interrupt())
    assert own.model.policy.optimizer.param_groups[0]["lr"] == 1e-4
    assert own.rate(0.5) == pytest.approx(1e-4 * (1 - AN_UPDATE / (AN_UPDATE + 1)))
    spent.frames = 10**9
    assert own.rate(0.5) == 0


@pytest.mark.usefixtures("score_nothing")
def test_ctrl_c_while_it_plays_saves_and_the_same_command_goes_on(
    ppo: Any, learner: Any, plan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pressed = []

    class Interrupted(learner.Played):
        """Ctrl-C at the third decision of the second update."""

        def add(self, infos: Any) -> None:
            super().add(infos)
            pressed.append(self.decisions)
            if len(pressed) == 14 + 3:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(learner, "Played", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        ppo.train(tmp_path, plan, CPU)
    assert len(pressed) == 17, "it stops at once"
    state = load_checkpoint(tmp_path / "ppo.safetensors", kind="ppo")
    assert (state.progress["frames"], state.progress["updates"]) == (AN_UPDATE, 1)
    record = json.loads((tmp_path / "ppo.json").read_text())
    assert [m["frames"] for m in record["milestones"]] == [AN_UPDATE]

    again = ppo.train(tmp_path, plan, CPU)
    assert again["milestones"][0] == record["milestones"][0]
    assert [m["frames"] for m in again["milestones"]] == [AN_UPDATE, 2 * AN_UPDATE]
    assert len(pressed) == 17 + 14, "what was learnt before is not learnt again"
    assert again == ppo.train(tmp_path, plan, CPU), "and there is nothing more to do"
    assert len(pressed) == 17 + 14


@pytest.mark.usefixtures("score_nothing")
def test_a_run_that_was_killed_while_it_was_scored_is_scored_again(
    ppo: Any, plan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scored = ppo.scored

    def killed(asked: int, learner: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(ppo, "scored", killed)
    with pytest.raises(KeyboardInterrupt):
        ppo.train(tmp_path, plan, CPU)
    monkeypatch.setattr(ppo, "scored", scored)
    record = ppo.train(tmp_path, plan, CPU)
    assert [(m["frames"], m["updates"]) for m in record["milestones"]] == [(AN_UPDATE, 1), (2 * AN_UPDATE, 2)]


@pytest.mark.usefixtures("score_nothing")
def test_a_run_keeps_the_plan_that_it_was_begun_with(ppo: Any, plan: Any, tmp_path: Path):
    ppo.train(tmp_path, plan, CPU)
    for other in (replace(plan, seed=8), replace(plan, frames=(100, 10**6)), replace(plan, episodes=3)):
        with pytest.raises(UserError, match="was begun with other settings"):
            ppo.train(tmp_path, other, CPU)
    record = json.loads((tmp_path / "ppo.json").read_text())
    record["milestones"].pop()
    (tmp_path / "ppo.json").write_text(json.dumps(record))
    (tmp_path / "ppo.safetensors").unlink()
    with pytest.raises(UserError, match="is gone"):
        ppo.train(tmp_path, plan, CPU)
