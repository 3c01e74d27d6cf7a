"""Films of dreams: they open, they are as long as what was recorded, and they are forgotten."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from worldmodels.play import film as module
from worldmodels.play.film import Films
from worldmodels.play.frame import Recording
from worldmodels.play.painter import Painter


@pytest.fixture
def films(model) -> Films:
    return Films(Painter(model.vision, model.device), model.device)


def latents(model, count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, model.latent_size)).astype(np.float32)


def test_an_mp4_has_every_step(films, model):
    name, size = films.make(Recording("mp4", latents(model, 45)), 50)
    film = films.get(name)
    assert (len(film.data), film.media_type) == (size, "video/mp4")
    with av.open(io.BytesIO(film.data), "r") as container:
        pictures = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 50
    assert len(pictures) == 45
    assert pictures[0].shape == (256, 256, 3)
    painted = Painter(model.vision, model.device).paint(module.torch.from_numpy(latents(model, 1)))[0]
    assert np.abs(pictures[0][2::4, 2::4].astype(float) - painted).mean() < 12


def test_a_gif_has_every_other_step_at_the_same_speed(films, model):
    name, _ = films.make(Recording("gif", latents(model, 20)), 50)
    with Image.open(io.BytesIO(films.get(name).data)) as image:
        frames = sum(1 for _ in ImageSequence.Iterator(image))
        assert (frames, image.size, image.info["duration"]) == (10, (192, 192), 40)


def test_one_moment_is_a_film_too(films, model):
    for format in ("mp4", "gif"):
        assert films.get(films.make(Recording(format, latents(model, 1)), 50)[0])


def test_films_are_forgotten_after_a_while(model):
    now = [0.0]
    films = Films(Painter(model.vision, model.device), model.device, lambda: now[0])
    name, _ = films.make(Recording("gif", latents(model, 2)), 50)
    now[0] = 599
    assert films.get(name)
    now[0] = 601
    assert films.get(name) is None


def test_the_oldest_go_when_there_are_too_many(films, model, monkeypatch):
    monkeypatch.setattr(module, "encode_video", lambda ending, frames, fps: bytes(1000))
    monkeypatch.setattr(module, "KEPT_BYTES", 2500)
    names = [films.make(Recording("mp4", latents(model, 1)), 50)[0] for _ in range(4)]
    assert [films.get(name) is not None for name in names] == [False, False, True, True]


def test_names_tell_nothing(films, model):
    names = {films.make(Recording("gif", latents(model, 1)), 50)[0] for _ in range(3)}
    assert len(names) == 3
    assert all(len(name) > 20 for name in names)
    assert films.get("../../server.py") is None
