"""The actual games: what is counted, what is timed, and a plain agent that does what the one in batches does."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from worldmodels.bench import playing
from worldmodels.bench.measurement import Budget
from worldmodels.bench.player import PlainPlayer, Player
from worldmodels.envs.game import game
from worldmodels.envs.pool import PoolStep
from worldmodels.errors import UserError

QUICK = Budget(seconds=0.01, least=2, warm_up=0)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread):
    with one_thread():
        yield


@pytest.fixture(scope="module")
def toy() -> Player:
    return Player.untrained(game("toy"), CPU)


def test_samples_are_timed_and_resets_are_not(monkeypatch):
    clock = {"now": 0.0}
    begun, asked = [], []

    def begin():
        clock["now"] += 1000.0
        begun.append(len(asked))

    def sample(ticks):
        asked.append(ticks)
        clock["now"] += 0.25 * ticks
        return 8 * ticks, len(asked) % 2 == 0

    monkeypatch.setattr(time, "perf_counter", lambda: clock["now"])
    rate = playing.steps_a_second(begin, sample, Budget(seconds=16.0, least=3, warm_up=1))
    assert (rate.low, rate.median, rate.high) == (32.0, 32.0, 32.0)
    # Two single ticks to learn how long one takes, one sample to warm up, and 16 seconds of samples of 2.
    assert asked == [1, 1] + [8] * 9
    assert begun == [0, 2, 4, 6, 8, 10]  # once at first, and after every second sample


@pytest.mark.parametrize(("one_tick", "expected"), [(1e-6, playing.MOST), (0.1, 10), (100.0, 1)])
def test_samples_are_of_at_least_one_tick_and_at_most_the_most(monkeypatch, one_tick, expected):
    clock, asked = {"now": 0.0}, []

    def sample(ticks):
        asked.append(ticks)
        clock["now"] += one_tick if len(asked) <= 2 else 1000.0
        return ticks, False

    monkeypatch.setattr(time, "perf_counter", lambda: clock["now"])
    playing.steps_a_second(lambda: None, sample, Budget(seconds=8.0, least=2, warm_up=1))
    assert asked == [1, 1] + [expected] * 3


@pytest.mark.parametrize("name", ["car-racing", "take-cover", "toy"])
def test_the_plain_agent_does_what_the_one_in_batches_does(name):
    """Given the same frames: through V, M with and without a restart flag, and C with each kind of action."""
    player = Player.untrained(game(name), CPU)
    frames = np.random.default_rng(0).integers(0, 256, (6, 1, 64, 64, 3), np.uint8)
    film: Any = _Film(player.spec, frames)
    world = player.world(film)
    plain = PlainPlayer(player)
    for _ in range(2):  # a second episode begins with an empty memory
        seen, action = world.reset([0]), plain.begin(frames[0])
        for tick in range(1, len(frames)):
            expected, step = player.play_on(world, seen)
            np.testing.assert_allclose(action, expected.numpy(), atol=1e-5)
            seen, action = step.features, plain.act(frames[tick])
    assert world.senses.memory.h.abs().max() > 0.01, "M has something to remember"


class _Film:
    """A pool of one game that shows the same frames whatever is done."""

    action_repeat = 1

    def __init__(self, spec, frames):
        self.spec, self.frames, self.at = spec, frames, 0

    @property
    def steps_taken(self):
        return np.array([self.at])

    def reset(self, seeds):
        self.at = 0
        return self.frames[0]

    def step(self, actions):
        self.at += 1
        going = np.zeros(1, bool)
        return PoolStep(self.frames[self.at], np.zeros(1, np.float32), going, going, np.zeros(1, np.int64))


def test_paper_sizes():
    car, cover = (Player.untrained(game(name), CPU) for name in ("car-racing", "take-cover"))
    assert (car.vision.config.latent_size, car.memory.config.hidden_size) == (32, 256)
    assert car.parameters.shape == (867,)
    assert car.memory.config.predicts_reward
    assert car.memory.config.predicts_end
    assert (cover.vision.config.latent_size, cover.memory.config.hidden_size) == (64, 512)
    assert cover.parameters.shape == (1088,)
    assert cover.memory.config.restart_flag
    assert not cover.memory.config.predicts_reward


def test_a_game_gives_all_its_lines():
    heard = []
    found = playing.measure_actual(["toy"], QUICK, heard.append)
    own = ["backends.toy.own.raw", "backends.toy.own.agent"]
    assert heard == own == playing.measured_names(["toy"])
    assert [row.name for row in found] == ["actual_raw.toy", "actual_agent.toy", *own]
    raw, agent = found[:2]
    assert (raw.value, agent.value) == (found[2].value, found[3].value)
    assert agent.floor == raw.value
    assert agent.bound == "raw game"
    assert agent.fraction
    assert agent.ratio
    assert {row.unit for row in found} == {"steps"}
    for row in found:
        assert row.low is not None
        assert row.value is not None
        assert row.high is not None
        assert row.low <= row.value <= row.high


def test_backends_that_are_missing_leave_a_note(monkeypatch):
    slow, fast = playing.Rate(2.0, 1.0, 3.0), playing.Rate(3.0, 2.0, 4.0)

    def missing(*_):
        raise UserError("type something else")

    def only_gymnasium(player, backend, budget, held=1):
        assert held == 1 or backend in ("gymnasium", "sketch")
        return {"gymnasium": slow, "sketch": fast}.get(backend) or missing()

    monkeypatch.setattr(playing, "raw_steps", only_gymnasium)
    monkeypatch.setattr(playing, "agent_steps", only_gymnasium)
    monkeypatch.setattr(playing, "plain_steps", missing)
    rows = {row.name: row for row in playing.measure_actual(["car-racing"], QUICK, lambda _: None)}
    assert rows["backends.car_racing.envpool.raw"].value is None
    assert rows["backends.car_racing.envpool.agent"].note == "type something else"
    assert rows["actual_raw.car_racing"].value == 2.0, "Gymnasium's where there is no EnvPool"
    assert rows["actual_agent.car_racing"].floor == 2.0
    assert rows["actual_agent.car_racing"].value == 3.0, "with sketches, where they are faster"
    assert rows["actual_agent.car_racing"].plain is None
    assert list(rows)[2:] == playing.measured_names(["car-racing"])
    assert rows["backends.car_racing.gymnasium.held"].floor == 2.0
    assert [rows[f"backends.car_racing.sketch.{kind}"].fraction for kind in ("agent", "held")] == [1.5, 1.5]
    monkeypatch.setattr(playing, "raw_steps", missing)
    monkeypatch.setattr(playing, "agent_steps", missing)
    rows = playing.measure_actual(["take-cover"], QUICK, lambda _: None)
    assert [row.value for row in rows] == [None] * 4
    assert {row.note for row in rows} == {"type something else"}


def test_envpool_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(playing, "why_envpool_cannot_play", lambda _: "EnvPool cannot be imported.")
    with pytest.raises(UserError, match=r"EnvPool cannot be imported\. Type `pip install envpool`"):
        playing.raw_steps(Player.untrained(game("car-racing"), CPU), "envpool", QUICK)


def test_the_agent_counts_the_steps_of_games_that_go_on(toy, monkeypatch):
    """The toy's games end, and what follows an end is neither played nor counted."""
    counted = {}

    def listen(begin, sample, budget):
        begin()
        total, over, rounds = 0, False, 0
        while not over:
            steps, over = sample(7)
            total, rounds = total + steps, rounds + 1
        counted.update(total=total, rounds=rounds)
        return playing.Rate(1.0, 1.0, 1.0)

    monkeypatch.setattr(playing, "steps_a_second", listen)
    playing.agent_steps(toy, "own", QUICK)
    ticks = counted["total"] / toy.batch
    assert 7 * (counted["rounds"] - 1) < ticks <= min(7 * counted["rounds"], toy.spec.max_steps)
    assert ticks == int(ticks), "all games were played in each tick"


def test_workers_of_gymnasium_end_with_the_measurement():
    player = Player.untrained(game("car-racing"), CPU)
    before = _children()
    assert playing.raw_steps(player, "gymnasium", QUICK).median > 0
    assert _children() <= before


def _children():
    return {child.pid for child in psutil.Process().children()}


def test_envpools_batch_has_the_steps_that_were_asked_for(monkeypatch):
    pytest.importorskip("envpool")
    player = Player.untrained(game("car-racing"), CPU)
    counted = []

    def listen(begin, sample, budget):
        begin()
        counted.append(sample(3))
        return playing.Rate(1.0, 1.0, 1.0)

    monkeypatch.setattr(playing, "steps_a_second", listen)
    playing.raw_steps(player, "envpool", QUICK)
    playing.agent_steps(player, "envpool", QUICK)
    assert counted == [(3 * player.batch, False)] * 2
