"""M: the MDN-RNN of the paper, with optional heads for the reward and the end of the episode.

Paper: "MDN-RNN (M) Model" and "Appendix: Mixture Density Network + Recurrent Neural Network".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldmodels.memory.foresight import Foreseen, Foresight
from worldmodels.memory.mixture import Mixture

FORESIGHT = "foresight."  # with which the names of the weights of `latents_ahead` begin


@dataclass(frozen=True)
class MDNRNNConfig:
    """Shape of M. The defaults are the paper's for CarRacing, which has neither extra head."""

    latent_size: int = 32  # Z, in a run `vae.latent_size`
    action_size: int = 3  # A, in a run the game's
    hidden_size: int = 256  # N: LSTM units
    mixtures: int = 5  # K Gaussians per latent dimension
    predicts_reward: bool = False  # the reward of each tick; without it a dream pays 1 for each
    predicts_end: bool = False  # needed for a dream that ends: the logit that this tick is the last
    reward_scale: float = 1.0  # the reward head learns reward / reward_scale
    restart_flag: bool = False  # one more input, as in the paper's Take Cover: 1 where an episode begins
    # More heads, which foretell whether the game ends within so many ticks; they shape h in training.
    ends_ahead: tuple[int, ...] = ()
    # And more, which foretell z so many ticks on from what will be done until then, see `foresight.Foresight`.
    latents_ahead: tuple[int, ...] = ()
    # SiLU units of layers, one after the other, through which the LSTM also sees what it is given; the paper has none.
    embedding: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("latent_size", "action_size", "hidden_size", "mixtures"):
            if getattr(self, name) < 1:
                raise ValueError(f"mdn_rnn.{name} must be at least 1, got {getattr(self, name)}")
        if self.reward_scale <= 0:
            raise ValueError(f"mdn_rnn.reward_scale must be positive, got {self.reward_scale}")
        if any(ticks < 2 for ticks in self.ends_ahead):
            raise ValueError(f"mdn_rnn.ends_ahead must be 2 or more, got {self.ends_ahead}")
        if any(ticks < 2 for ticks in self.latents_ahead):
            raise ValueError(f"mdn_rnn.latents_ahead must be 2 or more, got {self.latents_ahead}")
        if any(units < 1 for units in self.embedding):
            raise ValueError(f"mdn_rnn.embedding must be 1 or more in every layer, got {self.embedding}")

    @property
    def input_size(self) -> int:
        """Numbers that a tick gives to M."""
        return self.latent_size + self.action_size + self.restart_flag

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Numbers that come into each layer of the embedding, and that go out."""
        return list(pairwise((self.input_size, *self.embedding)))

    @property
    def lstm_inputs(self) -> int:
        """What the LSTM sees of a tick: these numbers, and beside them what the layers before it make of them."""
        return self.input_size + (self.embedding[-1] if self.embedding else 0)

    @property
    def mixture_size(self) -> int:
        return 3 * self.latent_size * self.mixtures

    @property
    def output_size(self) -> int:
        """Numbers that a tick of the dream needs: those of `ends_ahead` come behind them."""
        return self.mixture_size + self.predicts_reward + self.predicts_end


class Prediction(NamedTuple):
    """What M expects after each (z, action)."""

    mixture: Mixture  # of the next latent, fields (..., Z, K)
    reward: Tensor | None  # (...), in the game's units
    end_logit: Tensor | None  # (...)
    ahead_logits: Tensor | None = None  # (..., number of `ends_ahead`); None in a dream, which does not ask


class Recurrent(NamedTuple):
    """M's memory: hidden h and cell c, both (B, N)."""

    h: Tensor
    c: Tensor

    def restart(self) -> Tensor:
        """The restart flag (B, 1): 1 where the memory is empty, as it is where an episode begins.

        Nowhere else, unless M is trained on cuts from the middle of episodes (`MemoryTraining.carry` False).
        """
        return (self.c == 0).all(dim=-1, keepdim=True).to(self.c.dtype)


