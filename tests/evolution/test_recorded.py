"""Recorded ticks: the same returns as tick by tick, on a CPU too, where a recording is the function itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.fitness import LOOK_EVERY, returns
from worldmodels.evolution.recorded import Playing, Recording, smaller_size
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.starts import Starts

SIZE, HIDDEN = 3, 8
CONTROLLER = ControllerConfig(feature_size=SIZE + HIDDEN, action_kinds=("symmetric", "unit"))
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def dreams(horizon: int, device: str = "cpu", lap: float | None = None) -> DreamWorld:
    """Dreams of an untrained M, of which many end on the way, each at its own tick."""
    torch.manual_seed(0)
    model = MDNRNN(MDNRNNConfig(SIZE, 2, HIDDEN, 2, predicts_reward=True, predicts_end=True))
    model.requires_grad_(False).lstm.get_parameter("weight_ih_l0").mul_(4)
    model.head.bias[-1] = -1.2
    model.head.weight[-1] *= 6
    z, memory = torch.randn(2, 40, SIZE, device=device), torch.randn(2, 40, HIDDEN, device=device)
    starts = Starts(z[0], z[1] - 2, memory[0].tanh(), memory[1], openings=20)
    config = DreamConfig(horizon=horizon, action_noise=2.0, noise_correlation=0.9, lap=lap, missed=0.1)
    return DreamWorld(model.to(device), starts, config)


def recording(world: DreamWorld) -> DreamWorld:
    world._records = True  # what `compile` does on a GPU
    return world


def population(size: int) -> Tensor:
    return torch.randn(size, CONTROLLER.parameter_count, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("jerk_cost", "lap"), [(0.0, None), (0.5, None), (0.0, 6.0)])
@pytest.mark.parametrize("horizon", [5, LOOK_EVERY, 96])
def test_returns_are_those_of_tick_by_tick(horizon: int, jerk_cost: float, lap: float | None):
    parameters, seeds, world = population(20), range(30), recording(dreams(horizon, lap=lap))
    expected = returns(CONTROLLER, parameters, dreams(horizon, lap=lap), seeds, jerk_cost)
    found = returns(CONTROLLER, parameters, world, seeds, jerk_cost)
    assert_close(found, expected, rtol=1e-3, atol=1e-3)
    sizes = {key[3] for key in world.recordings}
    assert len(sizes) > 2 if horizon == 96 else sizes == {600}, "ended dreams are left behind"


def test_the_next_generation_finds_its_recordings():
    world = recording(dreams(100))
    first = returns(CONTROLLER, population(8), world, range(30))
    kept = dict(world.recordings)
    second = returns(CONTROLLER, population(8) * 0.5, world, range(30, 60))
    assert not torch.equal(first, second)
    assert all(world.recordings[key] is found for key, found in kept.items())
    assert torch.equal(returns(CONTROLLER, population(8), world, range(30)), first)


def test_a_recording_keeps_its_place_and_leaves_its_example_alone():
    def advance(playing: Playing) -> Playing:
        return playing._replace(earned=playing.earned + 1, state=(playing.state[0] * 2,))

    ones = torch.ones(3)
    example = Playing(ones, ones, ones, ones > 1, (ones,))
    recorded = Recording(advance, example)
    after = recorded.play(example)
    assert after.earned.tolist() == [2, 2, 2]
    place = after.earned.data_ptr()
    again = recorded.play(after)
    assert again.earned.data_ptr() == place
    assert (again.earned.tolist(), again.state[0].tolist()) == ([3, 3, 3], [4, 4, 4])
    assert ones.tolist() == [1, 1, 1]


def test_sizes_are_few_and_hold_whoever_plays():
    sizes = {smaller_size(1024, left) for left in range(1, 1025)}
    assert len(sizes) <= 12
    for left in range(1, 1025):
        size = smaller_size(1024, left)
        assert left <= size
        assert size == smaller_size(size, left), "as small as it gets"
    assert smaller_size(30, 1) == 30, "a small batch stays as it is"


@needs_gpu
@pytest.mark.timeout(600)
def test_a_graph_earns_what_the_plain_ticks_earn(capsys: pytest.CaptureFixture[str]):
    parameters, seeds = population(20).cuda(), range(30)
    world = dreams(40, "cuda")
    world.compile()
    found = returns(CONTROLLER, parameters, world, seeds)
    assert "without CUDA graphs" not in capsys.readouterr().err
    expected = returns(CONTROLLER, parameters, dreams(40, "cuda"), seeds)
    # The compiled tick rounds otherwise, and few of the dreams end otherwise for it.
    assert float((found - expected).abs().flatten().quantile(0.9)) < 1e-2
