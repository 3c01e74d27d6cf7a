"""Layers before M's LSTM, beside which it still sees what it is given."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, advance

TAKE_COVER = MDNRNNConfig(64, 1, 512, predicts_end=True, restart_flag=True)
EMBEDDED = MDNRNNConfig(4, 2, 16, 3, predicts_end=True, restart_flag=True, embedding=(12, 8))


def test_their_weights_come_to_those_of_the_papers_m():
    inputs = 64 + 1 + 1
    layers = (inputs + 1) * 512 + (512 + 1) * 256
    model = MDNRNN(replace(TAKE_COVER, embedding=(512, 256)))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 1_678_785 + layers + 256 * 4 * 512


@pytest.mark.parametrize("flag", [False, True])
def test_tick_by_tick_is_the_whole_sequence(flag: bool):
    torch.manual_seed(0)
    model = MDNRNN(replace(EMBEDDED, restart_flag=flag)).requires_grad_(False)
    z, actions = torch.randn(3, 20, 4), 2 * torch.rand(3, 20, 2) - 1
    hidden, last = model.follow(z, actions)
    weights, memory = model.tick_weights(), model.initial(3)
    for t in range(20):
        memory = advance(weights, z[:, t], actions[:, t], memory)
        assert_close(memory.h, hidden[:, t], rtol=1e-5, atol=1e-6)
    assert_close(memory.c, last.c, rtol=1e-5, atol=1e-6)


def test_the_lstm_sees_what_it_is_given_and_what_the_layers_make_of_it():
    """As an LSTM of more inputs would that is given both."""
    torch.manual_seed(1)
    model = MDNRNN(replace(EMBEDDED, restart_flag=False)).requires_grad_(False)
    z, actions = torch.randn(2, 7, 4), torch.randn(2, 7, 2)
    given = torch.cat([z, actions], dim=-1)
    first, second = (model.state_dict()[f"embedding.{i}.weight"] for i in (0, 1))
    biases = [model.state_dict()[f"embedding.{i}.bias"] for i in (0, 1)]
    made = F.silu(F.silu(given @ first.t() + biases[0]) @ second.t() + biases[1])
    expected, _ = model.lstm(torch.cat([given, made], dim=-1))
    assert_close(model.sequence(z, actions), expected, rtol=1e-5, atol=1e-6)


def test_they_learn():
    torch.manual_seed(2)
    model = MDNRNN(EMBEDDED)
    hidden = model.sequence(torch.randn(2, 5, 4), torch.randn(2, 5, 2))
    hidden.square().sum().backward()
    for name, weight in model.named_parameters():
        if name.startswith("embedding."):
            assert weight.grad is not None
            assert weight.grad.abs().max() > 0, name


def test_without_them_an_m_begins_at_the_same_weights():
    """Runs of before are gone on with, and come to the same again."""
    torch.manual_seed(3)
    lstm = torch.nn.LSTM(7, 16, batch_first=True)
    torch.manual_seed(3)
    model = MDNRNN(replace(EMBEDDED, embedding=()))
    assert torch.equal(model.lstm.get_parameter("weight_hh_l0"), lstm.get_parameter("weight_hh_l0"))
    assert not [name for name in model.state_dict() if name.startswith("embedding")]


def test_a_layer_without_units_is_refused():
    with pytest.raises(
        ValueError, match=r"mdn_rnn\.embedding must be 1 or more in every layer, got \(8, 0\)"
    ):
        replace(EMBEDDED, embedding=(8, 0))
