"""Does a dream kill as often as the game? `python benchmarks/dreamt_ends.py pretrained:take-cover`.

Plays fresh episodes of the actual game with the agent of a run, takes every 16th moment of them, and lets the same C
dream on from each, with ends as likely as M holds them (`dream.ends` drawn). Printed, by the ticks since that moment:
ends in a thousand ticks that the game had, and that dreams of several temperatures have. Where a dream has fewer, C has
found something that M takes for safe; `foretold_ends.py` says whether M would have seen the ends of the game come.
"""

from __future__ import annotations

import argparse
import math
from itertools import pairwise
from typing import NamedTuple

import torch
from foretold_ends import going_on, live, opened
from sentences import in_a_sentence
from torch import Tensor

from worldmodels.controller.linear import act
from worldmodels.errors import UserError
from worldmodels.evaluation.score import mean_and_error
from worldmodels.pipeline.temperature import checked_temperature
from worldmodels.pipeline.work import Parts, Work
from worldmodels.worlds.actual import Senses
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.starts import Starts

EVERY = 16  # ticks from moment to moment
BOUNDS = (0, 8, 16, 32, 64, 96, 128, 192, 256)  # ticks since a moment


class Moments(NamedTuple):
    """S moments of games, and what came of them there."""

    starts: Starts
    left: Tensor  # (S,) ticks that the episode still had
    died: Tensor  # (S,) bool, whether it ended before its time


def main() -> None:
    """Play, dream and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run folder, or pretrained:NAME")
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--seed", type=int, default=90_000_000, help="of the first episode")
    parser.add_argument("--temperatures", type=float, nargs="+", default=(0.5, 1.0, 1.15))
    options = parser.parse_args()
    temperatures = [checked_temperature(tau, "--temperatures") for tau in options.temperatures]
    work, parts = opened(options.run, options.episodes)
    moments, lived = play(work, parts, range(options.seed, options.seed + options.episodes))
    score = mean_and_error(lived.numpy())
    print(
        f"{score['mean']:.0f} ± {score['standard_error']:.0f} ticks (standard error), {len(lived)} episodes; "
        f"ends in 1,000 ticks, from {len(moments.left):,} moments of them"
    )
    print(f"{'ticks since':>12} " + " ".join(f"{f'{low}-{high}':>8}" for low, high in pairwise(BOUNDS)))
    print(f"{'game':>12} " + " ".join(f"{1000 * rate:8.2f}" for rate in of_the_game(moments)))
    for temperature in temperatures:
        rates = of_dreams(work, parts, moments.starts, temperature)
        print(f"{f'dream {temperature:.2f}':>12} " + " ".join(f"{1000 * rate:8.2f}" for rate in rates))


def of_the_game(moments: Moments) -> list[float]:
    """Ends in a tick, by the ticks since the moments."""
    rates = []
    for low, high in pairwise(BOUNDS):
        ticks = (moments.left.clamp(max=high) - low).clamp(min=0).sum()
        ends = moments.died & (moments.left > low) & (moments.left <= high)
        rates.append(float(ends.sum() / ticks.clamp(min=1)))
    return rates


@torch.no_grad()
def of_dreams(work: Work, parts: Parts, starts: Starts, temperature: float) -> list[float]:
    """The chance of an end in a tick, in as many dreams from random ones of the moments."""
    config = DreamConfig(temperature, horizon=BOUNDS[-1], openings=0.0, ends="drawn")
    end_weight = work.experiment.memory.end_positive_weight
    dream = DreamWorld(parts.memory, starts, config, parts.config.features, end_weight=end_weight)
    features = dream.reset(range(len(starts)))
    ticks, ends = torch.zeros(BOUNDS[-1]), torch.zeros(BOUNDS[-1])
    for tick in range(BOUNDS[-1]):
        step = dream.step(act(parts.config, parts.parameters[None], features[None])[0])
        assert step.chance is not None, "ends are drawn"
        ticks[tick], ends[tick] = len(step.chance), step.chance.sum()
        on = going_on(step)
        features = step.features[on]
        if len(on) == 0:
            break
        dream.keep(on)
    parted = [slice(low, high) for low, high in pairwise(BOUNDS)]
    return [float(ends[part].sum() / ticks[part].sum().clamp(min=1)) for part in parted]


def play(work: Work, parts: Parts, seeds: range) -> tuple[Moments, Tensor]:
    """The moments of these episodes, and the length of each (episodes,)."""
    senses = Senses(parts.vision, parts.memory, parts.config.features, work.device)
    lived, died = torch.zeros(len(seeds)), torch.zeros(len(seeds), dtype=torch.bool)
    seen: list[tuple[Tensor, ...]] = []  # z, h, c, of which episode, at which tick
    for playing, step in live(work, parts, senses, seeds):
        lived[playing] += 1
        died[playing] = step.terminated.cpu()
        on = going_on(step)
        if lived[playing[0]] % EVERY == 0 and len(on):  # they have begun together
            h, c = senses.memory
            seen.append((senses.z[on], h[on], c[on], playing[on.cpu()], lived[playing[on.cpu()]]))
    if not seen:
        raise UserError(f"no episode lasted for more than {EVERY} ticks")
    z, h, c, episode, ticks = (torch.cat(part) for part in zip(*seen, strict=True))
    exactly = torch.full_like(z, -math.inf)  # the mean that C saw, without V's noise
    return Moments(Starts(z, exactly, h, c, openings=0), lived[episode] - ticks, died[episode]), lived


if __name__ == "__main__":
    in_a_sentence(main)
