"""The compiled tick against the plain one, and what becomes of it without a compiler."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor

from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig, dream_on
from worldmodels.worlds.starts import Starts

CONFIG = DreamConfig(temperature=1.15, temperature_spread=0.2, dropout=0.1, horizon=30, action_noise=0.1)
needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler"
)


def play(world: DreamWorld, dreams: int, ticks: int = 3) -> Tensor:
    """Features (T + 1, B, F) of calm dreams."""
    seen = [world.reset(range(dreams))]
    seen += [world.step(torch.full((dreams, 2), -0.5)).features for _ in range(ticks)]
    return torch.stack(seen)


@pytest.fixture(scope="module")
def fast(memory: MDNRNN, starts: Starts) -> DreamWorld:
    world = DreamWorld(memory, starts, CONFIG)
    world.compile()
    return world


@needs_compiler
@pytest.mark.timeout(900)  # the compiler itself, on a machine busy with other things
def test_it_is_compiled_once_for_all_numbers_of_dreams(
    fast: DreamWorld, memory: MDNRNN, starts: Starts, monkeypatch: pytest.MonkeyPatch
):
    assert fast._dream_on is not dream_on
    monkeypatch.setattr("torch._dynamo.config.error_on_recompile", True)
    plain = DreamWorld(memory, starts, CONFIG)
    for dreams in (700, 33, 2, 1):
        error = (play(fast, dreams) - play(plain, dreams)).abs()
        # Draws in a thin slice of the mixture have few digits, and errors grow from tick to tick.
        assert float(error[1].flatten().quantile(0.99)) < 1e-5, dreams
        assert float(error.flatten().quantile(0.99)) < 1e-4, dreams
    again = play(fast, 33)
    assert torch.equal(again, play(fast, 33)), "the same seeds are the same dreams, bit for bit"


@needs_compiler
@pytest.mark.timeout(900)
def test_dreams_that_are_kept_go_on_compiled(fast: DreamWorld):
    seen = play(fast, 40, 6)
    play(fast, 40, 3)
    rows = torch.arange(1, 40, 3)
    fast.keep(rows)
    after = [fast.step(torch.full((len(rows), 2), -0.5)).features for _ in range(3)]
    error = (torch.stack(after) - seen[4:, rows]).abs()
    assert float(error.flatten().quantile(0.99)) < 1e-4


def test_without_a_compiler_it_stays_plain_and_says_so_once(
    memory: MDNRNN, starts: Starts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def no_compiler(*_: object, **__: object) -> object:
        def fails(*_: object) -> None:
            raise RuntimeError("No working C++ compiler found\nand much more")

        return fails

    monkeypatch.setattr(torch, "compile", no_compiler)
    world = DreamWorld(memory, starts, CONFIG)
    world.compile()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "dreams run uncompiled" in said
    assert said.endswith("No working C++ compiler found\n")
    assert torch.equal(play(world, 5), play(DreamWorld(memory, starts, CONFIG), 5))
    assert capsys.readouterr().err == ""
