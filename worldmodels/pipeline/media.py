"""Pictures and videos for the report: how V sees, what M dreams, how C acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.memory.mdn_rnn import MDNRNN, advance, tick
from worldmodels.report.pictures import Pane, in_rows, side_by_side, write_png
from worldmodels.report.video import write_video
from worldmodels.rollouts.episode import Episode
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.seeds import numpy_stream, stream, torch_stream
from worldmodels.vision.encode import BATCH, encode_frames
from worldmodels.vision.vae import VAE, frames
from worldmodels.worlds import noise
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.starts import Starts

WARM_UP = 1.5  # seconds that M watches before it dreams on alone; CarRacing zooms in during the first
FILM, STRIP, MOMENTS = 14.0, 6.0, 10  # seconds shown as a film; as a strip of so many moments
DRIVE = 30.0  # seconds of the actual game at most: Take Cover's minute would not fit into the report
FILM_SCALE, PICTURE_SCALE = 4, 3  # pixels a side that one pixel of a 64x64 frame becomes


@dataclass(frozen=True, eq=False)
class Comparison:
    """One episode seen three ways, all (N, 64, 64, 3) uint8 and aligned in time."""

    actual: np.ndarray
    reconstruction: np.ndarray
    dream: np.ndarray  # the first frame is V's reconstruction of the start


def make_media(
    run: RunFolder,
    vision: VAE,
    memory: MDNRNN,
    episodes: Sequence[Episode],
    *,
    seed: int,
    device: torch.device,
    fps: float,
) -> list[Path]:
    """Write every picture and video that needs neither the game nor C, and return their paths.

    Args:
        episodes: of the actual game, at least one; the first is the one that is compared with its dream, at
            temperature 1, as M learned it, and all are looked at through V.
        fps: ticks of the game a second, so that the videos have their true speed.
    """
    written = draw_sight(run, vision, episodes, seed, device)
    return written + draw_comparison(run, compare(vision, memory, episodes[0], seed, device, fps), fps)


def draw_sight(
    run: RunFolder, vision: VAE, episodes: Sequence[Episode], seed: int, device: torch.device
) -> list[Path]:
    """reconstructions.png: 8 frames above V's reconstructions; samples.png: 16 frames of z ~ N(0, 1)."""
    rng = numpy_stream(seed, "media", "reconstructions")
    chosen = [episodes[i % len(episodes)] for i in range(8)]
    actual = np.stack([episode.frames[rng.integers(len(episode.frames))] for episode in chosen])
    mu, _ = encode_frames(vision, actual, device)
    rows = [("actual", actual), ("V's reconstruction", decode(vision, torch.from_numpy(mu).to(device)))]
    write_png(run.media("reconstructions.png"), in_rows(rows, PICTURE_SCALE))

    z = torch.randn(16, vision.config.latent_size, generator=torch_stream(seed, "media", "samples"))
    drawn = decode(vision, z.to(device))
    write_png(run.media("samples.png"), in_rows([("", drawn[:8]), ("", drawn[8:])], PICTURE_SCALE))
    return [run.media("reconstructions.png"), run.media("samples.png")]


