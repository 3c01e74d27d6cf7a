"""V for all sessions: pictures that are wanted at the same time are painted in one batch."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from worldmodels.vision.vae import VAE, frames, pixels


class Painter:
    """Decodes and encodes with V, for any thread.

    It has one thread of its own, since what PyTorch keeps for convolutions, 20 MB, it keeps for each thread and for
    good. Whoever comes while that is busy waits, and then all who wait get their pictures from one batch: two cost
    little more than one.
    """

    def __init__(self, vision: VAE, device: torch.device) -> None:
        self._vision, self._device = vision, device
        self._easel = ThreadPoolExecutor(1, "painter")
        self._waiting: list[tuple[Tensor, Future[np.ndarray]]] = []
        self._lock = threading.Lock()

    def paint(self, latents: Tensor) -> np.ndarray:
        """Latents (n, Z) to frames (n, 64, 64, 3) uint8."""
        wish: Future[np.ndarray] = Future()
        with self._lock:
            self._waiting.append((latents, wish))
        self._easel.submit(self._fulfil)
        return wish.result()

    def look(self, frame: np.ndarray) -> tuple[Tensor, Tensor]:
        """What V makes of a frame (64, 64, 3) uint8: mu and logvar, (1, Z) each."""
        return self._easel.submit(self._look, frame).result()

    def close(self) -> None:
        """Give back the thread. Those who still wait get their pictures first."""
        self._easel.shutdown(wait=False)

    @torch.inference_mode()
    def _look(self, frame: np.ndarray) -> tuple[Tensor, Tensor]:
        return self._vision.encode(pixels(torch.from_numpy(frame[None]).to(self._device)))

    @torch.inference_mode()
    def _fulfil(self) -> None:
        """Paint for all who wait; nobody does where an earlier call has painted for them."""
        with self._lock:
            wishes, self._waiting = self._waiting, []
        if not wishes:
            return
        try:
            latents = torch.cat([latents for latents, _ in wishes])
            painted = frames(self._vision.decode(latents)).cpu().numpy()
        except Exception as error:  # each caller gets it, and the next batch is another matter
            for _, wish in wishes:
                wish.set_exception(error)
            return
        done = 0
        for latents, wish in wishes:
            wish.set_result(painted[done : done + len(latents)])
            done += len(latents)
