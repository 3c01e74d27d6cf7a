"""The stages of a round. Each is a function of what lies in the run folder and writes its last file when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from worldmodels.envs.game import GameSpec
from worldmodels.evaluation.score import mean_and_error
from worldmodels.experiments import at_round
from worldmodels.memory.train import train_memory
from worldmodels.pipeline.frames import count_frames, evolution_steps
from worldmodels.pipeline.growing import grow, ticks_of_generation
from worldmodels.pipeline.stage import Done
from worldmodels.pipeline.start import memory_at_start, take_games, take_over, vision_at_start
from worldmodels.pipeline.work import Work
from worldmodels.rollouts.collect import collect
from worldmodels.rollouts.exploration import Policy, RandomNetworks, RandomWalk
from worldmodels.rollouts.held_actions import HeldActions, Strafing, VariedHolds
from worldmodels.rollouts.latents import mirrored
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.progress import progress
from worldmodels.vision.encode import encode_rollouts
from worldmodels.vision.train import train_vision
from worldmodels.worlds.policy import ActionNoise

EXPLORERS: dict[str, Callable[[GameSpec], Policy]] = {  # by their names in `EXPLORATIONS`
    "random-networks": RandomNetworks,
    "random-walk": RandomWalk,
    "held-actions": HeldActions,
    "varied-holds": VariedHolds,
    "strafing": Strafing,
}


def collect_round(work: Work, round: int) -> Done:
    """Play: at random in round 0; after it with the C of the round before, without and then with action noise.

    The episodes without noise are whole ones and say how good that C is. After the last round nothing is learnt any
    more, and they are all that is played.
    """
    config, store = work.experiment.collect, work.store(round)
    if round == 0 and config.takes_games:
        episodes = take_games(work)
        frames = count_frames(work, round)
        write_json(work.run.collected(round), {"episodes": episodes, "game_steps": frames})
        return Done(f"the games of {work.experiment.start}; {frames:,} frames so far", episodes, "episodes")
    if round == 0:
        explorer = EXPLORERS[config.exploration](work.spec)
        segments: list[tuple[Policy, int, int, int | None]]
        segments = [(explorer, config.first_episodes, config.first_ticks, None)]
    else:
        parts = work.parts(round - 1)
        ticks = min(at_round(config.ticks, round - 1), work.ticks)
        segments = [(work.driver(parts), config.trials, work.ticks, None)]
        if round < work.experiment.rounds.count:
            exploring = at_round(config.episodes, round - 1)
            segments.append(
                (work.driver(parts, work.experiment.exploring(round)), exploring, ticks, config.patience)
            )
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
        *_, (_, _, longest, patience) = segments
        if noisy and longest == work.ticks and patience is None:  # then all of them are whole
            own = [noisy[i] for i in undisturbed(len(noisy), config.batch, work.experiment.exploring(round))]
            actual["own"] = mean_and_error(np.concatenate([trials, own]))
        content = read_json(work.run.dream_score(round - 1)) | {"actual": actual, "game_steps": frames}
        write_json(work.run.evaluation(f"round-{round - 1:02d}"), content)
        summary = (
            f"C of round {round - 1} scores {actual['mean']:.0f} ± {actual['standard_error']:.0f} "
            f"(standard error, {config.trials} episodes)"
        )
        if "own" in actual:
            own = actual["own"]
            summary += (
                f", {own['mean']:.0f} ± {own['standard_error']:.0f} in all {own['episodes']} without noise"
            )
    else:
        scores = np.array([_return(store, i) for i in range(episodes)])
        summary = f"random play earns {scores.mean():.0f} in {config.first_ticks} ticks"
    write_json(work.run.collected(round), {"episodes": episodes, "game_steps": frames})
    return Done(f"{summary}; {frames:,} frames so far", episodes, "episodes")


def undisturbed(count: int, batch: int, noise: ActionNoise) -> list[int]:
    """Which of so many episodes, started batch by batch, noise leaves alone."""
    sizes = {begin: min(batch, count - begin) for begin in range(0, count, batch)}
    return [begin + i for begin, size in sizes.items() for i in range(noise.disturbs(size), size)]


def _return(store: EpisodeStore, index: int) -> float:
    return float(store.read_arrays(index, ("rewards",))["rewards"].sum(dtype=np.float64))


def all_collected(work: Work, round: int) -> bool:
    """Whether no episode of a collected round is missing; all of them may have been deleted to save space."""
    collected = read_json(work.run.collected(round))
    episodes = collected.get("episodes", 0) if isinstance(collected, dict) else 0
    return not 0 < len(work.store(round)) < episodes


def vision_round(work: Work, round: int) -> Done:
    """Train V on all frames so far, from the weights of the round before, or from where the run began."""
    experiment = work.experiment
    steps = at_round(experiment.rounds.vision_steps, round)
    if steps == 0:
        take_over(work, "vision", work.run.vision(round))
        return Done(f"V is that of {experiment.start}", 0, "frames")
    start = vision_at_start(work) if round == 0 else work.vision(round - 1)[0]
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


def all_encoded(work: Work, round: int) -> bool:
    """Whether the latents of every stored episode are there. A later round, if there is one, answers for this one."""
    if work.run.encoded(round + 1).exists():
        return True
    twice = work.experiment.mirror and work.spec.mirror_signs is not None
    for r in range(round + 1):
        latents, wanted = work.run.latents(r), set(work.store(r).indices())
        for folder in (latents, mirrored(latents)) if twice else (latents,):
            if not wanted.issubset(EpisodeStore(folder).indices()):
                return False
    return True


def memory_round(work: Work, round: int) -> Done:
    """Train M on all latents so far, from the weights of the round before; and the other Ms that are to dream.

    C's own begins where the run began; another one that was not there in the round before begins at random.
    """
    experiment = work.experiment
    rounds = experiment.rounds
    if at_round(rounds.memory_steps, round) == 0:
        take_over(work, "memory", work.run.memory(round))
        return Done(f"M is that of {experiment.start}", 0, "steps")
    training = experiment.learning(round)
    _, sha256 = work.vision(round)
    latents = work.latents(round, with_mirrored=experiment.mirror)
    steps = 0
    for dreamer in range(at_round(rounds.dreamers, round)):
        joins = round == 0 or dreamer >= at_round(rounds.dreamers, work.memory_round(round - 1))
        # One that joins late is trained for as long as C's own M has been in all rounds together.
        planned = sum(at_round(rounds.memory_steps, r) for r in range(0 if joins else round, round + 1))
        steps += planned
        if _grown_on(work.run.memory(round, dreamer), sha256):
            continue  # made before the stage was stopped
        if joins:
            start = memory_at_start(work) if round == 0 and dreamer == 0 else None
        else:
            start = work.last_memory(round - 1, dreamer)
        train_memory(
            work.run,
            experiment.mdn_rnn,
            replace(training, steps=planned),
            latents,
            round=round,
            seed=experiment.seed,
            device=work.device,
            made_from={"vision": sha256},
            start=start,
            save_every=experiment.save_every,
            dreamer=dreamer,
        )
    ticks = steps * training.batch_size * training.sequence_length
    return Done(f"M has followed at most {ticks:,} ticks", steps, "steps")


def _grown_on(path: Path, vision: str) -> bool:
    return path.exists() and load_checkpoint(path, kind="memory").made_from.get("vision") == vision


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
        ensemble=at_round(experiment.rounds.ensemble, round),
    )
    write_json(work.run.dream_score(round), {"round": round, "dream": score})
    searches = at_round(experiment.rounds.ensemble, round)
    played = searches * generations * ticks_of_generation(experiment, round, score["ticks"])
    steps = evolution_steps(work, round)
    digits = 0 if score["mean"] >= 100 else 1
    earned = f"{score['mean']:.{digits}f} ± {score['standard_error']:.{digits}f}"
    return Done(
        f"C earns {earned} in {score['ticks']} ticks of its dream"
        + "".join(f", {other['mean']:.0f} in that of another M" for other in score.get("others", ()))
        + (f"; it was evolved in {steps:,} steps of the actual game" if steps else ""),
        steps or played,
        "steps" if steps else "dream ticks",
    )