class MDNRNN(nn.Module):
    """LSTM over (z, action) with one linear head for the mixture, the reward and the end.

    With `embedding` the LSTM sees beside them what a network makes of them: where things are in a latent that was not
    made for moving them is no sum of its numbers.

    It runs at two speeds with the same weights: `follow` for training, `tick` for dreaming.
    """

    def __init__(self, config: MDNRNNConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.ModuleList([nn.Linear(*sizes) for sizes in config.layers])
        self.lstm = nn.LSTM(config.lstm_inputs, config.hidden_size, batch_first=True)
        self.head = nn.Linear(config.hidden_size, config.output_size + len(config.ends_ahead))
        sizes = config.hidden_size, config.action_size, config.latent_size
        self.foresight = nn.ModuleList([Foresight(ahead, *sizes) for ahead in config.latents_ahead])
        # torch's LSTM adds two bias vectors where the paper's has one: the second stays 0 and is not trained.
        bias, second = self.lstm.get_parameter("bias_ih_l0"), self.lstm.get_parameter("bias_hh_l0")
        with torch.no_grad():
            second.zero_()
            bias.zero_()
            bias[config.hidden_size : 2 * config.hidden_size] = 1.0  # forget gate
        second.requires_grad_(False)

    def begin_at(self, other: MDNRNN) -> None:
        """Take the weights of another M; heads of `latents_ahead` stay as they are where it has others, or none."""
        weights = other.state_dict()
        if other.config.latents_ahead != self.config.latents_ahead:
            shared = {name: weight for name, weight in weights.items() if not name.startswith(FORESIGHT)}
            weights = shared | self.foresight.state_dict(prefix=FORESIGHT)
        self.load_state_dict(weights)

    def initial(self, batch: int) -> Recurrent:
        """The empty memory with which an episode begins."""
        zeros = self.head.weight.new_zeros(batch, self.config.hidden_size)
        return Recurrent(zeros, zeros.clone())

    def sequence(self, z: Tensor, actions: Tensor, memory: Recurrent | None = None) -> Tensor:
        """Hidden states after each tick of whole sequences: z (B, T, Z), actions (B, T, A) -> h (B, T, N)."""
        return self.follow(z, actions, memory)[0]

    def follow(self, z: Tensor, actions: Tensor, memory: Recurrent | None = None) -> tuple[Tensor, Recurrent]:
        """As `sequence`, with the memory after the last tick."""
        memory = self.initial(len(z)) if memory is None else memory
        inputs = [z, actions]
        if self.config.restart_flag:
            later = z.new_zeros(len(z), z.shape[1] - 1, 1)
            inputs.append(torch.cat([memory.restart().unsqueeze(1), later], dim=1))  # (B, T, 1)
        state = (memory.h.unsqueeze(0), memory.c.unsqueeze(0))
        hidden, (h, c) = self.lstm(_with_embedding(self._layers(), torch.cat(inputs, dim=-1)), state)
        return hidden, Recurrent(h[0], c[0])

    def predict(self, hidden: Tensor) -> Prediction:
        """Read the heads off hidden states (..., N)."""
        return read_heads(self.config, self.head(hidden))

    def foresee(self, hidden: Tensor, actions: Tensor) -> list[tuple[int, Foreseen]]:
        """What the heads of `latents_ahead` foretell, and how many ticks ahead: hidden (B, T, N), actions (B, T, A)."""
        heads = zip(self.config.latents_ahead, self.foresight, strict=True)
        return [(ahead, head(hidden, actions)) for ahead, head in heads]

    def tick_weights(self) -> TickWeights:
        """The weights laid out for `tick`: one product for all gates, one for all heads."""
        inputs, recurrent = (self.lstm.get_parameter(name) for name in ("weight_ih_l0", "weight_hh_l0"))
        gates = torch.cat([inputs, recurrent], dim=1)  # (4N, Z + A + N)
        order = torch.arange(self.config.output_size, device=gates.device)
        mixture = order[: self.config.mixture_size].view(3, self.config.latent_size, self.config.mixtures)
        order = torch.cat([mixture.transpose(1, 2).flatten(), order[self.config.mixture_size :]])
        return TickWeights(
            gates.detach().t().contiguous(),
            self.lstm.get_parameter("bias_ih_l0").detach().clone(),
            self.head.weight.detach()[order].t().contiguous(),
            self.head.bias.detach()[order],
            tuple(part.detach().clone().contiguous() for part in self._layers()),
        )

    def _layers(self) -> list[Tensor]:
        """Of each layer before the LSTM its weights (in, out) and bias (out,)."""
        layers = [f"embedding.{number}" for number in range(len(self.embedding))]
        pairs = [
            (self.get_parameter(f"{name}.weight"), self.get_parameter(f"{name}.bias")) for name in layers
        ]
        return [part for weight, bias in pairs for part in (weight.t(), bias)]


class TickWeights(NamedTuple):
    """M as plain tensors, for `advance` and `tick`.

    The head gives the mixture as (3, K, Z), where the network's own has (3, Z, K): whatever is computed for each of the
    K components runs along Z, which lies side by side.
    """

    gates: Tensor  # (inputs + N, 4N), inputs as `lstm_inputs`; gates in torch's order: input, forget, cell, output
    gates_bias: Tensor  # (4N,)
    head: Tensor  # (N, outputs)
    head_bias: Tensor  # (outputs,)
    embedding: tuple[Tensor, ...] = ()  # of each layer before the LSTM its weights (in, out) and bias (out,)


def advance(weights: TickWeights, z: Tensor, action: Tensor, memory: Recurrent) -> Recurrent:
    """One LSTM step on what was seen and done: z (B, Z), action (B, A). A pure function of its arguments."""
    parts, units = [z, action], memory.h.shape[-1]
    told = len(weights.embedding[0]) if weights.embedding else len(weights.gates) - units
    if told > z.shape[-1] + action.shape[-1]:
        parts.append(memory.restart())
    if weights.embedding:
        parts = [_with_embedding(weights.embedding, torch.cat(parts, dim=-1))]
    inputs = torch.cat([*parts, memory.h], dim=-1)  # (B, inputs + N)
    i, f, g, o = torch.addmm(weights.gates_bias, inputs, weights.gates).chunk(4, dim=-1)
    c = torch.sigmoid(f) * memory.c + torch.sigmoid(i) * _tanh(g)
    return Recurrent(torch.sigmoid(o) * _tanh(c), c)


def _with_embedding(layers: Sequence[Tensor], given: Tensor) -> Tensor:
    """What M is given (..., I), and beside it what the layers make of it: (..., I + E), without any (..., I).

    `layers` are weights (in, out) and a bias (out,) for each, as in `TickWeights`.
    """
    if not layers:
        return given
    seen = given
    for weight, bias in zip(layers[::2], layers[1::2], strict=True):
        seen = F.silu(F.linear(seen, weight.t(), bias))
    return torch.cat([given, seen.to(given.dtype)], dim=-1)


def _tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent; compiled as a sigmoid, which differs by 2e-7.

    The compiler's tangent costs four times its sigmoid on a CPU: more than half of what a tick is without its products.
    """
    return 2 * torch.sigmoid(2 * x) - 1 if torch.compiler.is_dynamo_compiling() else torch.tanh(x)


class Tick(NamedTuple):
    """One tick of the dream, for B dreams."""

    z: Tensor  # (B, Z), the next latent
    memory: Recurrent
    reward: Tensor  # (B,)
    end_logit: Tensor | None  # (B,)


def tick(
    config: MDNRNNConfig,
    weights: TickWeights,
    z: Tensor,
    action: Tensor,
    memory: Recurrent,
    uniform: Tensor,
    temperature: float | Tensor,
    kept: Tensor | None = None,
) -> Tick:
    """One tick of M as a world: (weights, state, action, noise, temperature) -> next state, reward, end.

    A pure function of its arguments. Raises ValueError unless the temperature is a positive number.

    Args:
        z: (B, Z) the latent the agent acted on. action: (B, A) what it did.
        uniform: (B, Z) in (0, 1), the randomness of the next latent. temperature: > 0, see `Mixture.sample`.
        kept: what the heads see of each unit (B, N), for dropout; None: all of it. M's memory has all of it anyway.
    """
    memory = advance(weights, z, action, memory)
    prediction = look_ahead(config, weights, memory, kept)
    # Paper, "VizDoom Experiment": without a reward head it is staying alive that pays.
    reward = z.new_ones(len(z)) if prediction.reward is None else prediction.reward
    return Tick(prediction.mixture.sample(uniform, temperature), memory, reward, prediction.end_logit)


def look_ahead(
    config: MDNRNNConfig, weights: TickWeights, memory: Recurrent, kept: Tensor | None = None
) -> Prediction:
    """What M expects after what it remembers: `MDNRNN.predict` by the weights of a tick; `kept` as for `tick`."""
    hidden = memory.h if kept is None else memory.h * kept
    outputs = torch.addmm(weights.head_bias, hidden, weights.head)  # (B, outputs)
    parts = outputs[:, : config.mixture_size].unflatten(1, (3, config.mixtures, config.latent_size))
    return _name(config, Mixture(*parts.transpose(2, 3).unbind(1)), outputs)


def read_heads(config: MDNRNNConfig, outputs: Tensor) -> Prediction:
    """Name the parts of the network's linear output (..., outputs)."""
    mixture = Mixture.from_head(outputs[..., : config.mixture_size], config.latent_size, config.mixtures)
    return _name(config, mixture, outputs)


def _name(config: MDNRNNConfig, mixture: Mixture, outputs: Tensor) -> Prediction:
    column = config.mixture_size
    reward = end_logit = None
    if config.predicts_reward:
        reward = outputs[..., column] * config.reward_scale
        column += 1
    if config.predicts_end:
        end_logit = outputs[..., column]
        column += 1
    ahead = outputs[..., column:] if outputs.shape[-1] > column else None
    return Prediction(mixture, reward, end_logit, ahead)
