"""What the exploitation meter reads: a C in fresh dreams and in the actual game, on episodes of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evaluation.score import mean_and_error
from worldmodels.evolution.fitness import returns
from worldmodels.evolution.meter import Meter
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.pipeline.work import Work
from worldmodels.runs.seeds import stream
from worldmodels.vision.vae import VAE
from worldmodels.worlds.actual import ActualWorld, Senses
from worldmodels.worlds.state import World

DREAMS = 256  # a quarter of what one of the paper's generations plays


def meter(work: Work, config: ControllerConfig, vision: VAE, memory: MDNRNN, dream: World) -> Meter | None:
    """The meter for Cs of this shape, V and M; None where evolution.meter_every is 0.

    Every reading meets the same dreams and the same actual episodes, so that a curve rises because C does. They have no
    other use. The games are opened for a reading and closed after it.
    """
    experiment = work.experiment
    episodes, batch = experiment.evolution.meter_episodes, experiment.evaluation.batch
    if not experiment.evolution.meter_every:
        return None
    dream_seeds = [stream(experiment.seed, "meter", "dream", i) for i in range(DREAMS)]
    actual_seeds = [stream(experiment.seed, "meter", "actual", i) % 2**31 for i in range(episodes)]

    def read(parameters: np.ndarray) -> dict[str, float]:
        one = torch.from_numpy(parameters)[None].to(work.device)  # (1, n)

        def played(world: World, seeds: Sequence[int]) -> np.ndarray:
            return returns(config, one, world, seeds)[0].cpu().numpy()

        found = {"dream": played(dream, dream_seeds)}
        with work.pool() as pool:
            senses = Senses(vision, memory, config.features, work.device)
            world = ActualWorld(senses, pool, work.ticks)
            parts = [played(world, actual_seeds[i : i + batch]) for i in range(0, episodes, batch)]
        found["actual"] = np.concatenate(parts)
        reading: dict[str, float] = {}
        for name, scores in found.items():
            score = mean_and_error(scores)
            reading |= {
                name: score["mean"],
                f"{name}_std": score["std"],
                f"{name}_error": score["standard_error"],
            }
        return reading

    return read
