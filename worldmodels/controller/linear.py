"""C: one linear layer and tanh, for a whole population at once ("Controller (C) Model")."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

KINDS = ("symmetric", "unit", "positive")


@dataclass(frozen=True)
class ControllerConfig:
    """Shape of C. The defaults are the paper's for CarRacing: 288 features, 3 actions, 867 parameters."""

    features: str = "zh"  # which features C sees: "z" | "zh" | "zch"
    feature_size: int = 288  # F
    action_kinds: tuple[str, ...] = ("symmetric", "unit", "positive")  # steer, gas, brake
    bias: bool = True  # Take Cover's C has none

    def __post_init__(self) -> None:
        for kind in self.action_kinds:
            if kind not in KINDS:
                raise ValueError(f"controller.action_kinds: {kind!r} is none of {', '.join(KINDS)}")

    @property
    def action_size(self) -> int:
        return len(self.action_kinds)

    @property
    def parameter_count(self) -> int:
        return self.action_size * (self.feature_size + self.bias)


def act(config: ControllerConfig, parameters: Tensor, features: Tensor) -> Tensor:
    """Actions of every individual in each of its worlds, in one batched product.

    Args:
        parameters: (P, n) flat: the weights (A, F) of an individual row by row, then its biases (A).
        features: (P, R, F), what individual p sees in its world r.
    Returns:
        (P, R, A) in the game's units, see `squash`.
    """
    population = parameters.shape[0]
    split = config.action_size * config.feature_size
    weights = parameters[:, :split].view(population, config.action_size, config.feature_size)  # (P, A, F)
    outputs = torch.bmm(features, weights.transpose(1, 2))  # (P, R, A)
    if config.bias:
        outputs = outputs + parameters[:, None, split:]
    return squash(config, outputs)


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
