"""Does a dream kill as often as the game? `python benchmarks/dreamt_ends.py pretrained:take-cover`.

Plays fresh episodes of the actual game with the agent of a run, takes every 16th moment of them, and lets the same C
dream on from each, with ends as likely as M holds them (`dream.ends` drawn). Printed, by the ticks since that moment:
ends in a thousand ticks that the game had, and that dreams of several temperatures have. Where a dream has fewer, C has
found something that M takes for safe; `foretold_ends.py` says whether M would have seen the ends of the game come.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from worldmodels.controller.linear import act
from worldmodels.errors import UserError
from worldmodels.pipeline.work import Parts, Work, mean_and_error, open_run
from worldmodels.runs.pretrained import run_folder
from worldmodels.worlds.actual import ActualWorld, Senses
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
    try:
        work = open_run(run_folder(options.run), "auto")
        parts = work.best()
        if not parts.memory.config.predicts_end:
            raise UserError("M of this run foretells no end: take a run with --mdn-rnn.predicts-end")
        moments, lived = play(work, parts, range(options.seed, options.seed + options.episodes))
    except UserError as error:
        sys.exit(f"worldmodels: {error}")
    score = mean_and_error(lived.numpy())
    print(
        f"{score['mean']:.0f} ± {score['standard_error']:.0f} ticks (standard error), {len(lived)} episodes; "
        f"ends in 1,000 ticks, from {len(moments.left):,} moments of them"
    )
    print(f"{'ticks since':>12} " + " ".join(f"{f'{low}-{high}':>8}" for low, high in pairwise(BOUNDS)))
    print(f"{'game':>12} " + " ".join(f"{1000 * rate:8.2f}" for rate in of_the_game(moments)))
    for temperature in options.temperatures:
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
    config = replace(
        work.experiment.dream, temperature=temperature, horizon=BOUNDS[-1], openings=0.0, ends="drawn"
    )
    dream = work.dream(parts.round, parts.memory, parts.config.features, config)
    dream.starts = starts
    features = dream.reset(range(len(starts)))
    ticks, ends = torch.zeros(BOUNDS[-1]), torch.zeros(BOUNDS[-1])
    for tick in range(BOUNDS[-1]):
        step = dream.step(act(parts.config, parts.parameters[None], features[None])[0])
        assert step.chance is not None, "ends are drawn"
        ticks[tick], ends[tick] = len(step.chance), step.chance.sum()
        on = (~(step.terminated | step.truncated)).nonzero().squeeze(1)
        features = step.features[on]
        if len(on) == 0:
            break
        dream.keep(on)
    parted = [slice(low, high) for low, high in pairwise(BOUNDS)]
    return [float(ends[part].sum() / ticks[part].sum().clamp(min=1)) for part in parted]


@torch.no_grad()
def play(work: Work, parts: Parts, seeds: range) -> tuple[Moments, Tensor]:
    """The moments of these episodes, and the length of each (episodes,)."""
    senses = Senses(parts.vision, parts.memory, parts.config.features, work.device)
    lived, died = torch.zeros(len(seeds)), torch.zeros(len(seeds), dtype=torch.bool)
    seen: list[tuple[Tensor, ...]] = []  # z, h, c, of which episode, at which tick
    with work.pool() as pool:
        world = ActualWorld(senses, pool, work.ticks)
        for first in range(0, len(seeds), world.at_once):
            features = world.reset(seeds[first : first + world.at_once])
            playing, tick = torch.arange(first, first + len(features)), 0
            while len(playing):
                if tick and tick % EVERY == 0:
                    seen.append((senses.z, *senses.memory, playing, torch.full_like(playing, tick)))
                step = world.step(act(parts.config, parts.parameters[None], features[None])[0])
                tick += 1
                lived[playing] += 1
                died[playing] = step.terminated.cpu()
                on = (~(step.terminated | step.truncated)).nonzero().squeeze(1)
                features, playing = step.features[on], playing[on.cpu()]
                if 0 < len(on) < len(step.features):
                    world.keep(on)
    if not seen:
        raise UserError(f"no episode lasted for more than {EVERY} ticks")
    z, h, c, episode, ticks = (torch.cat(part) for part in zip(*seen, strict=True))
    exactly = torch.full_like(z, -math.inf)  # the mean that C saw, without V's noise
    return Moments(Starts(z, exactly, h, c, openings=0), lived[episode] - ticks, died[episode]), lived


if __name__ == "__main__":
    main()
