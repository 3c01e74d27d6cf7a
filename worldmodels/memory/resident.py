"""All latents on a GPU, where batches are put together: a step sends where sequences begin and how long they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from worldmodels.memory.sequences import Batch, Cut
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.feeding import sent


def size_of(episodes: Sequence[LatentEpisode]) -> int:
    """Bytes that they take in `ResidentLatents`."""
    latent, action = episodes[0].mu.shape[1], episodes[0].actions.shape[1]
    return 4 * sum(episode.length + 1 for episode in episodes) * (2 * latent + action + 2)


class ResidentLatents:
    """Episodes one behind the other on a device, a row for each of their frames.

    What belongs to a tick stands beside the frame before it; beside an episode's last frame stands what stands behind
    the end of a sequence.
    """

    def __init__(self, episodes: Sequence[LatentEpisode], device: torch.device) -> None:
        self.device = device

        def joined(of_one: Callable[[LatentEpisode], np.ndarray]) -> Tensor:
            rows = np.concatenate([of_one(episode) for episode in episodes], dtype=np.float32)
            return torch.from_numpy(rows).to(device)

        self._mu, self._logvar = joined(lambda e: e.mu), joined(lambda e: e.logvar)  # (F, Z)
        self._actions = joined(lambda e: np.pad(e.actions, ((0, 1), (0, 0))))  # (F, A)
        self._rewards = joined(lambda e: np.pad(e.rewards, (0, 1)))  # (F,)
        self._left = joined(
            lambda e: np.append(np.arange(e.length)[::-1] + (0 if e.terminated else np.inf), np.inf)
        )
        self._begins = np.cumsum([0, *(episode.length + 1 for episode in episodes)])  # rows

    def cut_out(self, cuts: Sequence[Cut], ticks: int) -> Batch:
        """Parts of episodes side by side, as `sequences.cut_out`, on the device and without waiting for it."""
        where = [(self._begins[cut.episode] + cut.first, cut.length) for cut in cuts]
        rows = sent(torch.from_numpy(np.array(where, np.int64)), self.device)  # (B, 2)
        first, length = rows[:, :1], rows[:, 1:]
        frame = torch.arange(ticks + 1, device=self.device)  # (T + 1,)
        seen, acted = frame <= length, frame[:-1] < length  # (B, T + 1), (B, T)
        index = (first + frame) * seen  # of a row that is there, where nothing is seen

        def of_frames(rows: Tensor) -> Tensor:
            return rows[index].masked_fill_(~seen.unsqueeze(-1), 0)

        def of_ticks(rows: Tensor, behind: float = 0.0) -> Tensor:
            found = rows[index[:, :-1]]
            return found.masked_fill_(~(acted if found.dim() == 2 else acted.unsqueeze(-1)), behind)

        return Batch(
            of_frames(self._mu),
            of_frames(self._logvar),
            of_ticks(self._actions),
            of_ticks(self._rewards),
            of_ticks(self._left, math.inf),
            acted.to(torch.float32),
        )
