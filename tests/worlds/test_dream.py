"""The dream: M's ticks from real starts, the same for a dream alone and among a thousand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent, tick
from worldmodels.worlds import noise
from worldmodels.worlds.dream import FIRST_LATENT, START, TICKS, DreamWorld
from worldmodels.worlds.dream_tick import POINTS_A_TILE, DreamConfig, left_out, road
from worldmodels.worlds.starts import Starts
from worldmodels.worlds.state import Step

SLOWLY = -1.0  # a first action with which the dream of these tests goes on
ENDING = 1.0


def dream(memory: MDNRNN, starts: Starts, features: str = "zh", **config: float | str) -> DreamWorld:
    return DreamWorld(memory, starts, DreamConfig(**config), features)  # type: ignore[arg-type]


def actions_for(seeds: Sequence[int], ticks: int) -> Tensor:
    """Actions (B, T, 2) of each dream, its own, none of which ends it."""
    rows = [torch.rand(ticks, 2, generator=torch.Generator().manual_seed(seed)) - 1 for seed in seeds]
    return torch.stack(rows)


def play(world: DreamWorld, seeds: Sequence[int], actions: Tensor) -> tuple[Tensor, list[Step]]:
    """First features, and a step for each action (B, T, A)."""
    first = world.reset(seeds)
    return first, [world.step(actions[:, t]) for t in range(actions.shape[1])]


def test_a_dream_alone_is_the_dream_among_a_thousand(memory: MDNRNN, starts: Starts):
    seeds, chosen = range(1000), [0, 1, 517, 999]
    actions = actions_for(seeds, 60)
    world = dream(memory, starts, temperature=1.15)
    first, together = play(world, seeds, actions)
    for seed in chosen:
        first_alone, alone = play(world, [seed], actions[seed : seed + 1])
        assert torch.equal(first_alone[0], first[seed]), "the same start"
        for t in range(60):
            assert_close(alone[t].features[0], together[t].features[seed], rtol=1e-4, atol=1e-4)
            assert_close(alone[t].reward[0], together[t].reward[seed], rtol=1e-4, atol=1e-4)


def test_the_same_seed_is_the_same_dream_and_another_is_another(memory: MDNRNN, starts: Starts):
    actions = actions_for([1, 2, 3], 10)
    (first, one), (first_again, again), (_, other) = (
        play(dream(memory, starts), seeds, actions) for seeds in ([1, 2, 3], [1, 2, 3], [1, 2, 4])
    )
    assert torch.equal(first, first_again)
    for a, b in zip(one, again, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))
        assert a.missed is b.missed is None, "a dream has no tiles"
    assert not torch.equal(one[9].features[2], other[9].features[2])
    assert torch.equal(one[9].features[:2], other[9].features[:2])


@pytest.mark.parametrize("features", ["z", "zh", "zch"])
def test_a_dream_is_ms_tick_from_a_start(memory: MDNRNN, starts: Starts, features: str):
    """The whole dream by hand, with nothing but the pieces."""
    world = dream(memory, starts, features, temperature=1.3)
    actions = actions_for([7], 5)
    first, steps = play(world, [7], actions)
    keys = noise.keys([7])
    which, where = noise.uniform(noise.fork(keys, START), 0, 2)[0].tolist()
    row = int(where * starts.openings)
    if which >= 0.5:
        row = starts.openings + int(where * (len(starts) - starts.openings))
    z = starts.mu[[row]] + torch.exp(0.5 * starts.logvar[[row]]) * noise.normal(
        noise.fork(keys, FIRST_LATENT), 0, 4
    )
    state = Recurrent(starts.h[[row]], starts.c[[row]])
    parts = {"z": lambda: [z], "zh": lambda: [z, state.h], "zch": lambda: [z, state.c, state.h]}[features]
    assert_close(first, torch.cat(parts(), dim=1))
    for t, step in enumerate(steps):
        uniform = noise.uniform(noise.fork(keys, TICKS), t, 4)
        after = tick(memory.config, memory.tick_weights(), z, actions[:, t], state, uniform, 1.3)
        z, state = after.z, after.memory
        assert after.reward is not None
        assert_close(step.features, torch.cat(parts(), dim=1))
        assert_close(step.reward, after.reward)


def test_ended_dreams_earn_nothing_and_stay_ended(memory: MDNRNN, starts: Starts):
    world = dream(memory, starts)
    world.reset([1, 2])
    calm = torch.full((2, 2), SLOWLY)
    step = world.step(calm)
    assert step.terminated.tolist() == [False, False]
    assert bool((step.reward.abs() > 0.1).all())
    step = world.step(torch.tensor([[ENDING, 0.0], [SLOWLY, 0.0]]))
    assert step.terminated.tolist() == [True, False]
    assert abs(float(step.reward[0])) > 0.1, "the action that ends a dream is still paid"
    for _ in range(5):
        step = world.step(calm)
        assert step.terminated.tolist() == [True, False]
        assert float(step.reward[0]) == 0
        assert abs(float(step.reward[1])) > 0.1
        assert step.truncated.tolist() == [False, False]


def test_the_end_is_a_cut_off_and_not_a_draw(memory: MDNRNN, starts: Starts):
    world = dream(memory, starts)
    world.reset(range(500))
    almost = torch.full((500, 2), SLOWLY)
    assert not world.step(almost).terminated.any()
    assert world.step(-almost).terminated.all()


def test_a_drawn_end_comes_as_often_as_m_holds_it_likely(memory: MDNRNN, starts: Starts):
    likely, weight = 0.05, 10.0  # with its weight in M's training the end looks like one of 0.34
    config = DreamConfig(ends="drawn")
    world = DreamWorld(
        certain_of(memory, math.log(weight * likely / (1 - likely))), starts, config, end_weight=weight
    )
    count, ticks = 2000, 20
    world.reset(range(count))
    lived = torch.zeros(count)
    for _ in range(ticks):
        step = world.step(torch.full((count, 2), SLOWLY))
        assert step.chance is not None
        assert_close(step.chance, torch.full((count,), likely), msg="less the weight that it had in training")
        lived += ~step.terminated
    expected = sum((1 - likely) ** tick for tick in range(1, ticks + 1))
    assert abs(float(lived.mean()) - expected) < 4 * float(lived.std()) / count**0.5
    world.reset([3])
    alone = [bool(world.step(torch.full((1, 2), SLOWLY)).terminated) for _ in range(ticks)]
    assert alone.count(False) == lived[3], "a dream ends alone where it ends among others"
    lap = dream(memory, starts, ends="drawn", lap=0.01, missed=4.2)
    (step,) = play(lap, range(9), torch.full((9, 1, 2), SLOWLY))[1]
    assert step.terminated.all()
    assert step.chance is not None
    assert (step.chance == 1).all(), "the end of a lap is sure"


def certain_of(memory: MDNRNN, end_logit: float) -> MDNRNN:
    """The same M with one logit for every end."""
    model = MDNRNN(memory.config).requires_grad_(False)
    model.load_state_dict(memory.state_dict())
    model.head.weight[-1], model.head.bias[-1] = 0.0, end_logit
    return model


def test_the_horizon_truncates(memory: MDNRNN, starts: Starts):
    world = dream(memory, starts, horizon=4)
    world.reset([1, 2])
    ended = torch.tensor([[ENDING, 0.0], [SLOWLY, 0.0]])
    steps = [world.step(ended) for _ in range(4)]
    assert [step.truncated.tolist() for step in steps] == [[False, False]] * 3 + [[False, True]]
    assert steps[3].terminated.tolist() == [True, False]


def test_a_lap_ends_a_dream_when_its_road_is_behind(memory: MDNRNN, starts: Starts):
    seeds, actions = range(20), actions_for(range(20), 30)
    _, endless = play(dream(memory, starts), seeds, actions)
    rewards = torch.stack([step.reward for step in endless], dim=1)  # (20, 30)
    for missed in (0.0, 3.0):
        behind = road(rewards, missed).cumsum(dim=1)
        over = behind >= 20  # after how many ticks
        assert bool(over.any()), "some laps end"
        assert not over[:, 0].any()
        _, lapped = play(dream(memory, starts, lap=20.0, missed=missed), seeds, actions)
        ended = torch.stack([step.terminated for step in lapped], dim=1)
        assert torch.equal(ended, over)
        earned = torch.stack([step.reward for step in lapped], dim=1)
        before = torch.cat([torch.zeros(20, 1, dtype=torch.bool), over[:, :-1]], dim=1)
        assert_close(earned, rewards.masked_fill(before, 0.0))  # the last tick of a lap is paid
        first, again = (dream(memory, starts, lap=20.0, missed=missed) for _ in range(2))
        for world in (first, again):
            play(world, seeds, actions[:, :15])
        again.keep(torch.arange(5, 20))
        for t in range(15, 30):
            assert torch.equal(
                first.step(actions[:, t]).terminated[5:], again.step(actions[5:, t]).terminated
            ), "a lap goes on where it was"


def test_a_dream_guesses_which_tiles_were_missed_and_none_after_its_end(memory: MDNRNN, starts: Starts):
    actions = actions_for(range(8), 40)
    _, steps = play(dream(memory, starts, lap=20.0, missed=4.2), range(8), actions)
    over = torch.zeros(8, dtype=torch.bool)
    for step in steps:
        assert step.missed is not None
        assert_close(step.missed, torch.where(over, 0.0, left_out(step.reward, 4.2) / POINTS_A_TILE))
        over = step.terminated
    assert over.all(), "some ticks came after an end"


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_that_share_of_the_dreams_begins_where_episodes_begin(memory: MDNRNN, starts: Starts, share: float):
    world = dream(memory, starts, openings=share)
    first = world.reset(range(3000))
    opening = ~first[:, 4:].any(dim=1)  # an empty memory
    assert float(opening.float().mean()) == pytest.approx(share, abs=0.04)


def test_every_start_is_chosen(memory: MDNRNN, starts: Starts):
    world = dream(memory, starts, openings=0.5)
    world.reset(range(6000))
    later = world.memory.h[world.memory.h.any(dim=1)]
    expected = starts.h[starts.openings :]
    counts = (later[:, None] == expected[None]).all(dim=2).sum(dim=0)
    assert int(counts.min()) > 0.5 * 3000 / len(expected)
    assert int(counts.max()) < 1.6 * 3000 / len(expected)


def test_the_first_latent_is_drawn_from_vs_posterior(memory: MDNRNN, starts: Starts):
    one = Starts(*(tensor[:1] for tensor in (starts.mu, starts.logvar, starts.h, starts.c)), openings=1)
    first = dream(memory, one, "z").reset(range(20_000))
    assert_close(first.mean(dim=0), one.mu[0], rtol=0, atol=0.05)
    assert_close(first.std(dim=0), torch.exp(0.5 * one.logvar[0]), rtol=0.03, atol=0)


def test_without_later_moments_every_dream_is_an_opening(memory: MDNRNN, starts: Starts):
    openings = Starts(
        *(tensor[: starts.openings] for tensor in (starts.mu, starts.logvar, starts.h, starts.c)),
        openings=starts.openings,
    )
    assert not dream(memory, openings, openings=0.0).reset(range(50))[:, 4:].any()


def test_an_m_that_predicts_no_end_cannot_dream(starts: Starts):
    with pytest.raises(ValueError, match="an M that predicts the end"):
        DreamWorld(MDNRNN(MDNRNNConfig(4, 2, 16, 3)), starts, DreamConfig())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_dream_on_a_gpu_is_the_dream_on_the_cpu(memory: MDNRNN, starts: Starts):
    seeds = range(64)
    actions = actions_for(seeds, 5)
    tensors = (tensor.cuda() for tensor in (starts.mu, starts.logvar, starts.h, starts.c))
    on_gpu = Starts(*tensors, openings=starts.openings)
    moved = MDNRNN(memory.config).cuda().requires_grad_(False)
    moved.load_state_dict(memory.state_dict())
    first, steps = play(dream(memory, starts), seeds, actions)
    first_gpu, steps_gpu = play(dream(moved, on_gpu), seeds, actions.cuda())
    assert_close(first_gpu.cpu(), first, rtol=1e-4, atol=1e-5)
    for a, b in zip(steps_gpu, steps, strict=True):
        # A draw next to the border of two components may fall on the other side: that dream goes another way.
        close = torch.isclose(a.features.cpu(), b.features, rtol=1e-3, atol=1e-3).all(dim=1)
        assert int((~close).sum()) <= 1
        assert torch.equal(a.terminated.cpu(), b.terminated)
