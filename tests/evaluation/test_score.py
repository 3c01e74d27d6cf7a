"""What a score says beside its mean: how much of the game was played for it."""

from __future__ import annotations

import torch

from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool
from worldmodels.evaluation.score import score_actual
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.vision.vae import VAE, VAEConfig
from worldmodels.worlds.actual import GAMES_AT_ONCE, ActualWorld, Senses


def test_scores_and_steps_are_the_same_however_many_episodes_are_played_at_once():
    """Also where a batch is more than a world bears, and is played in several."""
    torch.manual_seed(0)
    vision = VAE(VAEConfig(latent_size=4)).requires_grad_(False).eval()
    memory = MDNRNN(MDNRNNConfig(4, 1, 8, 2, predicts_end=True)).requires_grad_(False).eval()
    config = ControllerConfig(feature_size=12, action_kinds=("symmetric",))
    parameters, seeds = torch.zeros(config.parameter_count), list(range(GAMES_AT_ONCE + 6))
    found = []
    with open_pool(game("toy")) as pool:
        for batch in (7, len(seeds)):
            world = ActualWorld(Senses(vision, memory, "zh", torch.device("cpu")), pool, horizon=100)
            found.append(score_actual(world, config, parameters, seeds, batch, seed=0))
    alone, together = found
    assert alone.scores == together.scores
    assert alone.steps == together.steps
    assert alone.steps >= len(seeds)
