"""The stages of a round. Each is a function of what lies in the run folder and writes its last file when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worldmodels.envs.game import GameSpec
from worldmodels.evolution.evolve import evolve, load_controller
from worldmodels.evolution.fitness import returns
from worldmodels.experiments import at_round
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.train import train_memory
from worldmodels.pipeline.meter import meter
from worldmodels.pipeline.stage import Done
from worldmodels.pipeline.work import Work, count_frames, evolution_steps, mean_and_error
from worldmodels.rollouts.collect import collect
from worldmodels.rollouts.exploration import Policy, random_networks, random_walk
from worldmodels.rollouts.held_actions import HeldActions, VariedHolds
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.progress import progress
from worldmodels.runs.seeds import stream
from worldmodels.vision.encode import encode_rollouts
from worldmodels.vision.train import train_vision
from worldmodels.vision.vae import VAE
from worldmodels.worlds.actual import ActualWorld, Senses
from worldmodels.worlds.compiled import PAYS_FROM


def collect_round(work: Work, round: int) -> Done:
    """Play: at random in round 0; after it with the C of the round before, without and then with action noise.

    The episodes without noise are whole ones and say how good that C is. After the last round nothing is learnt any
    more, and they are all that is played.
    """
    config, store = work.experiment.collect, work.store(round)
    if round == 0:
        explorers: dict[str, Callable[[GameSpec], Policy]] = {
            "random-networks": random_networks,
            "random-walk": random_walk,
            "held-actions": HeldActions,
            "varied-holds": VariedHolds,
        }
        explorer = explorers[config.exploration](work.spec)
        segments: list[tuple[Policy, int, int, int | None]]
        segments = [(explorer, config.first_episodes, config.first_ticks, None)]
    else:
        parts = work.parts(round - 1)
        ticks = min(at_round(config.ticks, round - 1), work.ticks)
        segments = [(work.driver(parts), config.trials, work.ticks, None)]
        if round < work.experiment.rounds.count:
            exploring = at_round(config.episodes, round - 1)
            segments.append((work.driver(parts, work.experiment.noise), exploring, ticks, config.patience))
    episodes = sum(count for _, count, _, _ in segments)
    seeds = work.seeds(round, episodes)
    stored = set(store.indices())
    with progress(f"collect-{round:02d}", episodes, "episodes") as bar, work.pool() as pool:
        first = 0
        for policy, count, ticks, patience in segments:
            for begin in range(first, first + count, config.batch):
                batch = range(begin, min(begin + config.batch, first + count))
                if not stored.issuperset(batch):
                    chosen = [seeds[i] for i in batch]
                    collect(
                        pool,
                        policy,
                        chosen,
                        store,
                        begin,
                        ticks,
                        work.experiment.action_repeat,
                        patience=patience,
                        shortest=config.shortest if round == 0 else 0,
                    )
                bar.advance(len(batch))
            first += count
    frames = count_frames(work, round)
    if round > 0:
        trials = np.array([store.read(i).score for i in range(config.trials)])
        noisy = [_return(store, i) for i in range(config.trials, episodes)]
        actual = mean_and_error(trials) | {"scores": trials.tolist(), "disturbed_scores": noisy}
        actual["backend"] = work.experiment.backend
        content = read_json(work.run.dream_score(round - 1)) | {"actual": actual, "game_steps": frames}
        write_json(work.run.evaluation(f"round-{round - 1:02d}"), content)
        summary = (
            f"C of round {round - 1} scores {actual['mean']:.0f} ± {actual['standard_error']:.0f} "
            f"(standard error, {config.trials} episodes)"
        )
    else:
        scores = np.array([_return(store, i) for i in range(episodes)])
        summary = f"random play earns {scores.mean():.0f} in {config.first_ticks} ticks"
    write_json(work.run.collected(round), {"episodes": episodes, "game_steps": frames})
    return Done(f"{summary}; {frames:,} frames so far", episodes, "episodes")


def _return(store: EpisodeStore, index: int) -> float:
    return float(store.read_arrays(index, ("rewards",))["rewards"].sum(dtype=np.float64))


def vision_round(work: Work, round: int) -> Done:
    """Train V on all frames so far, from the weights of the round before."""
    experiment = work.experiment
    steps = at_round(experiment.rounds.vision_steps, round)
    start = None if round == 0 else work.vision(round - 1)[0]
    train_vision(
        work.run,
        experiment.vae,
        replace(experiment.vision, steps=steps),
        [work.store(r) for r in range(round + 1)],
        round=round,
        seed=experiment.seed,
        device=work.device,
        made_from={},
        start=start,
        save_every=experiment.save_every,
    )
    frames = steps * experiment.vision.batch_size
    return Done(f"V has seen {frames:,} frames", frames, "frames")


def encode_round(work: Work, round: int) -> Done:
    """Let V encode whatever it has not encoded yet: everything when V is new, else the new rollouts."""
    vision, sha256 = work.vision(round)
    pairs = [(work.store(r), work.run.latents(r)) for r in range(round + 1)]
    mirror = work.spec.mirror_signs if work.experiment.mirror else None
    encoded = encode_rollouts(vision, sha256, pairs, work.device, mirror)
    write_json(work.run.encoded(round), {"vision": sha256, "rounds": round + 1})
    return Done(f"{encoded:,} frames encoded", encoded, "frames")


def memory_round(work: Work, round: int) -> Done:
    """Train M on all latents so far, from the weights of the round before."""
    experiment = work.experiment
    steps = at_round(experiment.rounds.memory_steps, round)
    _, sha256 = work.vision(round)
    start = None if round == 0 else work.last_memory(round - 1)
    config, training = experiment.mdn_rnn, replace(experiment.memory, steps=steps)
    train_memory(
        work.run,
        config,
        training,
        work.latents(round, with_mirrored=experiment.mirror),
        round=round,
        seed=experiment.seed,
        device=work.device,
        made_from={"vision": sha256},
        start=start,
        save_every=experiment.save_every,
    )
    ticks = steps * training.batch_size * training.sequence_length
    return Done(f"M has followed at most {ticks:,} ticks", steps, "steps")


def evolve_round(work: Work, round: int) -> Done:
    """Evolve C in the dream of this round's M or in the actual game, from the C of the round before or afresh."""
    experiment = work.experiment
    generations = at_round(experiment.rounds.generations, round)
    score = grow(
        work,
        round,
        path=work.run.controller(round),
        log_name=f"evolve-{round:02d}",
        temperature=work.temperature(round),
        generations=generations,
        dreams=experiment.evaluation.dream_episodes,
        where=at_round(experiment.rounds.worlds, round),
    )
    write_json(work.run.dream_score(round), {"round": round, "dream": score})
    played = generations * experiment.evolution.population * experiment.evolution.repeats * score["ticks"]
    steps = evolution_steps(work, round)
    return Done(
        f"C earns {score['mean']:.0f} ± {score['standard_error']:.0f} in {score['ticks']} ticks of its dream"
        + (f"; it was evolved in {steps:,} steps of the actual game" if steps else ""),
        steps or played,
        "steps" if steps else "dream ticks",
    )


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
) -> dict[str, Any]:
    """Evolve a C in the dream of a round's M, unless it is at `path` already, and score it in fresh dreams.

    Cs of one round that differ in the temperature alone are sought with the same random numbers, begin at the same
    parameters and are scored in dreams of the same seeds. Another `evolution_seed` is another search: 0 is the run's.
    `afresh` begins at zero even where the run itself goes on from the C of the round before. `where` "actual" evolves
    it in the actual game.

    Returns:
        mean, std, standard_error and episodes of its returns, the ticks of a dream, and the mean in 1000 steps; where
        actual episodes chose C (evolution.select_actual) also `selected`, which says how many; where it was evolved in
        the actual game, `game_steps`, which says how much of it was played.
    """
    experiment = work.experiment
    vision, vision_hash = work.vision(round)
    memory, memory_hash = work.memory(round)
    made_from = {"vision": vision_hash, "memory": memory_hash}
    horizon = at_round(experiment.rounds.horizons, round)
    dream = replace(experiment.dream, temperature=temperature, horizon=horizon)
    dreaming = work.dream(round, memory, experiment.controller.features, dream)
    # By the settings alone, and for the scoring below too: a run that was stopped dreams on as it began.
    ticks = generations * experiment.evolution.population * experiment.evolution.repeats * horizon
    if where == "dream" and ticks >= PAYS_FROM:
        dreaming.compile()
    if not path.exists():
        start = None
        # A dream costs little, and its C lives on what its M gets wrong; steps of the actual game are dear.
        if round > 0 and not afresh and (where == "actual" or not experiment.evolution.afresh):
            start = load_controller(work.run.controller(round - 1))[1].numpy()
        features = experiment.controller.features
        played = actual_world(work, vision, memory, features, horizon) if where == "actual" else None
        with played or nullcontext(dreaming) as world:
            evolve(
                work.run,
                experiment.controller,
                replace(experiment.evolution, generations=generations),
                world,
                path=path,
                log_name=log_name,
                round=round,
                seed=search_seed(work, evolution_seed),
                made_from=made_from,
                start=start,
                save_every=experiment.save_every,
                meter=meter(work, vision, memory, dreaming),
            )
    config, parameters, _ = load_controller(path, made_from)
    seeds = [stream(experiment.seed, "dream-score", i) for i in range(dreams)]
    dreamt = returns(config, parameters[None].to(work.device), dreaming, seeds)[0].cpu().numpy()
    score = mean_and_error(dreamt) | {"ticks": dreaming.horizon}
    score["per_1000_steps"] = score["mean"] * 1000 / (dreaming.horizon * experiment.action_repeat)
    progressed = load_checkpoint(path, kind="controller").progress
    return score | {name: progressed[name] for name in ("selected", "game_steps") if progressed.get(name)}


@contextmanager
def actual_world(
    work: Work, vision: VAE, memory: MDNRNN, features: str, horizon: int
) -> Iterator[ActualWorld]:
    """The game in which a C is evolved: played by the run's own backend, `horizon` ticks at most, with its patience."""
    senses = Senses(vision, memory, features, work.device)
    with work.pool() as pool:
        yield ActualWorld(senses, pool, min(horizon, work.ticks), work.experiment.evolution.patience)


def search_seed(work: Work, evolution_seed: int) -> int:
    """Names the random numbers of an evolution: those of the run's own C for 0."""
    seed = work.experiment.seed
    return stream(seed, "evolution", evolution_seed) if evolution_seed else seed
