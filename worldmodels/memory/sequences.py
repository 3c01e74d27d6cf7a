"""Batches of sequences of latents, all of one shape: from episodes drawn at random, or followed one after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.seeds import numpy_stream


class Batch(NamedTuple):
    """Sequences side by side; behind the end of the shorter ones all is 0 and `left` inf, and `weight` is 0."""

    mu: Tensor  # (B, T + 1, Z)
    logvar: Tensor  # (B, T + 1, Z)
    actions: Tensor  # (B, T, A)
    rewards: Tensor  # (B, T)
    left: Tensor  # (B, T), ticks from this one to that which ends the game; inf where none does
    weight: Tensor  # (B, T)

    @property
    def ended(self) -> Tensor:
        """(B, T) float32, 1 where the action ended the game."""
        return (self.left == 0).to(self.weight.dtype)


class Cut(NamedTuple):
    """A part of an episode."""

    episode: int  # which
    first: int  # tick
    length: int  # ticks


class SequenceBatches:
    """Batches of sequences from episodes drawn at random with replacement, in proportion to their length.

    An episode no longer than `longest` ticks is taken whole. A longer one is cut at a random place, with an
    empty memory where the cut begins; some cuts begin where the episode does, and as many end where it does, so that
    its first and last ticks are seen about half as often as the others. The ticks of an episode shorter than `longest`
    are seen less often than those of a longer one, in proportion to its length. So ends, and early ones above all,
    count for less than their number: where M's chance of an end matters, `StreamBatches` (memory.carry) draws evenly.
    """

    def __init__(self, episodes: Sequence[LatentEpisode], batch_size: int, longest: int, seed: int) -> None:
        self.episodes, self.batch_size, self.longest, self.seed = episodes, batch_size, longest, seed
        self.ticks = ticks_of(episodes, longest)  # of a batch (T)
        lengths = np.array([episode.length for episode in episodes], np.float64)
        self._chances = lengths / lengths.sum()

    def batch(self, step: int) -> Batch:
        """The batch of a training step."""
        return cut_out(self.episodes, self.cuts(step), self.ticks)

    def cuts(self, step: int) -> list[Cut]:
        """What it consists of, row by row."""
        rng, longest = numpy_stream(self.seed, "sequences", step), self.longest
        cuts = []
        for i in rng.choice(len(self.episodes), size=self.batch_size, p=self._chances):
            spare = max(0, self.episodes[i].length - longest)
            # A cut that would reach beyond an end of the episode is moved to it. Of all cuts within the episode only
            # one has its last tick, which alone says that the game was over.
            place = int(rng.integers(-(longest // 2), spare + longest // 2 + 1)) if spare else 0
            first = min(max(place, 0), spare)
            cuts.append(Cut(int(i), first, min(longest, self.episodes[i].length)))
        return cuts

    def goes_on(self, step: int) -> Tensor:
        """(B,) 1 where a row goes on with the episode of the step before, which is nowhere."""
        return torch.zeros(self.batch_size)


class StreamBatches:
    """Batches of which each row follows one episode after the other, cut into windows of `longest` ticks.

    Episodes are drawn at random with replacement. A window goes on where the row's window of the step before has
    ended, so that M's memory can be carried on; the last one of an episode is padded.
    """

    def __init__(self, episodes: Sequence[LatentEpisode], batch_size: int, longest: int, seed: int) -> None:
        self.episodes, self.batch_size, self.longest = episodes, batch_size, longest
        self.ticks = ticks_of(episodes, longest)  # of a batch (T)
        self._streams = [numpy_stream(seed, "streams", row) for row in range(batch_size)]
        self._begins: list[list[int]] = [[0] for _ in range(batch_size)]  # steps at which its episodes begin
        self._drawn: list[list[int]] = [[] for _ in range(batch_size)]  # which they are

    def batch(self, step: int) -> Batch:
        """The batch of a training step."""
        return cut_out(self.episodes, self.cuts(step), self.ticks)

    def cuts(self, step: int) -> list[Cut]:
        """What it consists of, row by row."""
        cuts = []
        for row in range(self.batch_size):
            which, begin = self._episode(row, step)
            first = (step - begin) * self.longest
            cuts.append(Cut(which, first, min(self.longest, self.episodes[which].length - first)))
        return cuts

    def goes_on(self, step: int) -> Tensor:
        """(B,) 1 where a row goes on with the episode of the step before, 0 where it begins one."""
        begins = [self._episode(row, step)[1] for row in range(self.batch_size)]
        return torch.tensor([float(step > begin) for begin in begins])

    def _episode(self, row: int, step: int) -> tuple[int, int]:
        """The episode that a row follows at a step, and the step at which it began it."""
        begins, drawn = self._begins[row], self._drawn[row]
        while begins[-1] <= step:
            drawn.append(int(self._streams[row].integers(len(self.episodes))))
            windows = -(-self.episodes[drawn[-1]].length // self.longest)
            begins.append(begins[-1] + windows)
        at = bisect_right(begins, step) - 1
        return drawn[at], begins[at]


def ticks_of(episodes: Sequence[LatentEpisode], longest: int) -> int:
    """Ticks of every batch of sequences no longer than `longest`; ValueError without episodes."""
    if not episodes:
        raise ValueError("no episodes to learn from")
    return min(longest, max(episode.length for episode in episodes))


def pad(episodes: Sequence[LatentEpisode], ticks: int | None = None) -> Batch:
    """Whole episodes side by side, as `cut_out`; so many ticks (None: those of the longest)."""
    lengths = [episode.length for episode in episodes]
    cuts = [Cut(which, 0, length) for which, length in enumerate(lengths)]
    return cut_out(episodes, cuts, ticks or max(lengths))


def cut_out(episodes: Sequence[LatentEpisode], cuts: Sequence[Cut], ticks: int) -> Batch:
    """Parts of episodes side by side, (B, `ticks`) of them."""
    chosen = [episodes[cut.episode] for cut in cuts]
    rows, latent, action = len(cuts), chosen[0].mu.shape[1], chosen[0].actions.shape[1]
    mu = np.zeros((rows, ticks + 1, latent), np.float32)
    logvar = np.zeros_like(mu)
    actions = np.zeros((rows, ticks, action), np.float32)
    rewards, weight = (np.zeros((rows, ticks), np.float32) for _ in range(2))
    left = np.full((rows, ticks), np.inf, np.float32)
    for row, (episode, (_, first, length)) in enumerate(zip(chosen, cuts, strict=True)):
        part = episode.part(first, length)
        mu[row, : length + 1] = part.mu
        logvar[row, : length + 1] = part.logvar
        actions[row, :length] = part.actions
        rewards[row, :length] = part.rewards
        weight[row, :length] = 1
        if episode.terminated:
            left[row, :length] = episode.length - 1 - np.arange(first, first + length)
    return Batch(*(torch.from_numpy(a) for a in (mu, logvar, actions, rewards, left, weight)))
