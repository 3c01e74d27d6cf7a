"""M: the paper's network at two speeds, with one set of weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent, advance, tick

SMALL = MDNRNNConfig(
    latent_size=4,
    action_size=2,
    hidden_size=16,
    mixtures=3,
    predicts_reward=True,
    predicts_end=True,
    reward_scale=10.0,
)


@pytest.fixture(scope="module")
def model() -> MDNRNN:
    torch.manual_seed(0)
    return MDNRNN(SMALL).requires_grad_(False)


def random_sequence(rows: int, ticks: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, ticks, SMALL.latent_size, generator=generator)
    return z, 2 * torch.rand(rows, ticks, SMALL.action_size, generator=generator) - 1


TAKE_COVER = MDNRNNConfig(
    latent_size=64,
    action_size=1,
    hidden_size=512,
    predicts_end=True,
    restart_flag=True,
)
FLAGGED = replace(SMALL, restart_flag=True)


@pytest.mark.parametrize(("config", "count"), [(MDNRNNConfig(), 422_368), (TAKE_COVER, 1_678_785)])
def test_the_parameter_counts_are_the_papers(config: MDNRNNConfig, count: int):
    model = MDNRNN(config)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count
    *weights, layers = model.tick_weights()
    assert sum(part.numel() for part in weights) == count
    assert layers == ()


def test_the_restart_flag_is_seen_where_an_episode_begins_and_nowhere_else():
    """With only the flag's weight left, every later tick is what an M without the flag would do."""
    torch.manual_seed(1)
    flagged = MDNRNN(FLAGGED).requires_grad_(False)
    plain = MDNRNN(SMALL).requires_grad_(False)
    column = SMALL.input_size
    weights = flagged.state_dict()
    inputs = weights.pop("lstm.weight_ih_l0")
    plain.load_state_dict(weights | {"lstm.weight_ih_l0": inputs[:, :column]})
    z, actions = random_sequence(2, 9)
    bias = plain.lstm.get_parameter("bias_ih_l0")
    bias += inputs[:, column]  # what the flag adds
    first, memory = plain.follow(z[:, :1], actions[:, :1])
    bias -= inputs[:, column]
    later = plain.sequence(z[:, 1:], actions[:, 1:], memory)
    assert_close(flagged.sequence(z, actions), torch.cat([first, later], dim=1), rtol=1e-5, atol=1e-6)


def test_with_the_restart_flag_tick_by_tick_is_the_whole_sequence():
    torch.manual_seed(0)
    model = MDNRNN(FLAGGED).requires_grad_(False)
    z, actions = random_sequence(3, 20)
    hidden, last = model.follow(z, actions)
    weights, memory = model.tick_weights(), model.initial(3)
    for t in range(20):
        assert memory.restart().squeeze(1).tolist() == [float(t == 0)] * 3
        memory = advance(weights, z[:, t], actions[:, t], memory)
        assert_close(memory.h, hidden[:, t], rtol=1e-5, atol=1e-6)
    assert_close(tuple(memory), tuple(last), rtol=1e-5, atol=1e-6)
    _, middle = model.follow(z[:, :8], actions[:, :8])
    again = model.sequence(z[:, 8:], actions[:, 8:], middle)
    assert_close(again, hidden[:, 8:], rtol=1e-5, atol=1e-6)


def test_without_a_reward_head_staying_alive_pays():
    model = MDNRNN(replace(SMALL, predicts_reward=False)).requires_grad_(False)
    z, actions = random_sequence(3, 1)
    after = tick(
        model.config,
        model.tick_weights(),
        z[:, 0],
        actions[:, 0],
        model.initial(3),
        torch.full((3, 4), 0.5),
        1.0,
    )
    assert after.reward.tolist() == [1, 1, 1]


def test_the_forget_gate_begins_open():
    model = MDNRNN(SMALL)
    gates = model.tick_weights().gates_bias.view(4, SMALL.hidden_size)  # input, forget, cell, output
    assert torch.equal(gates[1], torch.ones(16))
    assert torch.equal(gates[[0, 2, 3]], torch.zeros(3, 16))
    assert not model.lstm.get_parameter("bias_hh_l0").any()


def test_tick_by_tick_is_the_whole_sequence(model: MDNRNN):
    z, actions = random_sequence(3, 50)
    hidden = model.sequence(z, actions)  # (3, 50, 16)
    assert hidden.shape == (3, 50, 16)
    weights, memory = model.tick_weights(), model.initial(3)
    for t in range(50):
        memory = advance(weights, z[:, t], actions[:, t], memory)
        assert_close(memory.h, hidden[:, t], rtol=1e-5, atol=1e-6)


def test_a_sequence_goes_on_from_a_memory(model: MDNRNN):
    z, actions = random_sequence(3, 20)
    weights, memory = model.tick_weights(), model.initial(3)
    for t in range(8):
        memory = advance(weights, z[:, t], actions[:, t], memory)
    whole = model.sequence(z, actions)
    assert_close(model.sequence(z[:, 8:], actions[:, 8:], memory), whole[:, 8:], rtol=1e-5, atol=1e-6)


