"""Train V on stored frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.feeding import fed, noisy
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.optimise import AdamConfig, autocast, optimise
from worldmodels.runs.seeds import stream
from worldmodels.vision.frames import FrameBatches
from worldmodels.vision.vae import VAE, VAEConfig, pixels, salience_weight


@dataclass(frozen=True)
class VisionTraining(AdamConfig):
    """How V learns."""

    # In a run `rounds.vision_steps`, round by round. The paper's: one epoch of its 10 million frames.
    steps: int = 100_000
    batch_size: int = 100  # frames
    learning_rate: float = 1e-4  # at the first step
    final_learning_rate: float = 1e-4  # at the last one
    mirror: bool = False  # half of the frames are shown mirrored
    # Further weight of pixels that differ from the average frame, see `vae.salience_weight`; the paper has none.
    salience: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.salience < math.inf:
            raise ValueError(f"vision.salience must not be negative, got {self.salience}")


def train_vision(
    run: RunFolder,
    config: VAEConfig,
    training: VisionTraining,
    stores: Sequence[EpisodeStore],
    *,
    round: int,
    seed: int,
    device: torch.device,
    made_from: Mapping[str, str],
    start: VAE | None = None,
    save_every: float = 20.0,
) -> str:
    """Train V on the frames of `stores` and save it as the V of `round`; returns its sha256.

    Args:
        start: weights to go on from (those of the round before); None begins at random.
        save_every: seconds between two checkpoints of an unfinished training.
    """
    torch.manual_seed(stream(seed, "vision", round, "weights"))
    model = VAE(config)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model.to(device)
    draw = stream(seed, "vision", round, "batches")
    batches = FrameBatches(stores, training.batch_size, draw, device=device)
    average = average_frame(batches).to(device) if training.salience > 0 else None

    def losses(frames: Tensor, noise: Tensor) -> dict[str, Tensor]:
        if training.mirror:
            half = len(frames) // 2
            frames = torch.cat([frames[:half].flip(2), frames[half:]])
        with autocast(device, training.precision):
            seen = pixels(frames)
            weight = None if average is None else salience_weight(seen, average, training.salience)
            loss = model.loss(seen, noise, weight)
        return {"loss": loss.total, "reconstruction": loss.reconstruction.detach(), "kl": loss.kl.detach()}

    noise = (training.batch_size, config.latent_size)
    ahead = batches.device.type != device.type
    with fed(lambda step: [batches.batch(step)], device, training.steps, ahead=ahead) as frames_of:
        return optimise(
            model,
            noisy(frames_of, noise, device, seed, "vision", round, "noise"),
            losses,
            training,
            run=run,
            path=run.vision(round),
            kind="vision",
            model_config=asdict(config),
            made_from=made_from,
            log_name=f"vision-{round:02d}",
            save_every=save_every,
        )


def average_frame(batches: FrameBatches, count: int = 2048) -> Tensor:
    """The mean of about `count` frames: (3, 64, 64) in [0, 1]."""
    sums = [pixels(batches.batch(step)).mean(dim=0) for step in range(-(-count // batches.batch_size))]
    return torch.stack(sums).mean(dim=0)


def load_vision(run: RunFolder, round: int, device: torch.device | str = "cpu") -> tuple[VAE, str]:
    """V of a round, ready to encode, and its sha256."""
    return read_vision(run.vision(round), device)


def read_vision(path: Path, device: torch.device | str = "cpu") -> tuple[VAE, str]:
    """V at a path, likewise."""
    checkpoint = load_checkpoint(path, kind="vision")
    model = VAE(VAEConfig(**checkpoint.config))
    model.load_state_dict(checkpoint.weights)
    return model.to(device).eval(), checkpoint.sha256
