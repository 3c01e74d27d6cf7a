"""Evolve a C of a round, in the dreams of its Ms or in the actual game, and score it in fresh dreams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worldmodels.evaluation.score import mean_and_error
from worldmodels.evolution.controllers import load_controller, save_mean
from worldmodels.evolution.fitness import returns
from worldmodels.evolution.seek import seek
from worldmodels.experiments import Experiment, at_round
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.pipeline.meter import meter
from worldmodels.pipeline.start import leads_to
from worldmodels.pipeline.work import Work
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.seeds import stream
from worldmodels.vision.vae import VAE
from worldmodels.worlds.actual import ActualWorld, Senses
from worldmodels.worlds.compiled import PAYS_FROM, PAYS_FROM_BY_GRADIENT
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.others_dream import OthersDream
from worldmodels.worlds.state import World

BESIDE = ("selected", "game_steps", "members")  # of what a C says of its search, what stands beside its score


def grow(
    work: Work,
    round: int,
    *,
    path: Path,
    log_name: str,
    temperature: float,
    generations: int,
    dreams: int,
    evolution_seed: int = 0,
    afresh: bool = False,
    where: str = "dream",
    ensemble: int = 1,
) -> dict[str, Any]:
    """Evolve a C in the dream of a round's M, unless it is at `path` already, and score it in fresh dreams.

    Cs of one round that differ in the temperature alone are sought with the same random numbers, begin at the same
    parameters and are scored in dreams of the same seeds. Another `evolution_seed` is another search: 0 is the run's.
    `afresh` begins at zero even where the run itself goes on from the C of the round before. `where` "actual" evolves
    it in the actual game. An `ensemble` is of so many searches from other random numbers; C is the mean of theirs.

    Returns:
        mean, std, standard_error and episodes of its returns, the ticks of a dream, and the mean in 1000 steps; where
        other Ms dreamt for it `others`, what it earns in the dream of each; where actual episodes chose C
        (evolution.select_actual) `selected`, which says how many; where it was evolved in the actual game,
        `game_steps`, which says how much of it was played; where it is the mean of several searches' Cs, `members`.
    """
    experiment = work.experiment
    vision, vision_hash = work.vision(round)
    memory, memory_hash = work.memory(round)
    made_from = {"vision": vision_hash, "memory": memory_hash}
    horizon = at_round(experiment.rounds.horizons, round)
    built = experiment.built(round)
    features = built.features
    dream = replace(experiment.dream, temperature=temperature, horizon=horizon)
    dreaming, others = work.dream(round, memory, features, dream, dream.brink), []
    if where == "dream":
        others, hashes = others_dreams(work, round, memory, dreaming)
        made_from |= hashes
    # By the settings alone, and for the scoring below too: a run that was stopped dreams on as it began.
    ticks = generations * ticks_of_generation(experiment, round, horizon)
    pays_from = PAYS_FROM_BY_GRADIENT if experiment.search(round) == "gradient" else PAYS_FROM
    if where == "dream" and ticks >= pays_from:
        for dreamt in (dreaming, *(other.dream for other in others)):
            dreamt.compile()
    if not path.exists():
        start = None
        # A dream costs little, and its C lives on what its M gets wrong; steps of the actual game are dear.
        if not afresh and (where == "actual" or not experiment.evolution.afresh):
            start = _begins_at(work, round)
        told: dict[str, Any] = {
            "round": round,
            "made_from": made_from,
            "start": start,
            "save_every": experiment.save_every,
            "meter": meter(work, built, vision, memory, dreaming),
        }
        evolution = replace(experiment.evolution, generations=generations, search=experiment.search(round))
        members = [path] if ensemble == 1 else [work.run.controller_member(round, m) for m in range(ensemble)]
        for member, found in enumerate(members):
            if found.exists():
                load_controller(found, made_from)  # found before the stage was stopped; not one of another M
                continue
            told["path"], told["log_name"] = found, log_name + (f"-member-{member}" if member else "")
            told["seed"] = search_seed(work, evolution_seed, member)
            # A member plays in games of its own, whose steps it counts.
            played = actual_world(work, vision, memory, features, horizon) if where == "actual" else None
            with played or nullcontext(dreaming) as world:
                worlds = [world, *others]
                seek(work.run, built, evolution, experiment.gradient, worlds, **told)
        if ensemble > 1:
            save_mean(path, members, made_from)
    config, parameters, _ = load_controller(path, made_from)
    seeds = [stream(experiment.seed, "dream-score", i) for i in range(dreams)]

    def earned(world: World) -> dict[str, Any]:
        played = returns(config, parameters[None].to(work.device), world, seeds)[0]
        score = mean_and_error(played.cpu().numpy()) | {"ticks": world.horizon}
        return score | {"per_1000_steps": score["mean"] * 1000 / (world.horizon * experiment.action_repeat)}

    score = earned(dreaming)
    if others:
        score["others"] = [earned(other) for other in others]
    progressed = load_checkpoint(path, kind="controller").progress
    return score | {name: progressed[name] for name in BESIDE if progressed.get(name)}


def _begins_at(work: Work, round: int) -> np.ndarray | None:
    """Parameters (n,) of the C of the round before, or of the run at which this one began; None: zero.

    A C of another shape is nothing to begin at, unless a hidden layer is what comes to it and it learns by gradient.
    """
    if round == 0:
        path = work.run.start("controller") if work.experiment.begins_at_memory else None
    else:
        path = work.run.controller(round - 1)
    if path is None:
        return None
    config, parameters, _ = load_controller(path)
    return parameters.numpy() if leads_to(config, work.experiment, round) else None


def ticks_of_generation(experiment: Experiment, round: int, horizon: int) -> int:
    """Ticks that a generation of a round's dreams lasts at most."""
    if experiment.search(round) == "gradient":
        return experiment.gradient.dreams * experiment.gradient.ticks
    return experiment.evolution.population * experiment.evolution.repeats * horizon


def others_dreams(
    work: Work, round: int, memory: MDNRNN, own: DreamWorld
) -> tuple[list[OthersDream], dict[str, str]]:
    """The dreams of a round's other Ms, as C's `memory` follows them; and these Ms' hashes, by what they are.

    They begin where its `own` dream does, and are dreamt as that is.
    """
    others: list[OthersDream] = []
    hashes: dict[str, str] = {}
    for dreamer in range(1, work.dreamers(round)):
        other, hashes[f"dreamer-{dreamer}"] = work.dreamer(round, dreamer)
        theirs = work.dream(round, other, own.feature_kind, own.config, own.config.brink)
        others.append(OthersDream(memory, own.starts, theirs))
    return others, hashes


@contextmanager
def actual_world(
    work: Work, vision: VAE, memory: MDNRNN, features: str, horizon: int
) -> Iterator[ActualWorld]:
    """The game in which a C is sought: `horizon` ticks at most, with the run's patience."""
    senses = Senses(vision, memory, features, work.device)
    with work.search_pool() as pool:
        yield ActualWorld(senses, pool, min(horizon, work.ticks), work.experiment.evolution.patience)


def search_seed(work: Work, evolution_seed: int, member: int = 0) -> int:
    """Names the random numbers of a search: those of the run's own C for 0, and of each member of an ensemble."""
    seed = work.experiment.seed
    if evolution_seed:
        seed = stream(seed, "evolution", evolution_seed)
    return stream(seed, "member", member) if member else seed
