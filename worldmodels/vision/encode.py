"""Stored frames to stored latents: what V makes of every episode, and of its mirror image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from worldmodels.rollouts.latents import LatentEpisode, latents_vision, mirrored, write_latents
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.progress import progress
from worldmodels.vision.vae import VAE, pixels

BATCH = 250  # frames: more does not encode faster, and needs more memory


def encode_rollouts(
    model: VAE,
    vision: str,
    pairs: Sequence[tuple[EpisodeStore, Path]],
    device: torch.device,
    mirror_signs: Sequence[float] | None = None,
) -> int:
    """Encode each store into its folder; returns how many frames were encoded.

    Files that the V with hash `vision` has already made are left as they are.

    Args:
        pairs: where the episodes are, and where their latents go.
        mirror_signs: also encode the mirrored frames, with actions multiplied by these signs (A,), into the
            folder that `mirrored` names; None does not.
    """
    todo = [
        (store, index, folder)
        for store, folder in pairs
        for index in store.indices()
        if not _done(folder, store.path(index).name, vision, mirror_signs is not None)
    ]
    encoded = 0
    with progress("encode", len(todo), "episodes") as bar:
        for store, index, folder in todo:
            episode = store.read_arrays(index, ("frames", "actions", "rewards", "terminated"))
            name = store.path(index).name
            write_latents(folder / name, _encode(model, episode, episode["frames"], None, device), vision)
            encoded += len(episode["frames"])
            if mirror_signs is not None:
                flipped = np.ascontiguousarray(episode["frames"][:, :, ::-1])
                twin = _encode(model, episode, flipped, np.array(mirror_signs, np.float32), device)
                write_latents(mirrored(folder) / name, twin, vision)
                encoded += len(flipped)
            bar.advance()
    return encoded


def encode_episode(model: VAE, store: EpisodeStore, index: int, device: torch.device) -> LatentEpisode:
    """One stored episode as V sees it, kept in memory only."""
    episode = store.read_arrays(index, ("frames", "actions", "rewards", "terminated"))
    return _encode(model, episode, episode["frames"], None, device)


def _done(folder: Path, name: str, vision: str, mirror: bool) -> bool:
    paths = [folder / name] + ([mirrored(folder) / name] if mirror else [])
    return all(latents_vision(path) == vision for path in paths)


def _encode(
    model: VAE,
    episode: dict[str, np.ndarray],
    frames: np.ndarray,
    signs: np.ndarray | None,
    device: torch.device,
) -> LatentEpisode:
    mu, logvar = encode_frames(model, frames, device)
    actions = episode["actions"] if signs is None else episode["actions"] * signs
    return LatentEpisode(mu, logvar, actions, episode["rewards"], bool(episode["terminated"]))


@torch.inference_mode()
def encode_frames(model: VAE, frames: np.ndarray, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """mu and logvar (N, Z) float32 of frames (N, 64, 64, 3) uint8."""
    parts = [model.encode(pixels(torch.from_numpy(part).to(device))) for part in _batches(frames)]
    mu, logvar = (torch.cat(column).float().cpu().numpy() for column in zip(*parts, strict=True))
    return mu, logvar


def _batches(frames: np.ndarray) -> list[np.ndarray]:
    return [frames[i : i + BATCH] for i in range(0, len(frames), BATCH)]
