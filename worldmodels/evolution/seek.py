"""Seek a C as the settings say: by evolution, or by policy gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.evolve import EvolutionConfig, evolve
from worldmodels.evolution.gradient import learn
from worldmodels.evolution.ppo import GradientConfig
from worldmodels.runs.folder import RunFolder
from worldmodels.worlds.state import World


def seek(
    run: RunFolder,
    config: ControllerConfig,
    evolution: EvolutionConfig,
    gradient: GradientConfig,
    worlds: Sequence[World],
    **told: Any,
) -> str:
    """Save a C at `path` and return its sha256; `told` is what `evolve` and `learn` both take by name."""
    if evolution.search == "gradient":
        return learn(run, config, evolution, gradient, worlds, **told)
    return evolve(run, config, evolution, worlds, **told)
