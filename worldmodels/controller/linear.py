"""C: one linear layer and tanh, for a whole population at once ("Controller (C) Model").

A hidden layer can be put before it, as the paper did where it took M away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

KINDS = ("symmetric", "unit", "positive")


@dataclass(frozen=True)
class ControllerConfig:
    """Shape of C. The defaults are the paper's for CarRacing: 288 features, 3 actions, 867 parameters."""

    features: str = "zh"  # which features C sees: "z" | "zh" | "zch"
    feature_size: int = 288  # F, in a run what `features` come to
    action_kinds: tuple[str, ...] = ("symmetric", "unit", "positive")  # of each action, the game's own
    bias: bool = True  # Take Cover's C has none
    hidden: int = 0  # tanh units of a layer between features and actions; 0: none, the paper's C

    def __post_init__(self) -> None:
        for kind in self.action_kinds:
            if kind not in KINDS:
                raise ValueError(f"controller.action_kinds: {kind!r} is none of {', '.join(KINDS)}")
        if self.hidden < 0:
            raise ValueError(f"controller.hidden must be 0 (no hidden layer) or more, got {self.hidden}")

    @property
    def action_size(self) -> int:
        return len(self.action_kinds)

    @property
    def parameter_count(self) -> int:
        inputs = self.hidden or self.feature_size  # of the last layer
        return self.hidden * (self.feature_size + self.bias) + self.action_size * (inputs + self.bias)


def act(config: ControllerConfig, parameters: Tensor, features: Tensor) -> Tensor:
    """Actions of every individual in each of its worlds, in one batched product.

    Args:
        parameters: (P, n) flat: the weights (A, F) of an individual row by row, then its biases (A). With H hidden
            units these are weights (H, F) and biases (H) of the hidden layer, then weights (A, H) and biases (A).
        features: (P, R, F), what individual p sees in its world r.
    Returns:
        (P, R, A) in the game's units, see `squash`.
    """
    return squash(config, outputs(config, parameters, features))


def outputs(config: ControllerConfig, parameters: Tensor, features: Tensor) -> Tensor:
    """What C's last layer gives before it is squashed to actions: as `act`, (P, R, A)."""
    if config.hidden:
        first = config.hidden * (config.feature_size + config.bias)
        features = torch.tanh(_layer(parameters[:, :first], features, config.hidden))  # (P, R, H)
        parameters = parameters[:, first:]
    return _layer(parameters, features, config.action_size)


def _layer(parameters: Tensor, inputs: Tensor, size: int) -> Tensor:
    """A linear layer for each individual: (P, n), weights row by row and then any biases, (P, R, I) -> (P, R, size)."""
    split = size * inputs.shape[2]
    weights = parameters[:, :split].view(len(parameters), size, inputs.shape[2])  # (P, size, I)
    outputs = torch.bmm(inputs, weights.transpose(1, 2))  # (P, R, size)
    return outputs + parameters[:, None, split:] if parameters.shape[1] > split else outputs


def mean_of(config: ControllerConfig, members: Tensor) -> tuple[ControllerConfig, Tensor]:
    """A C whose outputs are the mean of those of several before they are squashed.

    Args:
        members: (M, n), parameters of Cs that are all built as `config`.
    Returns:
        Of Cs of one layer the same shape, and the mean of their parameters (n,). Of Cs with a hidden layer one with the
        hidden units of all, M times as many, side by side.
    """
    count, hidden = len(members), config.hidden
    if not hidden:
        return config, members.double().mean(dim=0).float()
    weights = hidden * config.feature_size
    behind = weights + hidden * config.bias
    last = behind + config.action_size * hidden
    layer = members[:, behind:last].view(count, config.action_size, hidden) / count
    parts = [
        members[:, :weights],  # (M, H * F): one member's units after another's
        members[:, weights:behind],
        layer.transpose(0, 1),  # (A, M, H)
        members[:, last:].mean(dim=0),
    ]
    return replace(config, hidden=count * hidden), torch.cat([part.flatten() for part in parts])


def squash(config: ControllerConfig, outputs: Tensor) -> Tensor:
    """tanh, then to each action's range: (..., A) -> (..., A).

    "symmetric": tanh, [-1, 1]. "unit": (tanh + 1) / 2, [0, 1]. "positive": clip(tanh, 0, 1).
    """
    y = torch.tanh(outputs)  # (..., A)
    columns = []
    for index, kind in enumerate(config.action_kinds):
        column = y[..., index]
        if kind == "unit":
            column = (column + 1) / 2
        elif kind == "positive":
            column = column.clamp(0, 1)
        columns.append(column)
    return torch.stack(columns, dim=-1)
