"""A C of an ablation: what it sees and how it is built, evolved in the actual game and scored there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.controllers import load_controller
from worldmodels.evolution.seek import seek
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.pipeline.ending import actual_score
from worldmodels.pipeline.growing import actual_world, search_seed
from worldmodels.pipeline.temperature import SCORED, actual_seed
from worldmodels.pipeline.work import Parts, Work
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.seeds import stream
from worldmodels.worlds.state import feature_size


@dataclass(frozen=True)
class Kind:
    """What a C sees, and how it is built."""

    features: str
    hidden: int = 0  # units of C's hidden layer
    trained: bool = True  # whether M is the run's


KINDS = {
    "z": Kind("z"),
    "z-hidden": Kind("z", hidden=40),  # as many as the paper's
    "zh": Kind("zh"),
    "zh-untrained": Kind("zh", trained=False),
    "zch": Kind("zch"),
    "zch-untrained": Kind("zch", trained=False),
}


def evolve_and_score(
    work: Work, parts: Parts, kind: str, seed: int, *, horizon: int, episodes: int
) -> dict[str, Any]:
    """Seek the C of a kind and seed as the run's evolution settings say, unless it is there, and score it.

    Args:
        kind: of KINDS. horizon: ticks of an episode of the evolution, at most. episodes: of the score.
    Returns:
        "features" (the kind), "evolution_seed", "game_steps" of the evolution, and the score "actual".
    """
    path, features = work.run.controller_of(parts.round, kind, seed), KINDS[kind].features
    memory, memory_hash = _memory(work, parts, kind, seed)
    config = _shape(work, memory, kind)
    made_from = {"vision": work.vision(parts.round)[1]} | ({"memory": memory_hash} if features != "z" else {})
    if not path.exists():
        evolution = work.experiment.evolution
        told: dict[str, Any] = {
            "path": path,
            "log_name": f"evolve-{path.stem.removeprefix('round-')}",
            "round": parts.round,
            "seed": search_seed(work, seed),
            "made_from": made_from,
            "save_every": work.experiment.save_every,
        }
        with actual_world(work, parts.vision, memory, features, horizon) as world:
            seek(work.run, config, evolution, work.experiment.gradient, [world], **told)
    config, parameters, _ = load_controller(path, made_from)
    grown = replace(parts, memory=memory, config=config, parameters=parameters.to(work.device))
    actual = actual_score(work, grown, episodes, actual_seed(work), "gymnasium")
    return {
        "features": kind,
        "evolution_seed": seed,
        "game_steps": load_checkpoint(path, kind="controller").progress["game_steps"],
        "actual": {name: actual[name] for name in SCORED},
    }


def _memory(work: Work, parts: Parts, kind: str, seed: int) -> tuple[MDNRNN, str]:
    """The M of a kind, and what a C names it by: its hash, or of an untrained one the seed of its weights."""
    trained, sha256 = work.memory(parts.round)
    if KINDS[kind].trained:
        return trained, sha256
    named = stream(work.experiment.seed, "untrained-memory", seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named)
        untrained = MDNRNN(trained.config)
    return untrained.requires_grad_(False).eval().to(work.device), f"untrained-{named}"


def _shape(work: Work, memory: MDNRNN, kind: str) -> ControllerConfig:
    features, sizes = KINDS[kind].features, memory.config
    return replace(
        work.experiment.controller,
        features=features,
        feature_size=feature_size(features, sizes.latent_size, sizes.hidden_size),
        hidden=KINDS[kind].hidden,
    )
