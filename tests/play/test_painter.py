"""V for everybody: one batch for all who wait, and no one's failure another's."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from worldmodels.play.painter import Painter
from worldmodels.vision.vae import frames


@pytest.fixture
def decoded(model, monkeypatch) -> list[int]:
    """Sizes of the batches that V decodes."""
    sizes: list[int] = []
    decode = model.vision.decode

    def counting(z: torch.Tensor) -> torch.Tensor:
        sizes.append(len(z))
        return decode(z)

    monkeypatch.setattr(model.vision, "decode", counting)
    return sizes


def test_one_picture_is_v_s(model):
    z = torch.randn(2, model.latent_size)
    with torch.no_grad():
        expected = frames(model.vision.decode(z)).numpy()
    np.testing.assert_array_equal(Painter(model.vision, model.device).paint(z), expected)


def test_those_who_wait_are_painted_together_and_each_gets_their_own(model, decoded):
    painter = Painter(model.vision, model.device)
    latents = [torch.randn(1 + k % 2, model.latent_size) for k in range(9)]
    alone = [painter.paint(z) for z in latents]
    decoded.clear()
    together: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda k=k: together.__setitem__(k, painter.paint(latents[k])))
        for k in range(9)
    ]
    busy = threading.Event()
    painter._easel.submit(busy.wait)  # somebody else's picture
    for thread in threads:
        thread.start()
    while len(painter._waiting) < 9:
        time.sleep(0.001)
    busy.set()
    for thread in threads:
        thread.join()
    assert decoded == [sum(len(z) for z in latents)]
    for k in range(9):
        assert np.abs(together[k].astype(int) - alone[k]).max() <= 1  # of 255: sums in another order


def test_a_failure_is_told_and_the_next_picture_is_painted(model):
    painter = Painter(model.vision, model.device)
    with pytest.raises(RuntimeError):
        painter.paint(torch.zeros(1, model.latent_size + 1))
    assert painter.paint(torch.zeros(1, model.latent_size)).shape == (1, 64, 64, 3)


def test_looking_is_encoding(model):
    mu, logvar = Painter(model.vision, model.device).look(np.zeros((64, 64, 3), np.uint8))
    assert mu.shape == logvar.shape == (1, model.latent_size)
