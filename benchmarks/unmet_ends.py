"""What does M make of deaths that it has not learnt from? `python benchmarks/unmet_ends.py RUN [RUN ...]`

Plays fresh episodes of Take Cover by an exploration that looks at nothing, and lets the M of each run follow them. An M
that knew nothing but how often one dies would be surprised by each death by some seven nats, those of all the ticks
at which nothing happens included; one that sees every fireball come, by less than one. Printed: nats for each death,
what M foretold in all, and which share of the deaths stood at less than one in a hundred the tick before.
"""

from __future__ import annotations

import argparse
import math

import torch
from sentences import in_a_sentence
from tics import batches, run_of_tics
from torch import Tensor
from torch.nn import functional as F

from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.pipeline.rounds import EXPLORERS
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.pipeline.work import Work
from worldmodels.rollouts.collect import play
from worldmodels.rollouts.episode import Episode
from worldmodels.runs.progress import progress
from worldmodels.vision.encode import encode_frames
from worldmodels.vision.vae import VAE


def main() -> None:
    """Play, follow and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="run folders of take-cover, or pretrained:NAME")
    parser.add_argument("--round", type=int, help="whose V and M (default: the last one that has an M)")
    parser.add_argument("--exploration", choices=EXPLORERS, default="strafing")
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--seed", type=int, default=60_000_000, help="of the first episode")
    asked = parser.parse_args()
    refuse_less_than_one(episodes=asked.episodes)
    works = [run_of_tics(name) for name in asked.runs]
    rooms = [of_round(work, asked.round) for work in works]
    explorer = EXPLORERS[asked.exploration](works[0].spec)
    logits: list[list[Tensor]] = [[] for _ in works]
    ends: list[Tensor] = []
    seeds = range(asked.seed, asked.seed + asked.episodes)
    with works[0].pool() as pool, progress("play", asked.episodes, "episodes") as bar:
        for batch in batches(seeds):
            episodes = play(pool, explorer, batch, works[0].ticks, 1)
            for episode in episodes:
                ended = torch.zeros(len(episode.actions))
                ended[-1] = float(episode.terminated)
                ends.append(ended)
                for work, (vision, memory), said in zip(works, rooms, logits, strict=True):
                    said.append(followed(work, vision, memory, episode))
            bar.advance(len(episodes))
    came = torch.cat(ends)
    rate = came.mean()
    constant = float(F.binary_cross_entropy(rate.expand_as(came), came, reduction="sum") / came.sum())
    print(f"{len(came):,} ticks, {int(came.sum())} deaths; a constant chance: {constant:.2f} nats a death")
    print("| M | nats a death | foretold | deaths below 1 % |\n|---|---|---|---|")
    for name, said in zip(asked.runs, logits, strict=True):
        logit = torch.cat(said)
        nats = F.binary_cross_entropy_with_logits(logit, came, reduction="sum") / came.sum()
        unseen = (logit[came == 1].sigmoid() < 0.01).float().mean()
        print(f"| {name} | {nats:.2f} | {float(logit.sigmoid().sum()):.0f} | {unseen:.0%} |")


@torch.no_grad()
def followed(work: Work, vision: VAE, memory: MDNRNN, episode: Episode) -> Tensor:
    """M's logit of an end (T,) at each tick of an episode, less the weight that ends had in its training."""
    mu, _ = encode_frames(vision, episode.frames, work.device)
    z = torch.from_numpy(mu[:-1])[None].to(work.device)
    hidden, _ = memory.follow(z, torch.from_numpy(episode.actions)[None].to(work.device))
    logit = memory.predict(hidden[0]).end_logit
    assert logit is not None, "every M foretells ends"
    return logit.cpu() - math.log(work.experiment.memory.end_positive_weight)


def of_round(work: Work, round: int | None) -> tuple[VAE, MDNRNN]:
    """V and M of a round; None: of the last one that has an M."""
    round = latest_round(work) if round is None else round
    return work.vision(round)[0], work.memory(round)[0]


def latest_round(work: Work) -> int:
    """The last round that has an M; 0 where there is none."""
    rounds = range(work.experiment.rounds.count)
    return max((r for r in rounds if work.run.memory(work.memory_round(r)).exists()), default=0)


if __name__ == "__main__":
    in_a_sentence(main)
