"""What follows the last round: choose whose C is best, score it on fresh episodes, write the report."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from worldmodels.evaluation.score import (
    Unfinished,
    episode_seeds,
    mean_and_error,
    score_actual,
    score_dream,
    score_policy,
)
from worldmodels.pipeline.media import FILM, film_dream, film_drive, make_media, openings
from worldmodels.pipeline.stage import Done
from worldmodels.pipeline.work import Parts, Work
from worldmodels.report.page import write_report
from worldmodels.rollouts.collect import play
from worldmodels.rollouts.random_actions import RandomActions
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.seeds import stream
from worldmodels.worlds.actual import ActualWorld
from worldmodels.worlds.starts import Starts


def select(work: Work, round: int) -> Done:
    """Choose a round: the best few by their trials play some more episodes, and the best of all episodes wins."""
    evaluation, count = work.experiment.evaluation, work.experiment.rounds.count
    played = [read_json(work.run.evaluation(f"round-{r:02d}")) for r in range(count)]
    results = {r: content["actual"]["scores"] for r, content in enumerate(played)}
    frames = max(content["game_steps"] for content in played)
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
                frames += score.steps
    candidates = [{"round": r, **mean_and_error(np.array(results[r]))} for r in chosen]
    best = max(candidates, key=lambda candidate: candidate["mean"])
    write_json(work.run.best_controller, {**best, "candidates": candidates, "game_steps": frames})
    return Done(f"round {best['round']} is taken: {best['mean']:.0f} ± {best['standard_error']:.0f}")


def evaluate_run(work: Work, round: int) -> Done:
    """Score the chosen C and the random policy in Gymnasium's own game, and C in its dream, on fresh seeds."""
    experiment, parts = work.experiment, work.best()
    evaluation, seed = experiment.evaluation, stream(experiment.seed, "final") % 2**31
    more = {"controller_round": parts.round, "policy": "controller"}
    dream = dream_score(work, parts, evaluation.dream_episodes, seed, work.temperature(parts.round))
    write_json(work.run.evaluation("dream"), dream | more)
    if evaluation.random_episodes:
        content = random_score(work, evaluation.random_episodes, seed) | {"policy": "random"}
        write_json(work.run.evaluation("random"), content)
    kept = work.run.resume(work.run.evaluation("actual"))  # a thousand episodes take a quarter of an hour
    actual = actual_score(work, parts, evaluation.episodes, seed, "gymnasium", kept)
    write_json(work.run.evaluation("actual"), actual | more)
    kept.unlink(missing_ok=True)
    return Done(
        f"{actual['mean']:.0f} ± {actual['standard_error']:.0f} over {actual['episodes']} fresh episodes "
        f"of {'Gymnasium’s' if work.spec.gym_id else 'the'} game",
        evaluation.episodes,
        "episodes",
    )


def actual_score(
    work: Work, parts: Parts, episodes: int, seed: int, backend: str, kept: Path | None = None
) -> dict:
    """C's score in the actual game, as `worldmodels evaluate --json` prints it; `kept` is where it may go on from."""
    seeds, batch = episode_seeds(seed, episodes), work.experiment.evaluation.batch
    played = {"episodes": episodes, "seed": seed, "batch": batch, "backend": backend}
    digest = sha256(parts.parameters.cpu().numpy().tobytes()).hexdigest()  # C was made from its V and M alone
    unfinished = Unfinished(kept, {"controller": digest, **played}) if kept else None
    with work.pool(backend) as pool:
        world = ActualWorld(work.senses(parts), pool, work.ticks)
        score = score_actual(world, parts.config, parts.parameters, seeds, batch, seed, unfinished)
    return score.as_json(backend=backend)


def random_score(work: Work, episodes: int, seed: int) -> dict:
    """What acting at random scores in the actual game, another action at every tick; as `actual_score`."""
    batch, repeat = work.experiment.evaluation.batch, work.experiment.action_repeat
    with work.pool("gymnasium") as pool:
        seeds = episode_seeds(seed, episodes)
        score = score_policy(pool, RandomActions(work.spec), work.ticks, repeat, seeds, batch, seed)
    return score.as_json(backend="gymnasium")


def dream_score(work: Work, parts: Parts, episodes: int, seed: int, temperature: float) -> dict:
    """C's score in its dream, as `worldmodels evaluate --world dream --json` prints it."""
    ticks = work.experiment.whole_dream(parts.round)
    config = replace(work.experiment.dream, temperature=temperature, horizon=ticks)
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
    write_json(work.run.finished, {"report": path.name})
    return Done(f"open {path}")


def draw(work: Work, parts: Parts) -> None:
    """The media of the report: what V sees, what M dreams, how C acts."""
    experiment, spec = work.experiment, work.spec
    fps = spec.steps_per_second / experiment.action_repeat
    with work.pool() as pool:
        seeds = [stream(experiment.seed, "drive", i) % 2**31 for i in range(4)]
        driven = play(pool, work.driver(parts), seeds, work.ticks, experiment.action_repeat)
    driven.sort(key=lambda episode: episode.score)
    typical = driven[len(driven) // 2]  # not the best one: what a visitor sees is what the score says
    film_drive(work.run, typical.frames, typical.score, fps)
    shown = [typical, *driven]
    make_media(work.run, parts.vision, parts.memory, shown, seed=experiment.seed, device=work.device, fps=fps)
    starts, ticks = openings(parts.vision, parts.memory, shown, work.device), max(1, round(FILM * fps))
    tau = work.temperature(parts.round)
    film_of_dream(work, parts, starts, work.run.media("dream.mp4"), ticks, tau, experiment.seed)


def film_of_dream(
    work: Work, parts: Parts, starts: Starts, path: Path, ticks: int, temperature: float, seed: int
) -> Path:
    """C in a dream of so many ticks at most, which else is as those of the run, from the beginning of an episode."""
    dream = replace(work.experiment.dream, temperature=temperature, horizon=ticks, openings=1.0)
    world = work.dream_from(starts, parts.memory, parts.config.features, dream)
    fps = work.spec.steps_per_second / work.experiment.action_repeat
    return film_dream(path, parts.vision, world, parts.config, parts.parameters, seed, fps)
