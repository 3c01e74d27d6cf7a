"""Does M foresee the ends that come in the game? `python benchmarks/foretold_ends.py pretrained:take-cover`.

Plays fresh episodes of the actual game with the agent of a run. M says after each tick how likely it is that the
episode has ended with it (less the weight that ends had in its training). Printed, by what it said: ticks, ends that
were to come by M's own figures, and ends that came. In a dream an end that M holds unlikely never comes
(`dream.ends` cut-off), so that whatever comes in the game from the upper rows C has never learnt to avoid.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from sentences import in_a_sentence
from torch import Tensor

from worldmodels.controller.linear import act
from worldmodels.evaluation.score import mean_and_error
from worldmodels.memory.mdn_rnn import look_ahead
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.pipeline.work import Parts, Work, open_run
from worldmodels.runs.pretrained import run_folder
from worldmodels.worlds.actual import ActualWorld, Senses
from worldmodels.worlds.state import Step

BOUNDS = (0.0, 1e-4, 1e-3, 1e-2, 0.03, 1 / 11, 0.2, 0.5, 1.0)  # 1/11: the cut-off, where an end weighs 10


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run folder, or pretrained:NAME")
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--seed", type=int, default=50_000_000, help="of the first episode")
    options = parser.parse_args()
    work, parts = opened(options.run, options.episodes)
    lived, foretold, came = play(work, parts, range(options.seed, options.seed + options.episodes))
    score = mean_and_error(lived.numpy())
    print(
        f"{score['mean']:.0f} ± {score['standard_error']:.0f} ticks (standard error), {len(lived)} episodes"
    )
    print(f"{'M says':>19} {'ticks':>9} {'foretold':>9} {'came':>6}")
    for low, high in pairwise(BOUNDS):
        there = (foretold >= low) & ((foretold < high) | (high == BOUNDS[-1]))
        said, ends = float(foretold[there].sum()), int(came[there].sum())
        print(f"{low:9.2%} {high:9.2%} {int(there.sum()):9,} {said:9.1f} {ends:6}")
    print(f"{'all':>19} {len(came):9,} {float(foretold.sum()):9.1f} {int(came.sum()):6}")


def opened(name: str, episodes: int) -> tuple[Work, Parts]:
    """A run and its V, M and C. UserError where there is none, or no episode is to be played."""
    refuse_less_than_one(episodes=episodes)
    work = open_run(run_folder(name), "auto")
    return work, work.best()


@torch.no_grad()
def live(work: Work, parts: Parts, senses: Senses, seeds: range) -> Iterator[tuple[Tensor, Step]]:
    """Whole episodes of the actual game, many at once: after each tick which of them (n,) still played, and the step.

    `senses` are then those of the same n, ended ones among them.
    """
    with work.pool() as pool:
        world = ActualWorld(senses, pool, work.ticks)
        for first in range(0, len(seeds), world.at_once):
            features = world.reset(seeds[first : first + world.at_once])
            playing = torch.arange(first, first + len(features))
            while len(playing):
                step = world.step(act(parts.config, parts.parameters[None], features[None])[0])
                yield playing, step
                on = going_on(step)
                features, playing = step.features[on], playing[on.cpu()]
                if 0 < len(on) < len(step.features):
                    world.keep(on)


def going_on(step: Step) -> Tensor:
    """Rows (n,) int64 of the episodes that are not over."""
    return (~(step.terminated | step.truncated)).nonzero().squeeze(1)


@torch.no_grad()
def play(work: Work, parts: Parts, seeds: range) -> tuple[Tensor, Tensor, Tensor]:
    """Length of each episode (episodes,); and of all their ticks (N,): M's chance of an end, and whether it came."""
    weight = math.log(work.experiment.memory.end_positive_weight)
    senses = Senses(parts.vision, parts.memory, parts.config.features, work.device)
    lived, foretold, came = torch.zeros(len(seeds)), [], []
    for playing, step in live(work, parts, senses, seeds):
        lived[playing] += 1
        logit = look_ahead(parts.memory.config, senses.weights, senses.memory).end_logit
        assert logit is not None, "M foretells ends"
        foretold.append(torch.sigmoid(logit - weight).cpu())
        came.append(step.terminated.cpu())
    return lived, torch.cat(foretold), torch.cat(came)


if __name__ == "__main__":
    in_a_sentence(main)
