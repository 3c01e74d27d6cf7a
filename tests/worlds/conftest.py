"""A small V and M, and a dream and an actual world made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from worldmodels.envs.game import game
from worldmodels.envs.pool import GamePool, open_pool
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.vision.vae import VAE, VAEConfig
from worldmodels.worlds.starts import Starts, gather_starts

LATENT, HIDDEN, MIXTURES = 4, 16, 3


def small_memory(action_size: int) -> MDNRNN:
    """An untrained M whose hidden unit 0 is the sign of the first action, positive or negative.

    It earns about 1 a tick; and its world ends when the first action is clearly positive.
    """
    torch.manual_seed(action_size)
    config = MDNRNNConfig(
        LATENT, action_size, HIDDEN, MIXTURES, predicts_reward=True, predicts_end=True, reward_scale=2.0
    )
    model = MDNRNN(config).requires_grad_(False).eval()
    inputs, recurrent = model.lstm.get_parameter("weight_ih_l0"), model.lstm.get_parameter("weight_hh_l0")
    for gate, (bias, weight) in enumerate([(9.0, 0.0), (-9.0, 0.0), (0.0, 20.0), (9.0, 0.0)]):
        row = gate * HIDDEN  # of unit 0 in the input, forget, cell and output gate
        inputs[row], recurrent[row] = 0, 0
        inputs[row, LATENT] = weight
        model.lstm.get_parameter("bias_ih_l0")[row] = bias
    reward, end = -2, -1
    model.head.bias[reward] = 0.5
    model.head.weight[end], model.head.bias[end] = 0, -1
    model.head.weight[end, 0] = 4  # h of unit 0 is about +-0.76
    return model


@pytest.fixture(scope="session")
def memory() -> MDNRNN:
    """An M for 2 actions: positive first actions end its dreams."""
    return small_memory(2)


@pytest.fixture(scope="session")
def starts(memory: MDNRNN, random_latents: Callable[..., LatentEpisode]) -> Starts:
    """30 openings and 40 later moments."""
    episodes = [random_latents(4 + seed, seed) for seed in range(30)]
    return gather_starts(memory, episodes, 40, np.random.default_rng(0))


@pytest.fixture(scope="session")
def toy_vision() -> VAE:
    torch.manual_seed(0)
    return VAE(VAEConfig(latent_size=LATENT)).requires_grad_(False).eval()


@pytest.fixture(scope="session")
def toy_memory() -> MDNRNN:
    """An M for the toy game."""
    return small_memory(1)


@pytest.fixture
def toy_pool() -> Iterator[GamePool]:
    with open_pool(game("toy")) as pool:
        yield pool
