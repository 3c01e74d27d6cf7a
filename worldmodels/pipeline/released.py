"""What a released run has in place of rollouts and latents: where dreams begin, what V's latents are like, examples."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from worldmodels.envs.game import FRAME_SIZE
from worldmodels.errors import UserError
from worldmodels.runs.checkpoint import Checkpoint, load_checkpoint
from worldmodels.runs.files import read_whole
from worldmodels.runs.folder import RunFolder, command_for
from worldmodels.worlds.starts import Starts


def starts(run: RunFolder, memory: str, device: torch.device | str = "cpu") -> Starts:
    """The moments at which dreams begin. UserError when they were not made by the M with hash `memory`."""
    checkpoint = _checkpoint(run, {"memory": memory})
    mu, logvar, h, c = (checkpoint.weights[name].float().to(device) for name in ("mu", "logvar", "h", "c"))
    return Starts(mu, logvar, h, c, openings=checkpoint.config["openings"])


def latent_statistics(run: RunFolder) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of V's mu over all that the run has seen: (Z,) float32 each."""
    weights = _checkpoint(run, {}).weights
    return weights["latent_mean"].numpy(), weights["latent_std"].numpy()


def examples(run: RunFolder) -> np.ndarray:
    """Some frames of the actual game (E, 64, 64, 3) uint8, from the tiles of examples.png."""
    path = run.examples
    read_whole(path)  # says what is missing
    try:
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:  # whatever Pillow finds wrong with a PNG
        raise UserError(
            f"{path} is cut short or not a picture ({error}); delete it and run `{command_for(path)}`"
        ) from error
    rows, columns = picture.shape[0] // FRAME_SIZE, picture.shape[1] // FRAME_SIZE
    tiles = picture[: rows * FRAME_SIZE, : columns * FRAME_SIZE]
    tiles = tiles.reshape(rows, FRAME_SIZE, columns, FRAME_SIZE, 3).swapaxes(
        1, 2
    )  # (rows, columns, 64, 64, 3)
    return np.ascontiguousarray(tiles.reshape(rows * columns, FRAME_SIZE, FRAME_SIZE, 3))


def as_tiles(frames: np.ndarray, columns: int) -> np.ndarray:
    """Frames (E, 64, 64, 3) in rows of `columns`, without gaps, one picture: what `examples` takes apart."""
    rows = len(frames) // columns
    tiles = frames[: rows * columns].reshape(rows, columns, FRAME_SIZE, FRAME_SIZE, 3).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(rows * FRAME_SIZE, columns * FRAME_SIZE, 3))


def _checkpoint(run: RunFolder, made_from: dict[str, str]) -> Checkpoint:
    return load_checkpoint(run.starts, kind="starts", made_from=made_from)
