"""V's decoder and M's tick as ONNX graphs: the very functions that Python dreams with, traced by PyTorch's exporter.

Both take one dream at a time; that is what a page needs, and fixed shapes are what a runtime is quickest with.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, Recurrent, TickWeights, look_ahead, tick
from worldmodels.vision.vae import VAE, frames

TICK_INPUTS = ("z", "action", "h", "c", "uniform", "temperature")
TICK_OUTPUTS = ("next_z", "next_h", "next_c", "reward", "end_logit", "log_pi", "mu", "log_sigma")
OPSET = 20
HALF_FROM = 1024  # numbers in a weight from which on float16 is worth the two operators


class Decoder(nn.Module):
    """V's half that makes pictures: z (1, Z) -> (1, 64, 64, 3) uint8."""

    def __init__(self, vision: VAE) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, z: Tensor) -> Tensor:
        """Pictures of latents."""
        return frames(self.vision.decode(z))


class Ticker(nn.Module):
    """M's `tick` with everything that a page wants to know of it, see TICK_INPUTS and TICK_OUTPUTS.

    z (1, Z), action (1, A), h and c (1, N), uniform (1, Z) in (0, 1), temperature (1, 1) -> the next z, h and c, the
    reward (1,) and the logit of the end (1,), and the mixture from which z was drawn, (1, Z, K) each and before τ.
    """

    def __init__(self, memory: MDNRNN) -> None:
        super().__init__()
        self.config = memory.config
        *parts, layers = memory.tick_weights()
        for name, weight in zip(TickWeights._fields, parts, strict=False):
            self.register_buffer(name, weight)
        self.layers = nn.ParameterList(nn.Parameter(part, requires_grad=False) for part in layers)

    def forward(
        self, z: Tensor, action: Tensor, h: Tensor, c: Tensor, uniform: Tensor, temperature: Tensor
    ) -> tuple[Tensor | None, ...]:
        """One tick."""
        gates, gates_bias, head, head_bias = (self.get_buffer(name) for name in TickWeights._fields[:4])
        weights = TickWeights(gates, gates_bias, head, head_bias, tuple(self.layers))
        after = tick(self.config, weights, z, action, Recurrent(h, c), uniform, temperature)
        mixture = look_ahead(self.config, weights, after.memory).mixture
        return after.z, after.memory.h, after.memory.c, after.reward, after.end_logit, *mixture


def vision_graph(vision: VAE) -> bytes:
    """V's decoder as an ONNX file: `z` -> `pixels`. Its weights are kept as float16 and widened when it is loaded."""
    z = torch.zeros(1, vision.config.latent_size)
    return _half(_traced(Decoder(vision), (z,), ["z"], ["pixels"])).SerializeToString()


def memory_graph(memory: MDNRNN) -> bytes:
    """M's tick as an ONNX file, with the names of TICK_INPUTS and TICK_OUTPUTS, all float32.

    Weights that come from half precision, as those of a release do, are kept in it, which changes nothing.

    Raises UserError for an M without an end, whose dream would never be over.
    """
    config = memory.config
    if not config.predicts_end:
        raise UserError(
            "this run's M predicts no end, so its dream cannot be played; train one with --mdn-rnn.predicts-end"
        )
    z, h = torch.zeros(1, config.latent_size), torch.zeros(1, config.hidden_size)
    example = (z, torch.zeros(1, config.action_size), h, h.clone(), z + 0.5, torch.ones(1, 1))
    traced = _traced(Ticker(memory), example, list(TICK_INPUTS), list(TICK_OUTPUTS))
    return _half(traced, only_exact=True).SerializeToString()


def _traced(module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str]) -> Any:
    """The module as an onnx.ModelProto that says nothing of the machine it was made on."""
    module = module.eval().cpu()
    with _quiet():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
        )
    assert program is not None, "asked for with dynamo=True"
    model = program.model_proto
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]  # stack traces, with the paths of source files
    del graph.value_info[:]
    return model


def _half(model: Any, only_exact: bool = False) -> Any:
    """Keep the large weights of a graph as float16, each followed by a Cast to float32; or those that it says exactly.

    The runtime folds the casts when it loads the file, so they cost nothing later.
    """
    from onnx import TensorProto, helper, numpy_helper

    large = [weight for weight in model.graph.initializer if np.prod(weight.dims) >= HALF_FROM]
    large = [weight for weight in large if weight.data_type == TensorProto.FLOAT]
    casts = []
    for weight in large:
        name, numbers = weight.name, numpy_helper.to_array(weight)
        halved = numbers.astype(np.float16)
        if only_exact and not np.array_equal(halved.astype(np.float32), numbers):
            continue
        weight.CopyFrom(numpy_helper.from_array(halved, f"{name}.half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own insides and of packages that it could have used."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
