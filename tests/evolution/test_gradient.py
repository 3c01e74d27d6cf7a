"""Learning C by policy gradient: in a world where standing still is a fall, with sums that can be done by hand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution import gradient as learning
from worldmodels.evolution.controllers import load_controller
from worldmodels.evolution.evolve import EvolutionConfig
from worldmodels.evolution.fitness import returns
from worldmodels.evolution.gradient import learn
from worldmodels.evolution.policy import Policy
from worldmodels.evolution.ppo import GradientConfig
from worldmodels.evolution.trying import Dreamers, Players
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.interrupt import Interrupt
from worldmodels.runs.metrics import read_metrics
from worldmodels.worlds.state import Step

POLE = ControllerConfig(feature_size=2, action_kinds=("symmetric",))
SEARCH = EvolutionConfig(generations=25, search="gradient")
GRADIENT = GradientConfig(dreams=64, ticks=16, batch_size=512, learning_rate=0.01)


class Pole:
    """Something that falls to the side to which it leans, unless it is pushed back; a tick that it stands pays 1.

    C sees a thousand times where it is, and a number that means nothing.
    """

    feature_size, horizon, at_once, game_steps = 2, 40, 1000, 0
    device = torch.device("cpu")
    records = False

    def __init__(self) -> None:
        self.recordings: dict[Any, Any] = {}
        self.state: tuple[Tensor, ...] = ()

    def reset(self, seeds: Sequence[int]) -> Tensor:
        at = torch.tensor([(seed % 1999) / 999 - 1 for seed in seeds]) * 0.3
        self.state = at, torch.zeros(len(at)), torch.zeros(len(at), dtype=torch.bool)
        return self.seen()

    def seen(self) -> Tensor:
        at, ticks, _ = self.state
        return torch.stack([1000 * at, 5 + torch.sin(ticks)], dim=1)

    def step(self, actions: Tensor) -> Step:
        at, ticks, fallen = self.state
        at, ticks = (1.25 * at + 0.2 * actions[:, 0]).clamp(-2, 2), ticks + 1
        self.state = at, ticks, fallen | (at.abs() > 1)
        ended = self.state[2]
        return Step(self.seen(), (~fallen).float(), ended, (ticks >= self.horizon) & ~ended)

    def keep(self, rows: Tensor) -> None:
        self.state = tuple(part[rows] for part in self.state)


class ActualPole:
    """The same as a game: where it stands cannot be kept, and what was played is counted."""

    feature_size, horizon, at_once = 2, 40, 1000
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.pole, self.game_steps = Pole(), 0
        self.began: list[list[int]] = []

    def reset(self, seeds: Sequence[int]) -> Tensor:
        self.tick = 0
        self.began.append(list(seeds))
        return self.pole.reset(seeds)

    def step(self, actions: Tensor) -> Step:
        assert self.tick < self.horizon, "no world is stepped beyond its horizon"
        self.tick += 1
        self.game_steps += int((~self.pole.state[2]).sum())
        return self.pole.step(actions)

    def keep(self, rows: Tensor) -> None:
        self.pole.keep(rows)


def learnt(
    folder: Path,
    config: ControllerConfig = POLE,
    search: EvolutionConfig = SEARCH,
    gradient: GradientConfig = GRADIENT,
    start: np.ndarray | None = None,
    worlds: int = 1,
    save_every: float = 0.0,
    kind: type[Pole] | type[ActualPole] = Pole,
) -> RunFolder:
    run = RunFolder(folder)
    learn(
        run,
        config,
        search,
        gradient,
        [kind() for _ in range(worlds)],
        path=run.controller(0),
        log_name="evolve-00",
        round=0,
        seed=1,
        made_from={"memory": "m"},
        start=start,
        save_every=save_every,
    )
    return run


def stands_for(run: RunFolder) -> float:
    config, parameters, _ = load_controller(run.controller(0))
    return float(returns(config, parameters[None], Pole(), range(0, 2000, 40)).mean())


@pytest.mark.parametrize(
    "config", [POLE, replace(POLE, bias=False), replace(POLE, hidden=6)], ids=["biases", "none", "hidden"]
)
def test_c_learns_to_stand_from_zero(tmp_path, config):
    nothing = float(returns(POLE, torch.zeros(1, 3), Pole(), range(0, 2000, 40)).mean())
    run = learnt(tmp_path, config)
    assert nothing < 15
    assert stands_for(run) > 38, "of 40, without noise and critic"
    log = read_metrics(run, "evolve-00")
    assert len(log) == SEARCH.generations
    assert log[-1]["mean"] > log[0]["mean"] + 10


def test_c_learns_in_whole_episodes_of_a_game_whose_steps_are_counted(tmp_path):
    run = learnt(tmp_path, gradient=replace(GRADIENT, games=32), kind=ActualPole)
    assert stands_for(run) > 38, "of 40, without noise and critic"
    played = load_checkpoint(run.controller(0), kind="controller").progress["game_steps"]
    log = read_metrics(run, "evolve-00")
    # Each tick pays 1, but the one in which it falls; four times they are looked at before.
    earned = sum(32 * line["mean"] for line in log)
    assert earned < played < earned + 32 * SEARCH.generations + 4 * 32 * 40


def test_every_generation_of_a_game_has_episodes_of_its_own():
    world = ActualPole()
    gradient = replace(GRADIENT, games=4, batch_size=32)
    searching = learning.Learning(POLE, gradient, [world], 4, None, 1, 0)
    for number in range(3):
        assert set(searching.generation(number)) >= {"best", "mean", "worst", "sigma"}
        assert searching.dreamers[0].over.all(), "they are whole"
    looks, played = world.began[:-3], world.began[-3:]
    assert looks == [looks[0]] * 4, "the features are looked at for 160 ticks, in some of their own"
    assert len({seed for seeds in [looks[0], *played] for seed in seeds}) == 16
    assert not any(name.startswith("dreams.") for name in searching.state())


@pytest.mark.parametrize("last_noise", [None, 0.05])
@pytest.mark.parametrize(("worlds", "kind"), [(1, Pole), (2, Pole), (1, ActualPole)])
def test_killed_anywhere_it_goes_on_to_the_same_c(tmp_path, monkeypatch, worlds, kind, last_noise):
    search, gradient = replace(SEARCH, generations=6, averaged=4), replace(GRADIENT, last_noise=last_noise)
    start = np.array([0.001, 0, 0], np.float32)
    told = {"search": search, "gradient": gradient, "start": start, "worlds": worlds, "kind": kind}
    whole = learnt(tmp_path / "whole", **told)
    generation = learning.Learning.generation

    def killed(self: Any, number: int) -> Any:
        numbers.append(number)
        if numbers == [0, 1, 2, 3]:
            raise KeyboardInterrupt
        return generation(self, number)

    numbers: list[int] = []
    monkeypatch.setattr(learning.Learning, "generation", killed)
    with pytest.raises(KeyboardInterrupt):
        learnt(tmp_path / "killed", **told)
    assert len(read_metrics(RunFolder(tmp_path / "killed"), "evolve-00")) == 3
    run = learnt(tmp_path / "killed", **told)
    assert numbers == [0, 1, 2, 3, 3, 4, 5]
    assert run.controller(0).read_bytes() == whole.controller(0).read_bytes(), (
        "and nothing is played twice for it"
    )
    assert read_metrics(run, "evolve-00") == read_metrics(whole, "evolve-00")
    assert not run.resume(run.controller(0)).exists()


def test_another_start_or_other_settings_begin_anew(tmp_path, monkeypatch):
    numbers: list[int] = []

    def counted(self: Any, number: int) -> Any:
        numbers.append(number)
        if number == 2:
            raise KeyboardInterrupt
        return generation(self, number)

    generation = learning.Learning.generation
    monkeypatch.setattr(learning.Learning, "generation", counted)
    for start, gradient in (
        (None, GRADIENT),
        (None, GRADIENT),  # goes on
        (np.zeros(3, np.float32), GRADIENT),
        (np.ones(3, np.float32), GRADIENT),
        (np.ones(3, np.float32), replace(GRADIENT, clip=0.1)),
    ):
        with pytest.raises(KeyboardInterrupt):
            learnt(tmp_path, start=start, gradient=gradient)
    assert numbers == [0, 1, 2, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]


def test_ctrl_c_keeps_the_generation_that_was_going_on(tmp_path, monkeypatch):
    interrupt = Interrupt()
    monkeypatch.setattr(learning, "deferred_interrupt", lambda: nullcontext(interrupt))
    generation = learning.Learning.generation

    def pressed(self: Any, number: int) -> Any:
        interrupt.requested = number == 1
        return generation(self, number)

    monkeypatch.setattr(learning.Learning, "generation", pressed)
    with pytest.raises(KeyboardInterrupt):
        learnt(tmp_path, save_every=1e9)
    run = RunFolder(tmp_path)
    kept = load_checkpoint(run.resume(run.controller(0)), kind="controller-evolution")
    assert kept.progress == {"generation": 2, "game_steps": 0}
    assert len(kept.weights["means"]) == 2
    interrupt.requested = False
    shorter = learnt(tmp_path, search=replace(SEARCH, generations=1))
    _, parameters, _ = load_controller(shorter.controller(0))
    assert torch.equal(parameters, kept.weights["means"][0]), "with fewer generations asked for none is lost"


def test_a_learning_that_diverges_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"diverged in generation .* gradient.learning_rate below"):
        learnt(tmp_path, gradient=replace(GRADIENT, learning_rate=1e30))


def test_what_is_over_counts_no_more_and_only_that_begins_anew():
    world = Pole()
    those = Dreamers(world, POLE, jerk_cost=0.0)
    those.begin(range(0, 2000, 100))
    policy = Policy(POLE, torch.zeros(2), torch.ones(2), 0.5, 0)
    tried = those.live(policy, torch.zeros(12, 20, 1), 0.5)
    lasted = tried.counts.sum(dim=0)
    assert lasted.min() < 12, "some fall"
    assert lasted.max() == 12, "some do not"
    assert torch.equal(tried.rewards, 0.5 * tried.counts)
    assert torch.equal(those.earned, lasted.float())
    assert torch.equal(those.over, tried.over[-1])
    before, over = [part.clone() for part in those.state], those.over.clone()
    those.begin_anew(range(1000, 1020))
    assert not those.over.any()
    for old, new in zip(before, those.state, strict=True):
        assert torch.equal(old[~over], new[~over])
    assert torch.equal(those.earned[over], torch.zeros(int(over.sum())))
    assert torch.equal(world.state[0][over], fallen_asleep(range(1000, 1000 + int(over.sum()))))


def fallen_asleep(seeds: Sequence[int]) -> Tensor:
    world = Pole()
    world.reset(seeds)
    return world.state[0]


def test_more_episodes_than_a_world_bears_at_once_are_played_in_turn():
    """And come to the same, in all that counts."""
    noise = torch.randn(40, 10, 1, generator=torch.Generator().manual_seed(0))
    policy = Policy(POLE, torch.zeros(2), torch.ones(2), 0.5, 0)
    found = []
    for at_once in (1000, 4):
        world = ActualPole()
        world.at_once = at_once
        those = Players(world, POLE, jerk_cost=0.1)
        those.begin(range(0, 1000, 100))
        tried = those.live(policy, noise, 1.0)
        assert len(tried.over) == tried.counts.sum(dim=0).max() < 40, "none goes on when all have fallen"
        seen = tried.seen[:-1][tried.counts]
        parts = (part[tried.counts] for part in (tried.outputs, tried.rewards, tried.ends, tried.over))
        found.append((tried.counts, seen, *parts, those.earned, those.over))
        assert [len(seeds) for seeds in world.began] == ([10] if at_once == 1000 else [4, 4, 2])
    for whole, in_turn in zip(*found, strict=True):
        torch.testing.assert_close(in_turn, whole)


def test_an_unfinished_search_in_dreams_does_not_go_on_in_a_game(tmp_path, monkeypatch):
    numbers: list[int] = []

    def counted(self: Any, number: int) -> Any:
        numbers.append(number)
        if number == 2:
            raise KeyboardInterrupt
        return generation(self, number)

    generation = learning.Learning.generation
    monkeypatch.setattr(learning.Learning, "generation", counted)
    for kind in (Pole, ActualPole, Pole):
        with pytest.raises(KeyboardInterrupt):
            learnt(tmp_path, kind=kind)
    assert numbers == [0, 1, 2] * 3


def test_a_jerk_costs_from_the_second_action_on():
    those = Dreamers(Pole(), POLE, jerk_cost=0.1)
    those.begin([999])
    policy = Policy(POLE, torch.zeros(2), torch.ones(2), 1.0, 0)
    noise = torch.tensor([1.0, -1.0])
    tried = those.live(policy, noise.view(2, 1, 1), 1.0)
    jump = 2 * np.tanh(1.0)
    assert tried.rewards[:, 0].tolist() == pytest.approx([1.0, 1 - 0.1 * jump**2])


def test_a_noise_that_falls_is_what_is_tried_and_is_not_learnt(tmp_path):
    # Its rate falls with it: on average it is a third of the first one.
    run = learnt(tmp_path, gradient=replace(GRADIENT, last_noise=0.05, learning_rate=0.04))
    log = read_metrics(run, "evolve-00")
    expected = 0.5 * 0.1 ** np.minimum(1, np.arange(25) / 18.75)
    np.testing.assert_allclose([line["sigma"] for line in log], expected, rtol=1e-5)
    assert stands_for(run) > 38, "of 40, without noise and critic"
    assert stands_for(learnt(tmp_path / "learnt")) > 38
    assert read_metrics(RunFolder(tmp_path / "learnt"), "evolve-00")[-1]["sigma"] != log[-1]["sigma"]


def test_of_other_generations_a_noise_that_falls_is_another_one(tmp_path, monkeypatch):
    first: list[int] = []
    generation = learning.Learning.generation

    def counted(self: Any, number: int) -> Any:
        first.append(number)
        if first == [0, 1, 2]:
            raise KeyboardInterrupt
        return generation(self, number)

    monkeypatch.setattr(learning.Learning, "generation", counted)
    falls = replace(GRADIENT, last_noise=0.1)
    with pytest.raises(KeyboardInterrupt):
        learnt(tmp_path, search=replace(SEARCH, generations=4), gradient=falls)
    learnt(tmp_path, search=replace(SEARCH, generations=5), gradient=falls)
    assert first == [0, 1, 2, 0, 1, 2, 3, 4]
