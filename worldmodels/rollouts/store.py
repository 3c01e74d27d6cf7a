"""Thousands of episodes on disk, one file each: `episode-00000.npz`.

A file is an ordinary compressed NumPy archive: `numpy.load("episode-00000.npz")["frames"]` reads it without
this code. The small arrays come before the frames, and each can be read without inflating the others. The
same episode gives the same bytes. docs/dependencies.md says why this format, with figures.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from worldmodels.errors import UserError
from worldmodels.rollouts.episode import Episode
from worldmodels.runs.files import atomic_file
from worldmodels.runs.folder import command_for

COMPRESSION_LEVEL = (
    1  # deflate's fastest: higher levels cost much more time than they save space (benchmarks/store.py)
)
LATER = ("dropped_steps",)  # fields that the files of older runs do not have
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, OSError, NotImplementedError)


class EpisodeStore:
    """Episodes in one folder, by index. Nothing is held in memory but what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def path(self, index: int) -> Path:
        return self.folder / f"episode-{index:05d}.npz"

    def indices(self) -> list[int]:
        """Indices of the stored episodes, ascending. Half-written and other files do not count."""
        names = (
            re.fullmatch(r"episode-(\d{5,})\.npz", path.name) for path in self.folder.glob("episode-*.npz")
        )
        return sorted(int(name[1]) for name in names if name)

    def __len__(self) -> int:
        return len(self.indices())

    def write(self, index: int, episode: Episode) -> None:
        """Store an episode, all or nothing; one that was there is replaced."""
        scalars = {
            "terminated": np.bool_(episode.terminated),
            "policy": np.str_(episode.policy),
            "seed": np.int64(episode.seed),
            "action_repeat": np.int64(episode.action_repeat),
            "game_steps": np.int64(episode.game_steps),
            "dropped_steps": np.int64(episode.dropped_steps),
        }
        arrays = {"rewards": episode.rewards, "actions": episode.actions, "frames": episode.frames}
        write_arrays(self.path(index), scalars | arrays)

    def read(self, index: int) -> Episode:
        """One episode. Raises UserError, as all readers here, for a missing, cut short or foreign file."""
        names = (
            "frames",
            "actions",
            "rewards",
            "terminated",
            "policy",
            "seed",
            "action_repeat",
            "game_steps",
            *LATER,
        )
        fields = read_arrays(self.path(index), names, LATER)
        try:
            return Episode(
                frames=fields["frames"],
                actions=fields["actions"],
                rewards=fields["rewards"],
                terminated=bool(fields["terminated"]),
                policy=str(fields["policy"]),
                seed=int(fields["seed"]),
                action_repeat=int(fields["action_repeat"]),
                game_steps=int(fields["game_steps"]),
                dropped_steps=int(fields.get("dropped_steps", 0)),
            )
        except (ValueError, TypeError) as error:
            raise _damaged(self.path(index), error) from error

    def read_arrays(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Only these fields of an episode ("actions", "seed", ...); scalars come as 0-dimensional arrays."""
        return read_arrays(self.path(index), names)

    def game_steps(self, index: int) -> int:
        """Steps of the game that an episode took, with those of the ones that were dropped for it."""
        fields = read_arrays(self.path(index), ("game_steps", *LATER), LATER)
        return sum(int(steps) for steps in fields.values())

    def lengths(self) -> np.ndarray:
        """Actions in each episode, in the order of `indices`: (episodes,) int64. Reads headers only."""
        return np.array([_length(self.path(index)) for index in self.indices()], np.int64)


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray | np.generic], level: int = COMPRESSION_LEVEL
) -> None:
    """Write a compressed NumPy archive, members in the order of `arrays`, all or nothing.

    numpy.savez_compressed would do, but for its fixed compression level (see COMPRESSION_LEVEL).
    """
    with (
        atomic_file(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive,
    ):
        for name, array in arrays.items():
            # A member opened by name carries zip's fixed date of 1980, so equal arrays give equal bytes.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_arrays(path: Path, names: Sequence[str], perhaps: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Those members of a NumPy archive, writable and owned by the caller; of `perhaps` those that are there."""
    try:
        with zipfile.ZipFile(path) as archive:
            there = set(archive.namelist())
            wanted = [name for name in names if name not in perhaps or f"{name}.npy" in there]
            return {name: _read_member(archive, name) for name in wanted}
    except FileNotFoundError as error:
        raise UserError(f"{path} not found; run `{command_for(path)}` to make it") from error
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    data = archive.read(f"{name}.npy")  # whole, so that the checksum is compared
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _length(path: Path) -> int:
    """Length of `rewards`, from the header of that member alone."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("rewards.npy") as member:
            np.lib.format.read_magic(member)
            shape, _, _ = np.lib.format.read_array_header_1_0(member)
            return shape[0]
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} is cut short or not an episode ({error}); delete it and run `{command_for(path)}`"
    )
