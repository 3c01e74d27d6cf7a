"""Training V: it learns, a seed is a result, and what was trained can be loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.feeding import fed
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import read_metrics
from worldmodels.vision import frames
from worldmodels.vision import train as vision_train
from worldmodels.vision.frames import FrameBatches
from worldmodels.vision.train import VisionTraining, average_frame, load_vision, train_vision
from worldmodels.vision.vae import VAE, VAEConfig, VAELoss

MakeStore = Callable[[str, Sequence[int]], EpisodeStore]
CONFIG = VAEConfig(latent_size=4)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def train(
    run: RunFolder,
    store: EpisodeStore,
    steps: int = 1,
    *,
    batch_size: int = 2,
    mirror: bool = False,
    salience: float = 0.0,
    round: int = 0,
    seed: int = 0,
    made_from: Mapping[str, str] | None = None,
    start: VAE | None = None,
    device: str = "cpu",
) -> str:
    training = VisionTraining(
        steps=steps,
        batch_size=batch_size,
        learning_rate=1e-3,
        final_learning_rate=1e-4,
        mirror=mirror,
        salience=salience,
        precision="f32",
    )
    return train_vision(
        run,
        CONFIG,
        training,
        [store],
        round=round,
        seed=seed,
        device=torch.device(device),
        made_from=made_from or {},
        start=start,
    )


def test_v_learns_and_says_so(run: RunFolder, make_store: MakeStore):
    train(run, make_store("round-00", [9]), steps=21, batch_size=8)
    first, last = read_metrics(run, "vision-00")
    assert (first["step"], last["step"]) == (0, 20)
    assert last["reconstruction"] < 0.7 * first["reconstruction"]
    assert last["loss"] == pytest.approx(last["reconstruction"] + max(last["kl"], 0.5 * 4), rel=0.05)
    assert last["learning_rate"] == pytest.approx(1e-4)


def test_what_was_trained_is_loaded(run: RunFolder, make_store: MakeStore):
    sha256 = train(run, make_store("round-00", [3]), made_from={"rollouts": "abc"})
    model, loaded = load_vision(run, 0)
    assert loaded == sha256
    assert model.config == CONFIG
    assert not model.training
    checkpoint = load_checkpoint(run.vision(0), kind="vision", made_from={"rollouts": "abc"})
    assert all(torch.equal(model.state_dict()[name], value) for name, value in checkpoint.weights.items())


def test_the_same_seed_is_the_same_v(run: RunFolder, make_store: MakeStore, tmp_path: Path):
    store = make_store("round-00", [5])
    first = train(run, store, steps=2)
    torch.rand(7)  # what was drawn before makes no difference
    assert train(RunFolder(tmp_path / "again"), store, steps=2) == first
    assert train(run, store, steps=2, seed=1) != first
    assert train(run, store, steps=2, round=1) != first


def test_the_v_of_the_round_before_is_where_training_goes_on(run: RunFolder, make_store: MakeStore):
    store = make_store("round-00", [5])
    torch.manual_seed(5)
    before = VAE(CONFIG)
    train(run, store, start=before, round=1)
    after, _ = load_vision(run, 1)
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert float((old - new).detach().abs().max()) < 0.002, "one step of Adam moves a weight by 0.001"


def test_half_of_the_frames_are_mirrored(
    run: RunFolder, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Tensor] = []
    loss = VAE.loss

    def recording(self: VAE, pixels: Tensor, noise: Tensor, weight: Tensor | None = None) -> VAELoss:
        seen.append(pixels)
        return loss(self, pixels, noise, weight)

    monkeypatch.setattr(VAE, "loss", recording)
    store = make_store("round-00", [5])  # blue grows to the right
    train(run, store, batch_size=6, mirror=False)
    train(run, store, batch_size=6, mirror=True)
    plain, mirrored = seen
    assert torch.equal(mirrored[:3], plain[:3].flip(3))
    assert torch.equal(mirrored[3:], plain[3:])


def test_the_average_frame_is_that_of_the_stores(make_store: MakeStore):
    store = make_store("some", [9, 9])  # red 0 or 1, green 0 to 9, blue the column
    average = average_frame(FrameBatches([store], 64, seed=0)) * 255
    assert average.shape == (3, 64, 64)
    assert average[0].mean().item() == pytest.approx(0.5, abs=0.05)
    assert average[1].mean().item() == pytest.approx(4.5, abs=0.3)
    assert torch.allclose(average[2], (torch.arange(64) * 4.0).expand(64, 64), atol=1e-3)


def test_salience_is_a_training_of_its_own(run: RunFolder, make_store: MakeStore, tmp_path: Path):
    store = make_store("some", [6, 6])
    salient = train(run, store, steps=2, salience=50.0)
    assert train(RunFolder(tmp_path / "again"), store, steps=2, salience=50.0) == salient
    assert train(RunFolder(tmp_path / "plain"), store, steps=2) != salient


def test_batches_made_ahead_teach_the_same(
    run: RunFolder, make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = make_store("some", [6, 6])
    expected = train(run, store, steps=3, mirror=True)
    monkeypatch.setattr(vision_train, "fed", lambda *args, ahead: fed(*args, ahead=True))
    assert train(RunFolder(tmp_path / "ahead"), store, steps=3, mirror=True) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_recorded_steps_teach_what_plain_ones_teach(
    run: RunFolder, make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    """Frames are on the GPU or made ahead; steps are replayed or not."""
    from worldmodels.runs import step

    store = make_store("some", [6, 6])
    batches = [FrameBatches([store], 8, seed=0, resident=9, device=device) for device in ("cpu", "cuda")]
    for which in range(8):
        here, there = (made.batch(which) for made in batches)
        assert there.is_cuda
        assert torch.equal(there.cpu(), here)
    folders = [run, RunFolder(tmp_path / "ahead"), RunFolder(tmp_path / "plain")]
    train(folders[0], store, steps=8, salience=5.0, device="cuda")
    assert "without CUDA graphs" not in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(frames, "fits_on_gpu", lambda size, device: False)
        train(folders[1], store, steps=8, salience=5.0, device="cuda")
    monkeypatch.setattr(step, "recorded", lambda function, work, kept: function)
    train(folders[2], store, steps=8, salience=5.0, device="cuda")
    *found, expected = (load_vision(folder, 0)[0].state_dict() for folder in folders)
    for weights in found:
        for (
            name,
            value,
        ) in expected.items():  # eight steps of at most 0.001 each, of which signs near 0 may differ
            assert float((weights[name] - value).abs().mean()) < 1e-3, name
