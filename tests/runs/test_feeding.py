"""Batches made one step ahead are those made when asked for; what is sent arrives."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from torch import Tensor

from worldmodels.runs.feeding import fed, fits_on_gpu, one_ahead, sent

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def until(happens) -> None:
    """Wait for another thread, not for ever."""
    limit = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < limit
        time.sleep(0.001)


def test_the_next_one_is_made_meanwhile_and_none_behind_the_last():
    made: list[tuple[int, str]] = []

    def make(step: int) -> int:
        made.append((step, threading.current_thread().name))
        return step * step

    with one_ahead(make, 6) as ahead:
        for step in range(2, 6):  # as a training that goes on
            assert ahead(step) == step * step
            until(lambda step=step: len(made) == min(step, 4))
    assert [step for step, _ in made] == [2, 3, 4, 5]
    (thread,) = {name for _, name in made}
    assert thread.startswith("batches")
    assert thread not in {running.name for running in threading.enumerate()}, "it ended"


def test_an_error_while_making_arrives_where_its_batch_is_asked_for():
    with one_ahead(lambda step: 1 // (step - 1), 9) as ahead:
        assert ahead(0) == -1
        with pytest.raises(ZeroDivisionError):
            ahead(1)
        assert ahead(2) == 1


def test_a_loop_that_is_left_early_ends_the_thread():
    def leave() -> None:
        with one_ahead(lambda step: step, 100) as ahead:
            ahead(0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert not [running for running in threading.enumerate() if running.name.startswith("batches")]


@pytest.mark.parametrize("ahead", [False, True])
def test_a_batch_is_a_function_of_its_step_however_it_is_made(ahead: bool):
    def make(step: int) -> list[Tensor]:
        return [torch.arange(step, step + 3), torch.full((2,), float(step))]

    with fed(make, CPU, 5, ahead=ahead) as batch:
        for step in range(5):
            assert all(torch.equal(a, b) for a, b in zip(batch(step), make(step), strict=True))


def test_on_a_cpu_nothing_is_sent_and_nothing_moves():
    here = torch.ones(3)
    assert sent(here, CPU) is here
    assert not fits_on_gpu(1, CPU)


@needs_gpu
def test_what_is_sent_arrives():
    gpu = torch.device("cuda")
    here = torch.randn(100, 7)
    assert torch.equal(sent(here, gpu).cpu(), here)
    there = here.to(gpu)
    assert sent(there, gpu) is there
    with fed(lambda step: [here + step], gpu, 4, ahead=True) as batch:
        for step in range(4):
            assert torch.equal(batch(step)[0].cpu(), here + step)
    assert fits_on_gpu(1000, gpu)
    assert not fits_on_gpu(10**15, gpu)
