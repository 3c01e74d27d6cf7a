"""C as something that tries: scaled features, Gaussians around its outputs, advantages, against their definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.controller.linear import ControllerConfig, act, outputs
from worldmodels.evolution.policy import Policy, advantages


@given(st.integers(1, 6), st.integers(0, 2**31), st.floats(0, 0.99), st.floats(0, 1))
def test_advantages_are_what_the_definition_says(ticks: int, seed: int, discount: float, trace: float):
    """Ends that are known (0 or 1) or drawn: some chance that nothing comes after a tick."""
    generator = torch.Generator().manual_seed(seed)
    rewards = torch.randn(ticks, 1, generator=generator, dtype=torch.float64)
    values = torch.randn(ticks + 1, 1, generator=generator, dtype=torch.float64)
    ends = (1.5 * torch.rand(ticks, 1, generator=generator, dtype=torch.float64) - 0.5).clamp(min=0)
    ends = ends.round() if seed % 2 else ends
    over = (ends == 1) | (torch.rand(ticks, 1, generator=generator) < 0.2)
    found = advantages(rewards, values, ends, over, discount, trace)
    for first in range(ticks):
        expected, weight = 0.0, 1.0
        for tick in range(first, ticks):
            later = discount * float(values[tick + 1]) * (1 - float(ends[tick]))
            expected += weight * (float(rewards[tick]) + later - float(values[tick]))
            weight *= discount * trace
            if over[tick]:
                break
        assert float(found[first]) == pytest.approx(expected, abs=1e-9)


def test_a_chance_says_on_average_what_its_draws_say():
    generator = torch.Generator().manual_seed(0)
    count, chance = 200_000, 0.3
    rewards = torch.randn(2, 1, generator=generator).expand(2, count)
    values = 5 + torch.randn(3, 1, generator=generator).expand(3, count)
    over = torch.rand(2, count, generator=generator) < chance
    by_draw = advantages(rewards, values, over.float(), over, 0.9, 0.8)[0]
    by_chance = advantages(rewards, values, torch.full((2, count), chance), over, 0.9, 0.8)[0]
    error = float((by_draw - by_chance).std()) / count**0.5
    assert abs(float(by_draw.mean() - by_chance.mean())) < 4 * error
    assert float(by_chance.var()) < float(by_draw.var())


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_c_is_the_same_over_scaled_features_and_over_those_as_they_are(bias, hidden):
    config = ControllerConfig(feature_size=5, action_kinds=("symmetric", "unit"), bias=bias, hidden=hidden)
    torch.manual_seed(0)
    shift, scale = 10 * torch.randn(5), torch.rand(5) * 3 + 0.1
    start, seen = torch.randn(config.parameter_count), 10 * torch.randn(7, 5)
    policy = Policy(config, shift, scale, 0.3, 0, start)
    expected = outputs(config, start[None], seen[None])[0]
    told = torch.rand(7, 3)  # to the critic alone: C does not see it
    means = policy.means(policy.sees(seen, told)).detach()
    torch.testing.assert_close(means, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(policy.parameters_of_c(), start, rtol=1e-4, atol=1e-4)
    zero = Policy(config, shift, scale, 0.3, 0)
    assert torch.equal(
        act(config, zero.parameters_of_c()[None], seen[None]), act(config, 0 * start[None], seen[None])
    )


@pytest.mark.parametrize("bias", [True, False])
def test_a_hidden_layer_comes_to_a_c_of_one_layer_which_acts_as_before(bias: bool):
    layer = ControllerConfig(feature_size=5, action_kinds=("symmetric", "unit"), bias=bias)
    torch.manual_seed(0)
    shift, scale = 10 * torch.randn(5), torch.rand(5) * 3 + 0.1
    start, seen = 0.1 * torch.randn(layer.parameter_count), 10 * torch.randn(7, 5)
    before = outputs(layer, start[None], seen[None])[0]
    policy = Policy(replace(layer, hidden=6), shift, scale, 0.3, 0, start)
    after = policy.means(policy.sees(seen, torch.zeros(7, 0)))
    torch.testing.assert_close(after.detach(), 2 * torch.tanh(before / 2), rtol=1e-4, atol=1e-4)
    after.square().sum().backward()
    assert policy.weights.grad is not None
    rest = policy.weights.grad[-(2 * 6 + 2 * bias) :][: 2 * 6].view(2, 6)[:, 2:]
    assert (rest != 0).all(), "the other units can learn"


def test_likelihoods_are_a_gaussians():
    config = ControllerConfig(feature_size=5, action_kinds=("symmetric", "unit"))
    policy = Policy(config, torch.zeros(5), torch.ones(5), 0.3, 0)
    means, tried = torch.randn(6, 2), torch.randn(6, 2)
    expected = torch.distributions.Normal(means, 0.3).log_prob(tried).sum(dim=1)
    ours = policy.log_likelihood(means, tried).detach()
    torch.testing.assert_close(ours - ours[0], expected - expected[0])
