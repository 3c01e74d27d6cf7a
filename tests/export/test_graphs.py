"""The graphs against PyTorch: V within 1/255 for each pixel, M's mixture within 1e-3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.errors import UserError
from worldmodels.export.graphs import TICK_INPUTS, TICK_OUTPUTS, memory_graph
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent, tick
from worldmodels.vision.vae import frames

ort: Any = pytest.importorskip("onnxruntime")
onnx: Any = pytest.importorskip("onnx")

MIXTURE = 1e-3  # what the page may differ by
CLOSE = 2e-5  # what float32 differs by


@pytest.fixture(scope="module", params=["car-racing", "take-cover"])
def played(request):
    return request.param


@pytest.fixture(scope="module")
def traced(played, model, doom):
    """The model whose graphs are looked at."""
    return doom if played == "take-cover" else model


@pytest.fixture(scope="module")
def its_graphs(played, graphs, doom_graphs):
    return doom_graphs if played == "take-cover" else graphs


@pytest.fixture(scope="module")
def vision(its_graphs):
    return ort.InferenceSession(its_graphs[0])


@pytest.fixture(scope="module")
def memory(its_graphs):
    return ort.InferenceSession(its_graphs[1])


def test_pictures_agree(traced, vision):
    generator, contrasts = torch.Generator().manual_seed(0), []
    for spread in (0.0, 0.5, 1.0, 3.0):
        for _ in range(5):
            z = spread * torch.randn(1, traced.latent_size, generator=generator)
            (drawn,) = vision.run(None, {"z": z.numpy()})
            wanted = frames(traced.vision.decode(z)).numpy()
            contrasts.append(wanted.std())
            assert drawn.dtype == np.uint8
            assert drawn.shape == (1, 64, 64, 3)
            assert np.abs(drawn.astype(int) - wanted.astype(int)).max() <= 1
    assert max(contrasts) > 30, "a grey picture would agree with anything"


def moments(model, count: int) -> list[list[Tensor]]:
    """Arguments of ticks on the way of some dreams."""
    generator = torch.Generator().manual_seed(1)
    weights, found = model.memory.tick_weights(), []
    latent, actions = model.latent_size, model.spec.action_size
    z, memory = torch.randn(1, latent, generator=generator), model.memory.initial(1)
    for _ in range(count):
        action = torch.rand(1, actions, generator=generator) * 2 - 1
        uniform = torch.rand(1, latent, generator=generator).clamp(1e-7, 1 - 1e-7)
        temperature = 0.1 + 1.9 * torch.rand(1, 1, generator=generator)
        found.append([z, action, *memory, uniform, temperature])
        after = tick(model.memory.config, weights, z, action, memory, uniform, temperature)
        z, memory = after.z, after.memory
    return found


def test_ticks_agree(traced, memory):
    weights = traced.memory.tick_weights()
    spread = []
    for arguments in moments(traced, 60):
        z, action, h, c, uniform, temperature = arguments
        given = {name: value.numpy() for name, value in zip(TICK_INPUTS, arguments, strict=True)}
        found = {
            name: torch.from_numpy(value)
            for name, value in zip(TICK_OUTPUTS, memory.run(None, given), strict=True)
        }
        after = tick(traced.memory.config, weights, z, action, Recurrent(h, c), uniform, temperature)
        mixture = traced.memory.predict(after.memory.h).mixture
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
        wide = mixture.log_sigma.exp().amax(-1).clamp_min(1)  # a draw is as exact as the bell is narrow
        assert ((found["next_z"] - after.z).abs() / wide)[sure].max() < MIXTURE
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


def test_temperature_one_is_an_input_like_any_other(traced, memory):
    (z, action, h, c, uniform, _), *_ = moments(traced, 1)
    one = torch.ones(1, 1)
    given = zip(TICK_INPUTS, (z, action, h, c, uniform, one), strict=True)
    found = memory.run(["next_z"], {name: value.numpy() for name, value in given})[0]
    after = tick(traced.memory.config, traced.memory.tick_weights(), z, action, Recurrent(h, c), uniform, 1.0)
    mixture = traced.memory.predict(after.memory.h).mixture
    wide = mixture.log_sigma.exp().amax(-1).clamp_min(1)
    sure = steady(mixture, uniform, one)
    assert ((torch.from_numpy(found) - after.z).abs() / wide)[sure].max() < MIXTURE


def test_the_graphs_name_their_parts_and_no_machine(its_graphs):
    vision, memory = (onnx.load_model_from_string(graph) for graph in its_graphs)
    for model in (vision, memory):
        onnx.checker.check_model(model)
    assert [value.name for value in memory.graph.input] == list(TICK_INPUTS)
    assert [value.name for value in memory.graph.output] == list(TICK_OUTPUTS)
    for graph in its_graphs:
        assert b"File " not in graph
        assert b".py" not in graph


def test_the_weights_of_v_take_half(its_graphs, traced):
    decoder = [*traced.vision.expand.parameters(), *traced.vision.decoder.parameters()]
    count = sum(weight.numel() for weight in decoder)
    assert len(its_graphs[0]) < 2 * count + 20_000


def test_the_first_tick_of_an_episode_is_told_apart(doom, doom_graphs):
    """The restart flag is 1 where the memory is empty: a cell that is nearly so makes another tick of it."""
    session = ort.InferenceSession(doom_graphs[1])
    arguments = moments(doom, 1)[0]
    given = {name: value.numpy() for name, value in zip(TICK_INPUTS, arguments, strict=True)}
    first, reward = session.run(["next_h", "reward"], given)
    later = session.run(["next_h"], given | {"c": given["c"] + np.float32(1e-30)})[0]
    assert np.abs(first - later).max() > 1e-3
    assert reward == 1


@pytest.mark.parametrize("embedding", [(), (48, 40)])
def test_an_m_of_half_precision_is_kept_in_it_exactly(embedding: tuple[int, ...]):
    config = MDNRNNConfig(8, 1, 64, predicts_end=True, restart_flag=True, embedding=embedding)
    memory = MDNRNN(config).requires_grad_(False)
    single = memory_graph(memory)
    for weight in memory.parameters():
        weight.copy_(weight.half().float())
    half = memory_graph(memory)
    weights = memory.tick_weights()
    assert len(half) < len(single) - 1.9 * sum(
        weight.numel() for weight in (weights.gates, weights.head, *weights.embedding[2:3])
    )
    z, action, empty = torch.randn(1, 8), torch.rand(1, 1), memory.initial(1)
    uniform, temperature = torch.rand(1, 8), torch.ones(1, 1)
    arguments = zip(TICK_INPUTS, (z, action, *empty, uniform, temperature), strict=True)
    found = ort.InferenceSession(half).run(["next_h"], {name: value.numpy() for name, value in arguments})[0]
    after = tick(memory.config, weights, z, action, empty, uniform, temperature)
    assert torch.allclose(torch.from_numpy(found), after.memory.h, rtol=CLOSE, atol=CLOSE)


def test_an_m_whose_dreams_never_end_is_refused():
    with pytest.raises(UserError, match="predicts no end"):
        memory_graph(MDNRNN(MDNRNNConfig(4, 1, 8)))
