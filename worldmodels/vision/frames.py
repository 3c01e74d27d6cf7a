"""Random batches of stored frames, with bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.feeding import fits_on_gpu, sent
from worldmodels.runs.seeds import numpy_stream


class FrameBatches:
    """Batches of frames drawn at random from stores.

    At most `resident` frames are in memory, or one episode where that has more. Where the stores hold more,
    the episodes are shuffled and visited in blocks of equal size, each block serving as many steps as it has
    frames to give. A batch depends on its step alone.

    Args:
        batch_size: frames in a batch (B).
        resident: 12 KB each.
        device: where they are, if it is a GPU with room for them; a batch then takes the numbers of its rows there
            and nothing else.
    """

    def __init__(
        self,
        stores: Sequence[EpisodeStore],
        batch_size: int,
        seed: int,
        resident: int = 60_000,
        device: torch.device | str = "cpu",
    ) -> None:
        self.batch_size, self.seed = batch_size, seed
        self._episodes = [(store, index) for store in stores for index in store.indices()]
        if not self._episodes:
            raise ValueError("no episodes to draw frames from")
        self._lengths = np.concatenate([store.lengths() for store in stores]) + 1  # frames
        self.frames = int(self._lengths.sum())
        if self.frames <= resident:
            self._blocks = 1
        else:  # so few episodes a block that even the longest of them fit
            self._blocks = -(-len(self._episodes) // max(1, resident // int(self._lengths.max())))
        self._steps_per_block = max(1, self.frames // self._blocks // batch_size)
        self._block: int | None = None
        most = min(self.frames, max(resident, int(self._lengths.max())))
        fits = fits_on_gpu(most * 64 * 64 * 3, torch.device(device))
        self.device = torch.device(device if fits else "cpu")  # of the batches
        self._resident = torch.empty(0, 64, 64, 3, dtype=torch.uint8)

    def batch(self, step: int) -> Tensor:
        """The batch of a training step: (B, 64, 64, 3) uint8 on `device`."""
        self._load(step // self._steps_per_block)
        rows = numpy_stream(self.seed, "rows", step).integers(len(self._resident), size=self.batch_size)
        return self._resident.index_select(0, sent(torch.from_numpy(rows), self.device))

    def _load(self, block: int) -> None:
        """Bring the episodes of a block, counted from the first of the first epoch, into memory."""
        if self._blocks == 1:
            block = 0  # everything is in memory: the same in each epoch, and in the same order
        if block == self._block:
            return
        epoch, position = divmod(block, self._blocks)
        order = numpy_stream(self.seed, "epoch", epoch).permutation(len(self._episodes))
        chosen = np.array_split(order, self._blocks)[position]
        self._resident = torch.empty(0, 64, 64, 3, dtype=torch.uint8)  # the old block goes before the new one
        resident = np.empty((int(self._lengths[chosen].sum()), 64, 64, 3), np.uint8)
        filled = 0
        for which in chosen:
            store, index = self._episodes[which]
            frames = store.read_arrays(index, ("frames",))["frames"]
            resident[filled : filled + len(frames)] = frames
            filled += len(frames)
        self._resident = torch.from_numpy(resident).to(self.device)
        self._block = block
