"""Episodes as M sees them: V's mu and logvar in place of frames, one file each, named as in the rollouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from worldmodels.errors import UserError
from worldmodels.rollouts.store import read_arrays, write_arrays
from worldmodels.runs.folder import command_for


@dataclass(frozen=True, eq=False)
class LatentEpisode:
    """T ticks of an episode; mu[t] and logvar[t] are what V made of the frame before actions[t]."""

    mu: np.ndarray  # (T + 1, Z) float32
    logvar: np.ndarray  # (T + 1, Z) float32
    actions: np.ndarray  # (T, A) float32
    rewards: np.ndarray  # (T,) float32
    terminated: bool  # the last action ended the game; False: it was cut off

    def __post_init__(self) -> None:
        steps = len(self.actions)
        if self.mu.shape != self.logvar.shape or len(self.mu) != steps + 1 or self.rewards.shape != (steps,):
            raise ValueError(
                f"shapes disagree: mu {self.mu.shape}, logvar {self.logvar.shape}, "
                f"actions {self.actions.shape}, rewards {self.rewards.shape}"
            )

    @property
    def length(self) -> int:
        """Actions taken (T)."""
        return len(self.actions)

    def part(self, first: int, length: int) -> LatentEpisode:
        """`length` ticks from tick `first` on (fewer where the episode ends before); views, no copies."""
        last = min(first + length, self.length)
        return LatentEpisode(
            self.mu[first : last + 1],
            self.logvar[first : last + 1],
            self.actions[first:last],
            self.rewards[first:last],
            self.terminated and last == self.length,
        )


class StoredLatents(Sequence[LatentEpisode]):
    """Encoded episodes that are read when they are asked for, and each time again: none is held in memory."""

    def __init__(self, readers: Sequence[Callable[[], LatentEpisode]]) -> None:
        self._readers = readers

    def __len__(self) -> int:
        return len(self._readers)

    @overload
    def __getitem__(self, index: int) -> LatentEpisode: ...
    @overload
    def __getitem__(self, index: slice) -> StoredLatents: ...
    def __getitem__(self, index: int | slice) -> LatentEpisode | StoredLatents:
        return StoredLatents(self._readers[index]) if isinstance(index, slice) else self._readers[index]()


FIELDS = ("mu", "logvar", "actions", "rewards", "terminated", "vision")


def write_latents(path: Path, episode: LatentEpisode, vision: str) -> None:
    """Store what the V with hash `vision` made of an episode, all or nothing."""
    write_arrays(
        path,
        {
            "terminated": np.bool_(episode.terminated),
            "vision": np.str_(vision),
            "rewards": episode.rewards,
            "actions": episode.actions,
            "mu": episode.mu,
            "logvar": episode.logvar,
        },
    )


def latents_vision(path: Path) -> str | None:
    """Hash of the V that made the file; None when there is no such file or it cannot be read."""
    try:
        return str(read_arrays(path, ("vision",))["vision"])
    except UserError:
        return None


def read_latents(path: Path, vision: str) -> LatentEpisode:
    """One encoded episode. UserError when the file is missing, damaged or made by another V than `vision`."""
    fields = read_arrays(path, FIELDS)
    if str(fields["vision"]) != vision:
        raise UserError(f"{path} was encoded by another V; delete it and run `{command_for(path)}`")
    return LatentEpisode(
        mu=fields["mu"],
        logvar=fields["logvar"],
        actions=fields["actions"],
        rewards=fields["rewards"],
        terminated=bool(fields["terminated"]),
    )


def mirrored(folder: Path) -> Path:
    """Where the left-right mirrored twins of a folder's latents are kept."""
    return folder.with_name(folder.name + "-mirrored")


def read_folders(folders: Sequence[Path], vision: str) -> list[LatentEpisode]:
    """All encoded episodes of these folders, in order: 260 bytes a tick at Z = 32."""
    return [
        read_latents(path, vision)
        for folder in folders
        for path in sorted(folder.glob("episode-*.npz"), key=lambda path: int(path.stem.split("-")[1]))
    ]
