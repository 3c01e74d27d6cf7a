"""Pictures and videos of a run: what is in them, and that the dream is M's own."""

from __future__ import annotations

import json
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from worldmodels.cli import main
from worldmodels.controller.linear import ControllerConfig
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.pipeline.media import compare, dream_along, film_dream, film_drive, make_media, openings
from worldmodels.rollouts.episode import Episode
from worldmodels.runs.folder import RunFolder
from worldmodels.vision.encode import encode_frames
from worldmodels.vision.vae import VAE, VAEConfig
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig

CPU = torch.device("cpu")
LATENT, HIDDEN = 4, 8


@pytest.fixture(scope="module")
def vision() -> VAE:
    torch.manual_seed(0)
    return VAE(VAEConfig(latent_size=LATENT)).eval()


def make_memory(**config: Any) -> MDNRNN:
    torch.manual_seed(1)
    return MDNRNN(MDNRNNConfig(latent_size=LATENT, hidden_size=HIDDEN, mixtures=2, **config)).eval()


def make_episode(length: int, seed: int = 0) -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        frames=rng.integers(0, 256, size=(length + 1, 64, 64, 3), dtype=np.uint8),
        actions=rng.uniform(-1, 1, size=(length, 3)).astype(np.float32),
        rewards=np.ones(length, np.float32),
        terminated=False,
        policy="random",
        seed=seed,
        action_repeat=4,
        game_steps=4 * length,
    )


def film(path) -> tuple[int, float, tuple[int, int]]:
    """Frames, frames a second and size of a video."""
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        return (
            sum(1 for _ in video.decode(video=0)),
            float(stream.average_rate or 0),
            (stream.height, stream.width),
        )


def test_everything_is_made_at_the_speed_of_the_game(tmp_path, vision):
    run = RunFolder(tmp_path)
    memory = make_memory()
    episodes = [make_episode(16), make_episode(3, seed=1)]
    written = make_media(
        run, vision, memory, episodes, seed=0, device=CPU, fps=2
    )  # so that few are many seconds
    names = ["reconstructions.png", "samples.png", "strip.png", "comparison.mp4"]
    assert written == [run.media(name) for name in names]
    frames, fps, (height, width) = film(run.media("comparison.mp4"))
    assert (frames, fps) == (16 - 3 + 1, 2)
    assert width > 3 * 256 > height
    before = {path: path.read_bytes() for path in written}
    for path in written[:3]:
        with Image.open(path) as picture:
            assert picture.width > 1500
    make_media(run, vision, memory, episodes, seed=0, device=CPU, fps=2)
    assert all(path.read_bytes() == before[path] for path in written[:3])
    assert film(run.media("comparison.mp4")) == (frames, fps, (height, width))


def test_cs_dream_ends_as_the_run_says(tmp_path, vision):
    """An end that M holds for unlikely, tick by tick: a cut-off never comes, a draw does within the 14 seconds."""
    memory = make_memory(predicts_reward=True, predicts_end=True)
    with torch.no_grad():
        memory.head.weight[-1] = 0
        memory.head.bias[-1] = -0.1
    controller, starts = (
        ControllerConfig(feature_size=LATENT + HIDDEN),
        openings(vision, memory, [make_episode(3)], CPU),
    )
    lengths = {}
    for ends in ("cut-off", "drawn"):
        world = DreamWorld(memory, starts, DreamConfig(ends=ends, horizon=28, openings=1.0))
        path = film_dream(
            tmp_path / "dream.mp4", vision, world, controller, torch.zeros(controller.parameter_count), 0, 2.0
        )
        lengths[ends], fps, _ = film(path)
        assert fps == 2
    assert lengths["cut-off"] == 28 + 1
    assert 1 < lengths["drawn"] < lengths["cut-off"]


def test_the_dream_is_filmed_at_the_temperature_in_which_c_has_learnt(toy_copy, tmp_path):
    record = json.loads((toy_copy / "experiment.json").read_text())
    record["experiment"]["dream"]["temperature"] = 3.0
    (toy_copy / "experiment.json").write_text(json.dumps(record))

    def filmed(*options: str) -> bytes:
        path = tmp_path / "dream.gif"
        assert main(["dream", str(toy_copy), "--steps", "20", "--out", str(path), *options]) == 0
        return path.read_bytes()

    assert filmed() == filmed("--temperature", "3")
    assert filmed() != filmed("--temperature", "0.1")


def test_an_episode_of_one_tick_is_compared_too(tmp_path, vision):
    run = RunFolder(tmp_path)
    make_media(run, vision, make_memory(), [make_episode(1)], seed=0, device=CPU, fps=12.5)
    assert film(run.media("comparison.mp4"))[0] == 2


def test_the_three_views_begin_at_the_same_frame(vision):
    episode = make_episode(12)
    shown = compare(vision, make_memory(), episode, 0, CPU, fps=12.5)
    assert len(shown.actual) == len(shown.reconstruction) == len(shown.dream) == 12 - 3 + 1
    np.testing.assert_array_equal(shown.actual, episode.frames[3:])
    np.testing.assert_array_equal(shown.dream[0], shown.reconstruction[0])


def test_the_dream_is_warmed_up_and_then_fed_its_own_latents_only(vision):
    """With hardly any variance each dreamt latent is the mean that M expects over the whole sequence."""
    memory = make_memory()
    with torch.no_grad():
        log_pi, _, log_sigma = memory.head.bias.view(3, LATENT, 2)
        log_sigma.fill_(-30)
        log_pi[:, 0] = 60  # one component takes it all
    episode = make_episode(9)
    seen = torch.from_numpy(encode_frames(vision, episode.frames[:4], CPU)[0])  # frames 0..3
    dreamt = dream_along(memory, seen, episode.actions, seed=0)
    assert dreamt.shape == (9 - 3 + 1, LATENT)
    torch.testing.assert_close(dreamt[0], seen[3])
    z = torch.cat([seen[:3], dreamt[:-1]])[None]  # (1, 9, Z), what M was fed
    with torch.no_grad():
        mixture = memory.predict(memory.sequence(z, torch.from_numpy(episode.actions)[None])).mixture
    torch.testing.assert_close(dreamt[1:], mixture.mu[0, 3:, :, 0], atol=1e-5, rtol=1e-5)


def test_the_drive_shows_raw_frames_with_sharp_pixels(tmp_path):
    run = RunFolder(tmp_path)
    raw = np.zeros((5, 84, 96, 3), np.uint8)
    assert film_drive(run, raw, 412.4, fps=50) == run.media("drive.mp4")
    frames, fps, (height, width) = film(run.media("drive.mp4"))
    assert (frames, fps) == (5, 50)
    assert (height // 84, width // 96) == (6, 6)