def compare(
    vision: VAE, memory: MDNRNN, episode: Episode, seed: int, device: torch.device, fps: float
) -> Comparison:
    """The episode, V's reconstruction of it, and M's dream from the same moment under the same actions."""
    start = min(round(WARM_UP * fps), episode.length // 4)
    end = min(start + max(1, round(FILM * fps)), episode.length)
    actual = episode.frames[start : end + 1]
    mu, _ = encode_frames(vision, episode.frames[: end + 1], device)
    seen = torch.from_numpy(mu).to(device)  # (end + 1, Z)
    dreamt = dream_along(
        memory, seen[: start + 1], episode.actions[:end], stream(seed, "media", "comparison")
    )
    return Comparison(actual, decode(vision, seen[start:]), decode(vision, dreamt))


@torch.no_grad()
def dream_along(memory: MDNRNN, seen: Tensor, actions: np.ndarray, seed: int) -> Tensor:
    """Dream on from the last of the latents seen, at temperature 1, under given actions.

    M's memory is warmed up on everything before; from then on it is fed what it dreams and nothing else.

    Args:
        seen: (S + 1, Z) latents of real frames. actions: (E, A), E >= S; actions[t] was taken after seen[t].
    Returns:
        (E - S + 1, Z): the start, then one latent for each action.
    """
    weights, state = memory.tick_weights(), memory.initial(1)
    taken = torch.from_numpy(actions).to(seen.device).unsqueeze(1)  # (E, 1, A)
    past = len(seen) - 1
    for t in range(past):
        state = advance(weights, seen[t : t + 1], taken[t], state)
    keys = noise.keys([seed], seen.device)
    z = seen[past:]  # (1, Z)
    dreamt = [z]
    for t in range(past, len(taken)):
        uniform = noise.uniform(keys, t - past, z.shape[1])
        z, state, _, _ = tick(memory.config, weights, z, taken[t], state, uniform, 1.0)
        dreamt.append(z)
    return torch.cat(dreamt)


def draw_comparison(run: RunFolder, shown: Comparison, fps: float) -> list[Path]:
    """strip.png and comparison.mp4: actual, V's reconstruction and dream, below and beside each other."""
    last = min(len(shown.actual) - 1, round(STRIP * fps))
    times = np.linspace(0, last, min(MOMENTS, last + 1)).round().astype(int)
    every = last / fps / max(1, len(times) - 1)
    rows = [
        (f"actual, a frame every {every:.2g} s", shown.actual[times]),
        ("V's reconstruction", shown.reconstruction[times]),
        ("dream from the first frame on, under the same actions", shown.dream[times]),
    ]
    write_png(run.media("strip.png"), in_rows(rows, PICTURE_SCALE))
    films = {"actual": shown.actual, "V's reconstruction": shown.reconstruction, "dream": shown.dream}
    panes = [Pane(caption, film) for caption, film in films.items()]
    write_video(run.media("comparison.mp4"), side_by_side(panes, FILM_SCALE), fps)
    return [run.media("strip.png"), run.media("comparison.mp4")]


def openings(vision: VAE, memory: MDNRNN, episodes: Sequence[Episode], device: torch.device) -> Starts:
    """The first frames of these episodes as moments at which dreams begin."""
    first = np.stack([episode.frames[0] for episode in episodes])
    mu, logvar = (torch.from_numpy(part).to(device) for part in encode_frames(vision, first, device))
    return Starts(mu, logvar, *memory.initial(len(mu)), openings=len(mu))


@torch.no_grad()
def film_dream(
    path: Path,
    vision: VAE,
    world: DreamWorld,
    controller: ControllerConfig,
    parameters: Tensor,
    seed: int,
    fps: float,
) -> Path:
    """C acts in its dream, from one of its starts, until the dream ends."""
    features = world.reset([stream(seed, "media", "dream")])
    latents, earned, points = [world.z], ["dream, 0 points"], 0.0
    while True:
        step = world.step(act(controller, parameters.to(features)[None], features[None])[0])
        features = step.features
        points += float(step.reward)
        latents.append(world.z)
        earned.append(f"dream, {points:.0f} points")
        if bool(step.terminated | step.truncated):
            break
    pane = Pane(earned, decode(vision, torch.cat(latents)))
    write_video(path, side_by_side([pane], 2 * PICTURE_SCALE), fps)
    return path


def film_drive(run: RunFolder, seen: np.ndarray, score: float, fps: float) -> Path:
    """drive.mp4: an episode of the actual game, frames (T, H, W, 3) uint8 at `fps`, with its score on it.

    Of an episode longer than DRIVE it is the end.
    """
    seen = seen[-max(1, round(DRIVE * fps)) :]
    factor = max(1, 640 // seen.shape[2])
    pane = Pane(f"the actual game, {score:.0f} points in this episode", seen)
    write_video(run.media("drive.mp4"), side_by_side([pane], factor), fps)
    return run.media("drive.mp4")


@torch.inference_mode()
def decode(vision: VAE, z: Tensor) -> np.ndarray:
    """Frames (N, 64, 64, 3) uint8 that V draws from latents (N, Z)."""
    parts = [frames(vision.decode(part)).cpu().numpy() for part in z.split(BATCH)]
    return np.ascontiguousarray(np.concatenate(parts))
