"""Encoding: what is stored for M is what V says, and no frame is encoded twice for nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from worldmodels.errors import UserError
from worldmodels.rollouts.latents import mirrored, read_folders, read_latents
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.vision import encode
from worldmodels.vision.encode import encode_frames, encode_rollouts
from worldmodels.vision.vae import VAE, VAEConfig, pixels

MakeStore = Callable[[str, Sequence[int]], EpisodeStore]
CPU = torch.device("cpu")
SIGNS = (-1.0, 1.0)


@pytest.fixture(scope="module")
def model() -> VAE:
    torch.manual_seed(0)
    return VAE(VAEConfig(latent_size=3)).eval()


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    return tmp_path / "run" / "latents" / "round-00"


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.npz")}


def test_the_latents_are_what_v_says(model: VAE, make_store: MakeStore, latents: Path):
    store = make_store("round-00", [4, 6])
    assert encode_rollouts(model, "abc", [(store, latents)], CPU) == 5 + 7
    for index, encoded in enumerate(read_folders([latents], "abc")):
        episode = store.read(index)
        with torch.inference_mode():
            mu, logvar = model.encode(pixels(torch.from_numpy(episode.frames)))
        assert_allclose(encoded.mu, mu.numpy(), rtol=1e-4, atol=1e-6)
        assert_allclose(encoded.logvar, logvar.numpy(), rtol=1e-4, atol=1e-6)
        assert encoded.mu.dtype == encoded.logvar.dtype == np.float32
        assert np.array_equal(encoded.actions, episode.actions)
        assert np.array_equal(encoded.rewards, episode.rewards)
        assert encoded.terminated == episode.terminated
    assert not mirrored(latents).exists()


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_long_episodes_are_encoded_in_parts(model: VAE, monkeypatch: pytest.MonkeyPatch, count: int):
    frames = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    whole = encode_frames(model, frames, CPU)
    monkeypatch.setattr(encode, "BATCH", 4)
    for in_parts, at_once in zip(encode_frames(model, frames, CPU), whole, strict=True):
        assert in_parts.shape == (count, 3)
        assert_allclose(in_parts, at_once, rtol=1e-4, atol=1e-6)


def test_the_mirrored_twin_is_the_flipped_frames(model: VAE, make_store: MakeStore, latents: Path):
    store = make_store("round-00", [4])
    assert encode_rollouts(model, "abc", [(store, latents)], CPU, SIGNS) == 2 * 5
    twin, episode = read_latents(mirrored(latents) / "episode-00000.npz", "abc"), store.read(0)
    flipped = np.ascontiguousarray(np.flip(episode.frames, axis=2))
    assert not np.array_equal(flipped, episode.frames)
    mu, logvar = encode_frames(model, flipped, CPU)
    assert np.array_equal(twin.mu, mu)
    assert np.array_equal(twin.logvar, logvar)
    assert np.array_equal(twin.actions, episode.actions * np.array(SIGNS, np.float32))
    assert twin.actions.dtype == np.float32
    assert np.array_equal(twin.rewards, episode.rewards)
    assert twin.terminated == episode.terminated
    actual = read_latents(latents / "episode-00000.npz", "abc")
    assert not np.allclose(actual.mu, twin.mu)


def test_what_this_v_has_encoded_is_left_alone(model: VAE, make_store: MakeStore, latents: Path):
    store = make_store("round-00", [4, 6])
    encode_rollouts(model, "abc", [(store, latents)], CPU, SIGNS)
    before = contents(latents.parent)
    assert len(before) == 4
    assert encode_rollouts(model, "abc", [(store, latents)], CPU, SIGNS) == 0
    assert encode_rollouts(model, "abc", [(store, latents)], CPU) == 0, "the twins are there as well"
    assert contents(latents.parent) == before


def test_only_new_episodes_and_missing_twins_are_encoded(model: VAE, make_store: MakeStore, latents: Path):
    store = make_store("round-00", [4])
    encode_rollouts(model, "abc", [(store, latents)], CPU)
    store.write(1, store.read(0))
    before = contents(latents)
    assert encode_rollouts(model, "abc", [(store, latents)], CPU) == 5
    assert before.items() <= contents(latents).items()
    assert encode_rollouts(model, "abc", [(store, latents)], CPU, SIGNS) == 2 * 2 * 5
    assert len(read_folders([mirrored(latents)], "abc")) == 2


def test_a_new_v_encodes_everything_again(model: VAE, make_store: MakeStore, latents: Path):
    store = make_store("round-00", [4, 6])
    encode_rollouts(model, "abc", [(store, latents)], CPU, SIGNS)
    torch.manual_seed(1)
    changed = VAE(VAEConfig(latent_size=3)).eval()
    assert encode_rollouts(changed, "def", [(store, latents)], CPU, SIGNS) == 2 * 12
    mu, _ = encode_frames(changed, store.read(1).frames, CPU)
    assert np.array_equal(read_latents(latents / "episode-00001.npz", "def").mu, mu)
    with pytest.raises(
        UserError, match=r"00000\.npz was encoded by another V; delete it and run `worldmodels encode"
    ):
        read_folders([latents], "abc")


def test_an_encoding_that_was_cut_off_is_completed(model: VAE, make_store: MakeStore, latents: Path):
    store = make_store("round-00", [4, 6, 3])
    encode_rollouts(model, "abc", [(store, latents)], CPU)
    whole = {path: data for path, (data, _) in contents(latents).items()}
    (latents / "episode-00002.npz").unlink()
    torn = latents / "episode-00001.npz"
    torn.write_bytes(torn.read_bytes()[:200])
    (latents / "episode-00002.npz.tmp").write_bytes(b"half")
    assert encode_rollouts(model, "abc", [(store, latents)], CPU) == 7 + 4
    assert {path: data for path, (data, _) in contents(latents).items()} == whole


def test_each_store_goes_into_its_own_folder(model: VAE, make_store: MakeStore, latents: Path):
    pairs = [
        (make_store(name, lengths), latents.with_name(name))
        for name, lengths in (("round-00", [2, 3]), ("round-01", [4]))
    ]
    encode_rollouts(model, "abc", pairs, CPU)
    assert [e.length for e in read_folders([folder for _, folder in pairs], "abc")] == [2, 3, 4]
