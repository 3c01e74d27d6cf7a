"""The stages of a run: collect, vision, encode, memory, evolve, and round again; then select, evaluate, report.

Each is a function of what lies in the run folder and writes its last file when it is finished.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from worldmodels.evaluation.score import episode_seeds, score_actual, score_dream, score_policy
from worldmodels.evolution.evolve import evolve, load_controller
from worldmodels.evolution.fitness import returns
from worldmodels.experiments import at_round
from worldmodels.memory.train import train_memory
from worldmodels.pipeline.media import film_drive, make_media
from worldmodels.pipeline.stage import Done, Stage
from worldmodels.pipeline.work import Parts, Work, count_frames, mean_and_error
from worldmodels.report.page import write_report
from worldmodels.rollouts.collect import collect, play
from worldmodels.rollouts.exploration import Policy, random_networks, random_walk
from worldmodels.rollouts.random_actions import RandomActions
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.progress import progress
from worldmodels.runs.seeds import stream
from worldmodels.vision.encode import encode_rollouts
from worldmodels.vision.train import train_vision
from worldmodels.worlds.actual import ActualWorld
from worldmodels.worlds.policy import ControllerPolicy


def plan(work: Work) -> list[Stage]:
    """Every stage of the run, in order."""
    run, rounds = work.run, work.experiment.rounds
    stages: list[Stage] = []

    def add(name: str, round: int, makes: str, stage: Callable[[Work, int], Done]) -> None:
        path = {
            "collect": run.collected(round),
            "vision": run.vision(round),
            "encode": run.encoded(round),
            "memory": run.memory(round),
            "evolve": run.dream_score(round),
            "select": run.best_controller,
            "evaluate": run.evaluation("actual"),
            "report": run.report,
        }[makes]
        stages.append(Stage(name, round, path, partial(stage, work, round)))

    for round in range(rounds.count):
        add("collect", round, "collect", collect_round)
        if at_round(rounds.vision_steps, round):
            add("vision", round, "vision", vision_round)
        add("encode", round, "encode", encode_round)
        if at_round(rounds.memory_steps, round):
            add("memory", round, "memory", memory_round)
        add("evolve", round, "evolve", evolve_round)
    last = rounds.count
    add("collect", last, "collect", collect_round)
    add("select", last, "select", select)
    add("evaluate", last, "evaluate", evaluate_run)
    add("report", last, "report", report_run)
    return stages


def collect_round(work: Work, round: int) -> Done:
    """Play: at random in round 0; after it with the C of the round before, without and then with action noise.

    The episodes without noise are whole ones and say how good that C is. After the last round nothing is learnt any
    more, and they are all that is played.
    """
    config, store = work.experiment.collect, work.store(round)
    if round == 0:
        explorer: Policy = {"random-networks": random_networks, "random-walk": random_walk}[
            config.exploration
        ](work.spec)
        segments = [(explorer, config.first_episodes, config.first_ticks, None)]
    else:
        parts = work.parts(round - 1)
        ticks = min(at_round(config.ticks, round - 1), work.ticks)
        segments = [(_driver(work, parts, noisy=False), config.trials, work.ticks, None)]
        if round < work.experiment.rounds.count:
            segments.append((_driver(work, parts, noisy=True), config.episodes, ticks, config.patience))
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
            f"the car of round {round - 1} scores {actual['mean']:.0f} ± {actual['standard_error']:.0f} "
            f"(standard error, {config.trials} episodes)"
        )
    else:
        scores = np.array([_return(store, i) for i in range(episodes)])
        summary = f"random play earns {scores.mean():.0f} in {config.first_ticks} ticks"
    write_json(work.run.collected(round), {"episodes": episodes, "game_steps": frames})
    return Done(f"{summary}; {frames:,} frames so far", episodes, "episodes")


def _return(store, index: int) -> float:  # noqa: ANN001
    return float(store.read_arrays(index, ("rewards",))["rewards"].sum(dtype=np.float64))


def _driver(work: Work, parts: Parts, noisy: bool) -> ControllerPolicy:
    noise = work.experiment.noise if noisy else None
    spec = work.spec
    senses = work.senses(parts)
    return ControllerPolicy(
        senses, parts.config, parts.parameters, spec.action_low, spec.action_high, noise
    )


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
    )
    ticks = steps * training.batch_size * training.sequence_length
    return Done(f"M has followed at most {ticks:,} ticks", steps, "steps")


def evolve_round(work: Work, round: int) -> Done:
    """Evolve C in the dream of this round's M, from the C of the round before or afresh."""
    experiment = work.experiment
    _, vision = work.vision(round)
    memory, memory_hash = work.memory(round)
    made_from = {"vision": vision, "memory": memory_hash}
    dream = replace(experiment.dream, horizon=at_round(experiment.rounds.horizons, round))
    world = work.dream(round, memory, experiment.controller.features, dream)
    start = None
    if round > 0 and not experiment.evolution.afresh:
        start = load_controller(work.run, round - 1)[1].numpy()
    generations = at_round(experiment.rounds.generations, round)
    if not work.run.controller(round).exists():
        evolve(
            work.run,
            experiment.controller,
            replace(experiment.evolution, generations=generations),
            world,
            round=round,
            seed=experiment.seed,
            made_from=made_from,
            start=start,
        )
    config, parameters, _ = load_controller(work.run, round, made_from)
    seeds = [stream(experiment.seed, "dream-score", i) for i in range(experiment.evaluation.dream_episodes)]
    dreamt = returns(config, parameters[None].to(work.device), world, seeds)[0].cpu().numpy()
    score = mean_and_error(dreamt) | {"ticks": world.horizon}
    score["per_1000_steps"] = score["mean"] * 1000 / (world.horizon * experiment.action_repeat)
    write_json(work.run.dream_score(round), {"round": round, "dream": score})
    played = generations * experiment.evolution.population * experiment.evolution.repeats * world.horizon
    return Done(
        f"C earns {score['mean']:.0f} ± {score['standard_error']:.0f} in {world.horizon} ticks of its dream",
        played,
        "dream ticks",
    )


