"""The latents: any frame encoded, any latent decoded. Nothing moves here; every picture is an answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from worldmodels.play.frame import Frame, rounded
from worldmodels.play.model import PlayModel
from worldmodels.play.painter import Painter


class LatentsScreen:
    """V at a person's disposal."""

    name = "latents"
    paused = False
    running = False

    def __init__(self, model: PlayModel, painter: Painter) -> None:
        self._model, self._painter = model, painter

    def examples(self) -> Frame:
        """Frames of the actual game."""
        frames = self._model.examples
        return self._frame("examples", ["example"] * len(frames), frames)

    @torch.inference_mode()
    def encode(self, frame: np.ndarray) -> Frame:
        """A frame (64, 64, 3) uint8, what V makes of it, and how sure it is."""
        mu, logvar = self._painter.look(frame)
        panes = np.stack([frame, self._painter.paint(mu)[0]])
        sigma = torch.exp(0.5 * logvar[0])
        return self._frame("encoded", ["frame", "decoded"], panes, z=rounded(mu[0]), sigma=rounded(sigma))

    def decode(self, number: int, z: Sequence[float]) -> Frame:
        """The picture of a latent (Z,)."""
        latent = torch.tensor([z], dtype=torch.float32, device=self._model.device)  # (1, Z)
        painted = self._painter.paint(latent)
        return self._frame("decoded", ["decoded"], painted, id=number, z=rounded(latent[0]))

    def advance(self) -> None:
        """Nothing moves here."""

    def picture(self) -> None:
        """Nothing is shown unasked."""

    def close(self) -> None:
        """Nothing to give back."""

    def _frame(self, kind: str, names: list[str], panes: np.ndarray, **more: object) -> Frame:
        return Frame({"screen": self.name, "kind": kind, "panes": names, **more}, panes, moving=False)
