"""The graphs against PyTorch: V within 1/255 for each pixel, M's mixture within 1e-3."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.errors import UserError
from worldmodels.export.erfinv import onnx_erfinv
from worldmodels.export.graphs import TICK_INPUTS, TICK_OUTPUTS, memory_graph
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent, tick
from worldmodels.vision.vae import frames

ort: Any = pytest.importorskip("onnxruntime")
onnx: Any = pytest.importorskip("onnx")

MIXTURE = 1e-3  # what the page may differ by
CLOSE = 2e-5  # what float32 differs by


@pytest.fixture(scope="module")
def vision(graphs):
    return ort.InferenceSession(graphs[0])


@pytest.fixture(scope="module")
def memory(graphs):
    return ort.InferenceSession(graphs[1])


def test_pictures_agree(model, vision):
    generator, contrasts = torch.Generator().manual_seed(0), []
    for spread in (0.0, 0.5, 1.0, 3.0):
        for _ in range(5):
            z = spread * torch.randn(1, 32, generator=generator)
            (drawn,) = vision.run(None, {"z": z.numpy()})
            wanted = frames(model.vision.decode(z)).numpy()
            contrasts.append(wanted.std())
            assert drawn.dtype == np.uint8
            assert drawn.shape == (1, 64, 64, 3)
            assert np.abs(drawn.astype(int) - wanted.astype(int)).max() <= 1
    assert max(contrasts) > 30, "a grey picture would agree with anything"


def moments(model, count: int) -> list[list[Tensor]]:
    """Arguments of ticks on the way of some dreams."""
    generator = torch.Generator().manual_seed(1)
    weights, found = model.memory.tick_weights(), []
    z, memory = torch.randn(1, 32, generator=generator), model.memory.initial(1)
    for _ in range(count):
        action = torch.rand(1, 3, generator=generator) * 2 - 1
        uniform = torch.rand(1, 32, generator=generator).clamp(1e-7, 1 - 1e-7)
        temperature = 0.1 + 1.9 * torch.rand(1, 1, generator=generator)
        found.append([z, action, *memory, uniform, temperature])
        after = tick(model.memory.config, weights, z, action, memory, uniform, temperature)
        z, memory = after.z, after.memory
    return found


def test_ticks_agree(model, memory):
    weights = model.memory.tick_weights()
    spread = []
    for arguments in moments(model, 60):
        z, action, h, c, uniform, temperature = arguments
        given = {name: value.numpy() for name, value in zip(TICK_INPUTS, arguments, strict=True)}
        found = {
            name: torch.from_numpy(value)
            for name, value in zip(TICK_OUTPUTS, memory.run(None, given), strict=True)
        }
        after = tick(model.memory.config, weights, z, action, Recurrent(h, c), uniform, temperature)
        mixture = model.memory.predict(after.memory.h).mixture
        for name, wanted in {
            "next_h": after.memory.h,
            "next_c": after.memory.c,
            "reward": after.reward,
            "end_logit": after.end_logit,
            **mixture._asdict(),
        }.items():
            assert found[name].shape == wanted.shape
            assert torch.allclose(found[name], wanted, rtol=CLOSE, atol=CLOSE), name
            assert (found[name] - wanted).abs().max() < MIXTURE, name
        sure = steady(mixture, uniform, temperature)
        assert sure.float().mean() > 0.8
        assert (found["next_z"] - after.z)[sure].abs().max() < MIXTURE
        spread.append(mixture.mu)
    assert torch.cat(spread).std() > 0.3, "mixtures that are all alike would agree with anything"


def steady(mixture, uniform: Tensor, temperature: Tensor) -> Tensor:
    """Latents (1, Z) whose draw does not hang on the last digits: inside a slice, and not in its outermost part."""
    cdf = torch.softmax(mixture.log_pi / temperature[..., None], -1).cumsum(-1)
    edges = torch.nn.functional.pad(cdf, (1, 0))
    above = (edges < uniform[..., None]).sum(-1, keepdim=True).clamp(1, cdf.shape[-1])
    low, high = edges.gather(-1, above - 1)[..., 0], edges.gather(-1, above)[..., 0]
    margin = torch.minimum(uniform - low, high - uniform) / (high - low)
    return (margin > 0.01) & (high - low > 0.01)


def test_temperature_one_is_an_input_like_any_other(model, memory):
    (z, action, h, c, uniform, _), *_ = moments(model, 1)
    one = torch.ones(1, 1)
    given = zip(TICK_INPUTS, (z, action, h, c, uniform, one), strict=True)
    found = memory.run(["next_z"], {name: value.numpy() for name, value in given})[0]
    after = tick(model.memory.config, model.memory.tick_weights(), z, action, Recurrent(h, c), uniform, 1.0)
    sure = steady(model.memory.predict(after.memory.h).mixture, uniform, one)
    assert (torch.from_numpy(found) - after.z)[sure].abs().max() < MIXTURE


def test_the_inverse_error_function_over_its_whole_range():
    tail = np.geomspace(1e-6, 0.5, 3000)
    rest = np.concatenate([tail, np.linspace(1e-6, 1 - 1e-6, 3000), 1 - tail]).astype(np.float32)
    x = 2 * np.clip(rest, np.float32(1e-6), np.float32(1 - 1e-6)) - 1  # as in Mixture.sample
    found = math.sqrt(2) * onnx_erfinv(x).value.astype(np.float64)
    wanted = math.sqrt(2) * torch.erfinv(torch.from_numpy(x).double()).numpy()
    assert np.abs(wanted).max() > 4.7
    assert np.abs(found - wanted).max() < 2e-6
    assert np.abs(found - wanted)[np.abs(wanted) < 2.5].max() < 1e-6


def test_the_graphs_name_their_parts_and_no_machine(graphs):
    vision, memory = (onnx.load_model_from_string(graph) for graph in graphs)
    for model in (vision, memory):
        onnx.checker.check_model(model)
    assert [value.name for value in memory.graph.input] == list(TICK_INPUTS)
    assert [value.name for value in memory.graph.output] == list(TICK_OUTPUTS)
    for graph in graphs:
        assert b"File " not in graph
        assert b".py" not in graph


def test_the_weights_of_v_take_half(graphs, model):
    decoder = [*model.vision.expand.parameters(), *model.vision.decoder.parameters()]
    count = sum(weight.numel() for weight in decoder)
    assert len(graphs[0]) < 2 * count + 20_000


def test_an_m_that_does_not_pay_is_refused():
    with pytest.raises(UserError, match="predicts no reward or no end"):
        memory_graph(MDNRNN(MDNRNNConfig(4, 1, 8)))