def test_a_tick_is_the_prediction_and_a_draw_from_it(model: MDNRNN):
    z, actions = random_sequence(3, 1)
    uniform = torch.rand(3, SMALL.latent_size, generator=torch.Generator().manual_seed(1))
    memory = Recurrent(*torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(2)))
    after = tick(SMALL, model.tick_weights(), z[:, 0], actions[:, 0], memory, uniform, 1.15)
    expected = model.predict(model.sequence(z, actions, memory)[:, 0])
    assert expected.reward is not None
    assert expected.end_logit is not None
    assert after.reward is not None
    assert after.end_logit is not None
    assert_close(after.z, expected.mixture.sample(uniform, 1.15), rtol=1e-5, atol=1e-5)
    assert_close(after.reward, expected.reward, rtol=1e-5, atol=1e-5)
    assert_close(after.end_logit, expected.end_logit, rtol=1e-5, atol=1e-5)
    assert after.z.shape == (3, 4)
    assert after.reward.shape == after.end_logit.shape == (3,)


def test_a_tick_changes_nothing_that_it_was_given(model: MDNRNN):
    (z, actions), uniform = random_sequence(3, 1), torch.full((3, 4), 0.5)
    weights, memory = model.tick_weights(), model.initial(3)
    given = [*weights[:-1], z, actions, *memory, uniform]
    before = [tensor.clone() for tensor in given]
    first = tick(SMALL, weights, z[:, 0], actions[:, 0], memory, uniform, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    again = tick(SMALL, weights, z[:, 0], actions[:, 0], memory, uniform, 1.0)
    assert torch.equal(first.z, again.z)
    assert torch.equal(first.memory.c, again.memory.c)


def test_a_sequence_alone_is_as_among_seven(model: MDNRNN):
    z, actions = random_sequence(7, 12)
    together = model.predict(model.sequence(z, actions))
    for row in range(7):
        alone = model.predict(model.sequence(z[row : row + 1], actions[row : row + 1]))
        for a, b in zip(alone.mixture, together.mixture, strict=True):
            assert_close(a, b[row : row + 1], rtol=1e-5, atol=1e-6)
        assert alone.reward is not None
        assert together.reward is not None
        assert_close(alone.reward, together.reward[row : row + 1], rtol=1e-5, atol=1e-5)


def test_the_future_does_not_reach_back(model: MDNRNN):
    z, actions = random_sequence(2, 10)
    changed = z.clone()
    changed[:, 6:] += 1
    before, after = model.sequence(z, actions), model.sequence(changed, actions)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6], after[:, 6])


@pytest.mark.parametrize("predicts_reward", [False, True])
@pytest.mark.parametrize("predicts_end", [False, True])
def test_each_head_reads_its_own_column(predicts_reward: bool, predicts_end: bool):
    config = MDNRNNConfig(2, 1, 4, 3, predicts_reward, predicts_end, reward_scale=10.0)
    model = MDNRNN(config)
    columns = torch.arange(float(config.output_size))
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(columns)
        prediction = model.predict(torch.zeros(5, 7, 4))
    assert config.output_size == 18 + predicts_reward + predicts_end
    assert torch.equal(prediction.mixture.log_sigma[0, 0].flatten(), columns[12:18])
    assert (prediction.reward is not None) == predicts_reward
    assert (prediction.end_logit is not None) == predicts_end
    if prediction.reward is not None:
        assert torch.equal(prediction.reward, torch.full((5, 7), 180.0)), "in the game's units"
    if prediction.end_logit is not None:
        assert torch.equal(prediction.end_logit, torch.full((5, 7), 18.0 + predicts_reward))


@pytest.mark.parametrize("name", ["latent_size", "action_size", "hidden_size", "mixtures"])
def test_sizes_below_one_are_refused(name: str):
    with pytest.raises(ValueError, match=f"mdn_rnn.{name} must be at least 1, got 0"):
        MDNRNNConfig(**{name: 0})  # type: ignore[arg-type]


def test_a_reward_scale_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match=r"mdn_rnn\.reward_scale must be positive, got 0"):
        MDNRNNConfig(reward_scale=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_tick_on_a_gpu_is_the_tick_on_the_cpu(model: MDNRNN):
    z, actions = random_sequence(64, 1)
    uniform = torch.rand(64, SMALL.latent_size, generator=torch.Generator().manual_seed(1))
    after = {}
    for device in ("cpu", "cuda"):
        there = MDNRNN(SMALL).to(device)
        there.load_state_dict(model.state_dict())
        seen, done = z[:, 0].to(device), actions[:, 0].to(device)
        memory = advance(there.tick_weights(), seen, done, there.initial(64))
        moved = tick(SMALL, there.tick_weights(), seen, done, memory, uniform.to(device), 1.15)
        assert moved.reward is not None
        assert moved.end_logit is not None
        after[device] = [t.cpu() for t in (moved.z, *moved.memory, moved.reward, moved.end_logit)]
    for on_gpu, on_cpu in zip(after["cuda"], after["cpu"], strict=True):
        # A draw next to the border of two components may fall on the other side: not more than one in 256.
        differs = (on_gpu - on_cpu).abs() > 1e-3 + 1e-3 * on_cpu.abs()
        assert int(differs.sum()) <= 1
