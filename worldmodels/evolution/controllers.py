"""Cs on disk: saved when a search is done, or as the mean of several, and loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, mean_of
from worldmodels.evolution.meter import MeterLog
from worldmodels.runs.checkpoint import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from worldmodels.evolution.evolve import EvolutionConfig


def save_controller(
    path: Path,
    config: ControllerConfig,
    evolution: EvolutionConfig,
    means: Sequence[np.ndarray],
    metered: MeterLog,
    progressed: Mapping[str, Any],
    made_from: Mapping[str, str],
) -> str:
    """Save the C of a search that is done: the mean of its last `means` (n,), or what the meter chose."""
    parameters = np.mean(means, axis=0, dtype=np.float64).astype(np.float32)
    progress = {"generations": evolution.generations, **progressed}
    if evolution.select_actual and metered.best is not None:
        chosen, parameters = metered.best
        progress["selected"] = {
            "generation": chosen,
            "candidates": metered.readings,
            "actual_episodes": metered.readings * evolution.meter_episodes,
        }
    return save_checkpoint(
        path,
        kind="controller",
        config=asdict(config),
        weights={"parameters": torch.from_numpy(parameters)},
        progress=progress,
        made_from=made_from,
    )


def save_mean(path: Path, members: Sequence[Path], made_from: Mapping[str, str]) -> str:
    """Save as C the mean of the outputs of `members`, Cs built alike and made from the same; returns its sha256."""
    found = [load_checkpoint(member, kind="controller", made_from=made_from) for member in members]
    stacked = torch.stack([one.weights["parameters"] for one in found])
    config, parameters = mean_of(as_config(found[0].config), stacked)
    steps = sum(one.progress.get("game_steps", 0) for one in found)
    return save_checkpoint(
        path,
        kind="controller",
        config=asdict(config),
        weights={"parameters": parameters},
        progress={**found[0].progress, "members": len(members), "game_steps": steps},
        made_from=made_from,
    )


def load_controller(
    path: Path, made_from: Mapping[str, str] | None = None
) -> tuple[ControllerConfig, Tensor, str]:
    """A C: its shape, its parameters (n,) and its sha256. UserError when V or M are not those it grew in."""
    checkpoint = load_checkpoint(path, kind="controller", made_from=made_from)
    return as_config(checkpoint.config), checkpoint.weights["parameters"], checkpoint.sha256


def as_config(content: dict[str, Any]) -> ControllerConfig:
    """C's settings out of a checkpoint; what an older one does not name has its default."""
    return ControllerConfig(**{**content, "action_kinds": tuple(content["action_kinds"])})
