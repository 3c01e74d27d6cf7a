"""Films of a sweep: a C in the dream in which it was evolved, and beside it the same C in the actual game."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from worldmodels.controller.linear import act
from worldmodels.evolution.controllers import load_controller
from worldmodels.pipeline.media import FILM, FILM_SCALE, decode
from worldmodels.pipeline.work import Parts, Work
from worldmodels.report.pictures import Pane, side_by_side
from worldmodels.report.video import write_video
from worldmodels.rollouts.collect import play
from worldmodels.runs.seeds import stream
from worldmodels.worlds.dream import DreamWorld

TRIED = 5  # dreams and episodes, of which the one in the middle is shown: what is seen is what the scores say


class Shown(NamedTuple):
    """One episode of one world: T ticks and the frame after the last."""

    pictures: np.ndarray  # (T + 1, ...) frames, or the latents that V makes frames of
    points: np.ndarray  # (T + 1,) earned so far
    over: bool  # whether the game has ended it, and not the clock


def film_sweep(work: Work, parts: Parts, table: Sequence[Mapping[str, Any]]) -> list[Path]:
    """cheating.mp4 of the coldest dream's C, and honest.mp4 of the one whose Cs score best in the actual game.

    Both are of evolution seed 0. A film lasts FILM seconds at most: a longer episode is shown faster, as its caption
    counts. `table` has the rows of evaluation/sweep.json.
    """
    temperatures = sorted(row["temperature"] for row in table)
    actual = {row["temperature"]: row["actual"]["mean"] for row in table}
    films = {"cheating.mp4": temperatures[0]}
    if len(temperatures) > 1:
        films["honest.mp4"] = max(temperatures[1:], key=actual.__getitem__)
    written = []
    for name, temperature in films.items():
        config, parameters, _ = load_controller(work.run.controller_at(parts.round, temperature))
        grown = replace(parts, config=config, parameters=parameters.to(work.device))
        path = work.run.media(name)
        write_film(work, grown, temperature, path)
        written.append(path)
    return written


def write_film(work: Work, parts: Parts, temperature: float, path: Path) -> None:
    """C in its dream on the left, in the actual game on the right, each with what it has earned so far."""
    dream, actual = dreamt(work, parts, temperature), played(work, parts)
    fps = work.spec.steps_per_second / work.experiment.action_repeat
    every = max(1, math.ceil(max(len(dream.points), len(actual.points)) / (FILM * fps)))
    # Where nothing but survival is paid, the end is death.
    ended = "over" if parts.memory.config.predicts_reward else "dead"
    panes = []
    for label, shown in ((f"dream at {temperature:.2f}", dream), ("actual", actual)):
        last = len(shown.points) - 1
        times = np.unique([*range(0, last, every), last])
        pictures = shown.pictures[times]
        if pictures.ndim == 2:
            pictures = decode(parts.vision, torch.from_numpy(pictures).to(work.device))
        captions = [f"{label}: {shown.points[time]:.0f}" for time in times]
        captions[-1] += f", {ended}" if shown.over else ""
        panes.append(Pane(captions, pictures))
    write_video(path, side_by_side(panes, FILM_SCALE), fps)


@torch.no_grad()
def dreamt(work: Work, parts: Parts, temperature: float) -> Shown:
    """The middle one of several dreams, from openings of the actual game; pictures are latents (T + 1, Z)."""
    horizon = work.experiment.whole_dream(parts.round)
    config = replace(work.experiment.dream, temperature=temperature, horizon=horizon, openings=1.0)
    world: DreamWorld = work.dream(parts.round, parts.memory, parts.config.features, config)
    seen = world.reset([stream(work.experiment.seed, "media", "cheating", i) for i in range(TRIED)])
    latents, rewards, running = [world.z], [torch.zeros(TRIED, device=work.device)], []
    for _ in range(horizon):
        step = world.step(act(parts.config, parts.parameters[None], seen[None])[0])
        seen = step.features
        latents.append(world.z)
        rewards.append(step.reward)
        running.append(~step.terminated)
        if not bool(running[-1].any()):
            break
    points = torch.stack(rewards).cumsum(0).cpu().numpy()  # (T + 1, TRIED)
    lengths = torch.stack(running).sum(0).cpu().numpy()  # ticks that the dream outlived
    row = int(np.argsort(points[-1], kind="stable")[TRIED // 2])
    over = bool(lengths[row] < len(running))
    end = int(lengths[row]) + over  # the tick at which it ended, or the last
    pictures = torch.stack(latents)[: end + 1, row].cpu().numpy()
    return Shown(pictures, points[: end + 1, row], over)


def played(work: Work, parts: Parts) -> Shown:
    """The middle one of several episodes of the actual game; pictures are frames (T + 1, 64, 64, 3) uint8."""
    seeds = [stream(work.experiment.seed, "cheating", i) % 2**31 for i in range(TRIED)]
    with work.pool() as pool:
        episodes = play(pool, work.driver(parts), seeds, work.ticks, work.experiment.action_repeat)
    episode = sorted(episodes, key=lambda episode: episode.score)[TRIED // 2]
    points = np.concatenate([[0.0], episode.rewards.cumsum()])
    return Shown(episode.frames, points, episode.terminated)
