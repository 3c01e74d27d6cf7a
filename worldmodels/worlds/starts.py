"""Where dreams begin: real latents, with M's memory warmed up on everything the episode had shown before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldmodels.memory.mdn_rnn import MDNRNN, advance
from worldmodels.memory.sequences import pad
from worldmodels.rollouts.latents import LatentEpisode

BRINK = 64  # ticks before the end of a game: a fireball of Take Cover flies for 48


@dataclass(frozen=True)
class Starts:
    """A bank of S moments to dream on from. The first `openings` are first frames with an empty memory."""

    mu: Tensor  # (S, Z)
    logvar: Tensor  # (S, Z)
    h: Tensor  # (S, N)
    c: Tensor  # (S, N)
    openings: int  # of the S; the others are later moments

    def __len__(self) -> int:
        return len(self.mu)


@torch.no_grad()
def gather_starts(
    model: MDNRNN,
    episodes: Sequence[LatentEpisode],
    count: int,
    rng: np.random.Generator,
    brink: float = 0.0,
) -> Starts:
    """Choose up to `count` openings and `count` later moments, at random.

    Later moments are uniform over all ticks of the chosen episodes (at most 4 * sqrt(count) episodes, so that
    the warming up stays cheap however many there are), and no other episodes are asked for. A share `brink` of them
    comes from the last `BRINK` ticks of those that ended. Memories are warmed up on V's means, as in the actual world.
    """
    device = model.head.weight.device
    # Of an opening its first frame alone is kept: there are up to `count` of them.
    openings = [
        (first.mu[0].copy(), first.logvar[0].copy())
        for first in (episodes[i] for i in rng.permutation(len(episodes))[:count])
    ]
    chosen = [episodes[i] for i in rng.permutation(len(episodes))[: max(1, int(4 * count**0.5))]]
    later = [(row, t) for row, episode in enumerate(chosen) for t in range(1, episode.length)]
    moments = np.array(later, np.int64).reshape(-1, 2)  # none where every episode has one tick
    picked = rng.permutation(len(moments))[:count]
    if brink > 0:
        lengths = np.array([episode.length if episode.terminated else np.inf for episode in chosen])
        last = np.flatnonzero(lengths[moments[:, 0]] - moments[:, 1] <= BRINK)
        last = rng.permutation(last)[: round(brink * count)]
        picked = np.concatenate([last, picked[: count - len(last)]])
    moments = moments[np.sort(picked)]  # (S, 2): which episode, which frame
    batch = pad(chosen)
    weights, memory = model.tick_weights(), model.initial(len(chosen))
    mu = [mu for mu, _ in openings] + [chosen[row].mu[t] for row, t in moments]
    logvar = [logvar for _, logvar in openings] + [chosen[row].logvar[t] for row, t in moments]
    h = torch.zeros(len(mu), model.config.hidden_size, device=device)
    c = torch.zeros_like(h)
    for t in range(batch.actions.shape[1]):
        here = np.flatnonzero(moments[:, 1] == t)
        rows = torch.from_numpy(moments[here, 0]).to(device)
        at = torch.from_numpy(here + len(openings)).to(device)
        h[at], c[at] = memory.h[rows], memory.c[rows]
        memory = advance(weights, batch.mu[:, t].to(device), batch.actions[:, t].to(device), memory)
    return Starts(
        torch.from_numpy(np.stack(mu)).to(device),
        torch.from_numpy(np.stack(logvar)).to(device),
        h,
        c,
        openings=len(openings),
    )
