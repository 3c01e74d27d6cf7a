"""The closed forms against PyTorch's own counter, on the networks themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from worldmodels.bench import costs
from worldmodels.bench.costs import Cost
from worldmodels.bench.plain import PlainMemory, PlainVision
from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.memory.sequences import pad
from worldmodels.memory.train import MemoryTraining
from worldmodels.vision.vae import VAE, VAEConfig
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.starts import Starts

CAR = MDNRNNConfig(predicts_reward=True, predicts_end=True)
TAKE_COVER = MDNRNNConfig(64, 1, 512, predicts_end=True, restart_flag=True)
SMALL = MDNRNNConfig(4, 2, 16, 3, predicts_reward=True, predicts_end=True)


def counted(call: Callable[[], Any]) -> int:
    """Operations of the products and convolutions in a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("latent", [32, 64])
def test_v_forward(latent):
    config = VAEConfig(latent)
    model = PlainVision.like(
        VAE(config)
    )  # the paper's layers: production pads one of them, which is no work to do
    shown, z = torch.rand(2, 3, 64, 64), torch.randn(2, latent)
    with torch.no_grad():
        assert costs.encode(config, 2).operations == counted(lambda: model.encode(shown))
        assert costs.decode(config, 2).operations == counted(lambda: model.decode(z))
    assert costs.encoder_weights(config) + costs.decoder_weights(config) == parameters(model)


def test_v_forward_and_back():
    config = VAEConfig(8)
    model = PlainVision.like(VAE(config))
    shown, noise = torch.rand(2, 3, 64, 64), torch.randn(2, 8)
    found = counted(lambda: model.loss(shown, noise).backward())
    assert costs.vision_step(config, 2).operations == found


def test_v_moves_its_frames_its_latents_and_its_weights():
    config, stored = VAEConfig(8), torch.zeros(5, 64, 64, 3, dtype=torch.uint8)
    latents = torch.zeros(5, 8)
    assert costs.encode(config, 5).bytes == (
        stored.nbytes + 2 * latents.nbytes + 4 * costs.encoder_weights(config)
    )
    assert costs.decode(config, 5).bytes == stored.nbytes + latents.nbytes + 4 * costs.decoder_weights(config)
    assert (
        costs.vision_step(config, 5).bytes
        > costs.vision_step(config, 0).bytes
        == 24 * parameters(VAE(config))
    )


FLAGGED = MDNRNNConfig(4, 1, 16, 3, predicts_end=True, restart_flag=True)


@pytest.mark.parametrize("config", [SMALL, FLAGGED, replace(FLAGGED, embedding=(12, 8))])
def test_m_forward_and_back_tick_by_tick(config, random_latents):
    """PyTorch does not count its own LSTM: the written-out one has the same weights and the same products."""
    model = PlainMemory.like(MDNRNN(config))
    episodes = [random_latents(5, seed) for seed in range(3)]
    batch = pad(episodes)
    batch = batch._replace(actions=batch.actions[..., : config.action_size])
    noise = torch.randn_like(batch.mu)
    found = counted(lambda: model.loss(batch, noise, MemoryTraining()).backward())
    first = 3 * 2 * 16 * 4 * 16  # nothing goes back to the memory before the first tick
    # Nor needs what is given a gradient, which it has all the same where it lies beside what layers make of it.
    unneeded = 3 * 5 * 2 * config.input_size * 4 * 16 if config.embedding else 0
    assert costs.memory_step(config, 3, 5).operations == found + first - unneeded
    assert costs.memory_weights(config) == parameters(model)


@pytest.mark.parametrize(
    ("config", "kind", "hidden"),
    [
        (CAR, "zh", 0),
        (TAKE_COVER, "zch", 0),
        (CAR, "z", 5),
        (replace(TAKE_COVER, embedding=(24, 8)), "zch", 4),
    ],
)
def test_the_dream_and_its_controller(config, kind, hidden):
    z, memory = torch.randn(2, 9, config.latent_size), torch.randn(2, 9, config.hidden_size)
    starts = Starts(z[0], z[1], memory[0].tanh(), memory[1], openings=4)
    world = DreamWorld(MDNRNN(config), starts, DreamConfig(), kind)
    kinds = ("symmetric",) * config.action_size
    controller = ControllerConfig(kind, world.feature_size, kinds, bias=False, hidden=hidden)
    weights, seen = torch.randn(2, controller.parameter_count), world.reset(range(6))

    def tick() -> None:
        world.step(act(controller, weights, seen.unflatten(0, (2, 3))).flatten(0, 1))

    cost = costs.dream_tick(config, controller, dreams=6, population=2)
    assert cost.operations == counted(tick)
    dreams = world._dreams
    # Where there is no lap nobody asks how much road is behind, nor how likely an end was where none is drawn.
    unused = dreams.passed.nbytes + dreams.chance.nbytes
    state, keys = sum(part.nbytes for part in dreams) - unused, dreams.keys.nbytes
    # All of it is read, all but the keys are written again, and with them the rewards.
    weighed = 4 * (costs.memory_weights(config) + weights.numel())
    assert cost.bytes == 2 * state - keys + 6 * 4 + weighed


def test_a_cost_times_a_number():
    assert Cost(3.0, 5.0) * 4 == Cost(12.0, 20.0)


def test_a_generation_of_the_search_is_two_products():
    draws, population = torch.randn(6, 10), torch.randn(6, 10)
    found = counted(lambda: (draws @ torch.eye(10), population.t() @ population))
    assert costs.search_generation(10, 6).operations == found