def select(work: Work, round: int) -> Done:
    """Choose a round: the best few by their trials play some more episodes, and the best of all episodes wins."""
    evaluation, count = work.experiment.evaluation, work.experiment.rounds.count
    results = {r: read_json(work.run.evaluation(f"round-{r:02d}"))["actual"]["scores"] for r in range(count)}
    if evaluation.candidates == 1:
        chosen = [count - 1]
    else:
        chosen = sorted(results, key=lambda r: float(np.mean(results[r])), reverse=True)
        chosen = sorted(chosen[: evaluation.candidates])
        backend = work.experiment.backend
        with work.pool(backend) as pool:
            seeds = [
                stream(work.experiment.seed, "select", i) % 2**31 for i in range(evaluation.trial_episodes)
            ]
            for r in chosen:
                parts = work.parts(r)
                world = ActualWorld(work.senses(parts), pool, work.ticks)
                score = score_actual(world, parts.config, parts.parameters, seeds, evaluation.batch, 0)
                results[r] = results[r] + list(score.scores)
    candidates = [{"round": r, **mean_and_error(np.array(results[r]))} for r in chosen]
    best = max(candidates, key=lambda candidate: candidate["mean"])
    write_json(work.run.best_controller, {**best, "candidates": candidates})
    return Done(f"round {best['round']} is taken: {best['mean']:.0f} ± {best['standard_error']:.0f}")


def evaluate_run(work: Work, round: int) -> Done:
    """Score the chosen C and the random policy in Gymnasium's own game, and C in its dream, on fresh seeds."""
    experiment, parts = work.experiment, work.best()
    evaluation, seed = experiment.evaluation, stream(experiment.seed, "final") % 2**31
    more = {"controller_round": parts.round, "policy": "controller"}
    dream = dream_score(work, parts, evaluation.dream_episodes, seed, experiment.dream.temperature)
    write_json(work.run.evaluation("dream"), dream | more)
    if evaluation.random_episodes:
        seeds = episode_seeds(seed, evaluation.random_episodes)
        with work.pool("gymnasium") as pool:
            score = score_policy(
                pool,
                RandomActions(work.spec),
                work.ticks,
                experiment.action_repeat,
                seeds,
                evaluation.batch,
                seed,
            )
        content = score.as_json(policy="random", backend="gymnasium")
        write_json(work.run.evaluation("random"), content)
    actual = actual_score(work, parts, evaluation.episodes, seed, "gymnasium")
    write_json(work.run.evaluation("actual"), actual | more)
    return Done(
        f"{actual['mean']:.0f} ± {actual['standard_error']:.0f} (standard error) over {actual['episodes']} episodes of "
        "Gymnasium's game",
        evaluation.episodes,
        "episodes",
    )


def actual_score(work: Work, parts: Parts, episodes: int, seed: int, backend: str) -> dict:
    """C's score in the actual game, as `worldmodels evaluate --json` prints it."""
    with work.pool(backend) as pool:
        world = ActualWorld(work.senses(parts), pool, work.ticks)
        seeds, batch = episode_seeds(seed, episodes), work.experiment.evaluation.batch
        score = score_actual(world, parts.config, parts.parameters, seeds, batch, seed)
    return score.as_json(backend=backend)


def dream_score(work: Work, parts: Parts, episodes: int, seed: int, temperature: float) -> dict:
    """C's score in its dream, as `worldmodels evaluate --world dream --json` prints it."""
    config = replace(work.experiment.dream, temperature=temperature)
    world = work.dream(parts.round, parts.memory, parts.config.features, config)
    score = score_dream(world, work.spec.name, parts.config, parts.parameters, episodes, seed)
    return score.as_json(
        temperature=temperature, ticks=world.horizon, action_repeat=work.experiment.action_repeat
    )


def report_run(work: Work, round: int) -> Done:
    """Draw pictures and videos, and write report.html."""
    parts = work.best()
    with torch.no_grad():
        draw(work, parts)
    path = write_report(work.run)
    return Done(f"open {path}")


def draw(work: Work, parts: Parts) -> None:
    """The media of the report: what V sees, what M dreams, how C drives."""
    experiment, spec = work.experiment, work.spec
    fps = spec.steps_per_second / experiment.action_repeat
    with work.pool() as pool:
        seeds = [stream(experiment.seed, "drive", i) % 2**31 for i in range(4)]
        driven = play(
            pool, _driver(work, parts, noisy=False), seeds, work.ticks, experiment.action_repeat
        )
    driven.sort(key=lambda episode: episode.score)
    typical = driven[len(driven) // 2]  # not the best one: what a visitor sees is what the score says
    film_drive(work.run, typical.frames, typical.score, fps)
    make_media(
        work.run,
        parts.vision,
        parts.memory,
        [typical, *driven],
        seed=experiment.seed,
        device=work.device,
        controller=(parts.config, parts.parameters),
        temperature=experiment.dream.temperature,
        steps_per_second=spec.steps_per_second,
    )
