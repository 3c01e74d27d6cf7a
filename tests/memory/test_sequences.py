"""Batches of one shape, and the same batches put together from latents that lie on a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from worldmodels.memory import train as memory_train
from worldmodels.memory.mdn_rnn import MDNRNNConfig
from worldmodels.memory.resident import ResidentLatents, size_of
from worldmodels.memory.sequences import SequenceBatches, StreamBatches, pad
from worldmodels.memory.train import MemoryTraining, load_memory, train_memory
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.feeding import fed
from worldmodels.runs.folder import RunFolder

RandomLatents = Callable[..., LatentEpisode]
BATCHES = [SequenceBatches, StreamBatches]
CPU = torch.device("cpu")
CONFIG = MDNRNNConfig(4, 2, 8, 3, predicts_reward=True, predicts_end=True, restart_flag=True)
TRAINING = MemoryTraining(steps=30, batch_size=4, sequence_length=6, precision="f32")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def episodes(random_latents: RandomLatents) -> list[LatentEpisode]:
    return [random_latents(n, seed=n, terminated=n % 2 == 0) for n in (1, 3, 6, 7, 14)]


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize(("longest", "ticks"), [(6, 6), (14, 14), (999, 14)])
def test_all_batches_have_one_shape(kind, longest: int, ticks: int, episodes: list[LatentEpisode]):
    batches = kind(episodes, 4, longest, seed=0)
    assert batches.ticks == ticks
    for step in range(12):
        shapes = [tuple(part.shape) for part in batches.batch(step)]
        assert shapes == [(4, ticks + 1, 4)] * 2 + [(4, ticks, 2)] + [(4, ticks)] * 3


def test_what_is_longer_than_asked_for_is_empty(random_latents: RandomLatents):
    short = random_latents(3)
    batch, exact = pad([short], 5), pad([short])
    for longer, part in zip(batch, exact, strict=True):
        assert torch.equal(longer[:, : part.shape[1]], part)
        assert not longer[:, part.shape[1] :].any()


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("longest", [2, 6, 999])
def test_batches_put_together_on_a_device_are_the_same(kind, longest: int, episodes: list[LatentEpisode]):
    batches, resident = kind(episodes, 5, longest, seed=3), ResidentLatents(episodes, CPU)
    ends = 0
    for step in range(20):
        found = resident.cut_out(batches.cuts(step), batches.ticks)
        expected = batches.batch(step)
        ends += int(expected.ended.sum())
        for name in expected._fields:
            a, b = getattr(found, name), getattr(expected, name)
            assert a.dtype == b.dtype
            assert torch.equal(a, b), (name, step)
    assert ends > 0


def test_their_size_is_known_before(episodes: list[LatentEpisode]):
    parts = [part for part in vars(ResidentLatents(episodes, CPU)).values() if isinstance(part, torch.Tensor)]
    assert sum(part.nbytes for part in parts) == size_of(episodes)


def learn(
    run: RunFolder, episodes: list[LatentEpisode], training: MemoryTraining, device: str = "cpu"
) -> str:
    return train_memory(
        run, CONFIG, training, episodes, round=0, seed=0, device=torch.device(device), made_from={}
    )


@pytest.mark.parametrize("carry", [False, True])
def test_batches_made_ahead_or_put_together_on_the_device_teach_the_same(
    carry: bool, episodes: list[LatentEpisode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    training = replace(TRAINING, carry=carry)
    expected = learn(RunFolder(tmp_path / "plain"), episodes, training)
    with monkeypatch.context() as patch:
        patch.setattr(memory_train, "fed", lambda *args, ahead: fed(*args, ahead=True))
        assert learn(RunFolder(tmp_path / "ahead"), episodes, training) == expected
    monkeypatch.setattr(memory_train, "fits_on_gpu", lambda size, device: True)
    assert learn(RunFolder(tmp_path / "resident"), episodes, training) == expected


@needs_gpu
@pytest.mark.parametrize("precision", ["f32", "auto"])
@pytest.mark.parametrize("carry", [False, True])
def test_on_a_gpu_recorded_steps_teach_what_plain_ones_teach(
    carry: bool, precision: str, episodes, tmp_path, monkeypatch, capsys
):
    from worldmodels.runs import step

    training = replace(TRAINING, carry=carry, precision=precision)
    folders = {name: RunFolder(tmp_path / name) for name in ("recorded", "again", "ahead", "plain")}
    learn(folders["recorded"], episodes, training, "cuda")
    assert "without CUDA graphs" not in capsys.readouterr().err
    learn(folders["again"], episodes, training, "cuda")
    with monkeypatch.context() as patch:
        patch.setattr(memory_train, "fits_on_gpu", lambda size, device: False)
        learn(folders["ahead"], episodes, training, "cuda")
    monkeypatch.setattr(step, "recorded", lambda function, work, kept: function)
    learn(folders["plain"], episodes, training, "cuda")
    expected = load_memory(folders["plain"], 0)[0].state_dict()
    for name in ("recorded", "again", "ahead"):
        found = load_memory(folders[name], 0)[0].state_dict()
        for key, value in expected.items():
            assert_close(found[key], value, rtol=1e-2, atol=2e-3, msg=f"{name} {key}")
