"""C: one linear layer for a whole population, and the ranges of its actions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from worldmodels.controller.linear import ControllerConfig, act, mean_of, squash
from worldmodels.controller.linear import outputs as outputs_of

TAKE_COVER = ControllerConfig(
    features="zch", feature_size=64 + 2 * 512, action_kinds=("symmetric",), bias=False
)
SMALL = ControllerConfig(feature_size=7)


def random_tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("config", "count"), [(ControllerConfig(), 867), (TAKE_COVER, 1_088)])
def test_the_parameter_counts_are_the_papers(config: ControllerConfig, count: int):
    assert config.parameter_count == count


@pytest.mark.parametrize("bias", [True, False])
def test_c_is_a_linear_layer_and_tanh(bias: bool):
    config = ControllerConfig(feature_size=7, action_kinds=("symmetric",) * 4, bias=bias)
    layer = nn.Linear(7, 4, bias=bias).requires_grad_(False)
    flat = torch.cat([parameter.flatten() for parameter in layer.parameters()])  # weights, then biases
    features = random_tensor(1, 5, 7)
    assert_close(act(config, flat[None], features), torch.tanh(layer(features)))


@pytest.mark.parametrize("bias", [True, False])
def test_with_a_hidden_layer_it_is_two_layers_and_two_tanh(bias: bool):
    config = ControllerConfig(feature_size=7, action_kinds=("symmetric",) * 4, bias=bias, hidden=5)
    layers = nn.Sequential(nn.Linear(7, 5, bias=bias), nn.Tanh(), nn.Linear(5, 4, bias=bias))
    layers.requires_grad_(False)
    flat = torch.cat([parameter.flatten() for parameter in layers.parameters()])
    assert config.parameter_count == len(flat)
    features = random_tensor(1, 6, 7)
    assert_close(act(config, flat[None], features), torch.tanh(layers(features)))


def test_the_papers_hidden_layer_has_forty_units_on_z_alone():
    assert ControllerConfig("z", 32, hidden=40).parameter_count == 33 * 40 + 41 * 3


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_a_population_acts_as_its_individuals_do_one_by_one(bias: bool, hidden: int):
    config = ControllerConfig(feature_size=7, bias=bias, hidden=hidden)
    parameters, features = random_tensor(6, config.parameter_count), random_tensor(6, 5, 7, seed=1)
    together = act(config, parameters, features)
    assert together.shape == (6, 5, 3)
    for p in range(6):
        for r in range(5):
            alone = act(config, parameters[p : p + 1], features[p : p + 1, r : r + 1])
            assert_close(alone[0, 0], together[p, r])


def test_individuals_do_not_see_each_other():
    parameters, features = random_tensor(3, SMALL.parameter_count), random_tensor(3, 2, 7, seed=1)
    changed = parameters.clone()
    changed[1] += 1
    before, after = act(SMALL, parameters, features), act(SMALL, changed, features)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])


outputs = st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3)


@given(outputs)
def test_every_action_stays_in_its_range(outputs: list[float]):
    steer, gas, brake = squash(SMALL, torch.tensor(outputs)).tolist()
    assert -1 <= steer <= 1
    assert 0 <= gas <= 1
    assert 0 <= brake <= 1


@given(outputs)
def test_the_ranges_are_filled_as_in_the_paper(outputs: list[float]):
    y = torch.tanh(torch.tensor(outputs))
    expected = torch.stack([y[0], (y[1] + 1) / 2, y[2].clamp(0, 1)])
    assert_close(squash(SMALL, torch.tensor(outputs)), expected)


@given(st.lists(st.sampled_from(["symmetric", "unit", "positive"]), min_size=1, max_size=4), outputs)
def test_more_is_never_less(kinds: list[str], outputs: list[float]):
    config = ControllerConfig(feature_size=1, action_kinds=tuple(kinds))
    rising = torch.tensor(sorted(outputs)).unsqueeze(1).expand(-1, len(kinds))  # (3, A)
    actions = squash(config, rising)
    assert actions.shape == (3, len(kinds))
    assert bool((actions.diff(dim=0) >= 0).all())


def test_an_untrained_c_steers_straight_with_half_gas_and_no_brake():
    actions = act(SMALL, torch.zeros(1, SMALL.parameter_count), random_tensor(1, 1, 7))
    assert actions.flatten().tolist() == [0.0, 0.5, 0.0]


def test_an_unknown_kind_of_action_is_refused():
    with pytest.raises(ValueError, match="'sideways' is none of symmetric, unit, positive"):
        ControllerConfig(action_kinds=("symmetric", "sideways"))


def test_a_hidden_layer_of_less_than_nothing_is_refused():
    with pytest.raises(ValueError, match=r"controller.hidden must be 0 .* or more, got -1"):
        ControllerConfig(hidden=-1)


@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_a_mean_of_several_puts_out_the_mean_of_their_outputs_of(hidden: int, bias: bool):
    config = ControllerConfig(feature_size=6, action_kinds=("symmetric", "unit"), bias=bias, hidden=hidden)
    torch.manual_seed(0)
    members, seen = torch.randn(4, config.parameter_count), torch.randn(4, 9, 6)
    seen[:] = seen[0]  # (P, R, F): all see the same
    wider, parameters = mean_of(config, members)
    assert (wider.hidden, len(parameters)) == (4 * hidden, wider.parameter_count)
    found = outputs_of(wider, parameters[None], seen[:1])[0]
    assert_close(found, outputs_of(config, members, seen).mean(dim=0), rtol=1e-5, atol=1e-5)
