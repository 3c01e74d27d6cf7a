"""A run, made ready to be played in."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs.pool import open_pool
from worldmodels.errors import UserError
from worldmodels.evolution.controllers import load_controller
from worldmodels.pipeline import released
from worldmodels.pipeline.work import Parts, Work, open_run
from worldmodels.play.model import Driver, PlayModel
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.seeds import numpy_stream
from worldmodels.worlds.starts import Starts, gather_starts

STARTS = 256  # openings, and as many later moments, to begin a dream at
EPISODES = 200  # the newest: for the statistics of the latents
START_EPISODES = 64  # the newest of these, which were driven best
EXAMPLES = 24  # frames of the actual game


def play_model(run: RunFolder, device: str = "auto") -> PlayModel:
    """The chosen V, M and C of a run, all Cs that grew beside it, and what a player needs of its episodes.

    Raises UserError when there is no C yet, or when episodes or latents are missing.
    """
    work = open_run(run, device)
    parts = work.best()
    starts, mean, std, examples = _seen(work, parts)
    spec = work.spec
    return PlayModel(
        name=f"{spec.name} · {run.path.name if run.path.is_absolute() else run.path}",
        spec=spec,
        action_repeat=work.experiment.action_repeat,
        vision=parts.vision.requires_grad_(False),
        memory=parts.memory.requires_grad_(False),
        memory_hash=work.memory(parts.round)[1],
        starts=starts,
        controllers=(_chosen(work, parts), *_others(work, parts)),
        temperature=work.temperature(parts.round),
        examples=examples[:EXAMPLES],
        latent_mean=mean,
        latent_std=std,
        open_game=partial(open_pool, spec, "gymnasium" if spec.gym_id else "auto", 1, workers=1),
        end_weight=work.experiment.memory.end_positive_weight,
        # People begin where all of C's dreams do; else on the way, past what CarRacing shows while it zooms in.
        openings=1.0 if work.experiment.dream.openings == 1 else 0.0,
    )


def _seen(work: Work, parts: Parts) -> tuple[Starts, np.ndarray, np.ndarray, np.ndarray]:
    """Moments to begin at, mean and standard deviation of V's mu (Z,), and frames of the game (E, 64, 64, 3)."""
    if work.run.is_released:
        starts = work.starts(parts.round, parts.memory, STARTS)
        return starts, *released.latent_statistics(work.run), released.examples(work.run)
    episodes = work.seen(parts.round, newest=EPISODES)
    rng = numpy_stream(work.experiment.seed, "play", parts.round)
    starts = gather_starts(parts.memory, episodes[-START_EPISODES:], STARTS, rng)
    mu = np.concatenate([episode.mu for episode in episodes])  # (N, Z)
    return starts, mu.mean(axis=0), mu.std(axis=0), _examples(work, parts.round, rng)


def _examples(work: Work, round: int, rng: np.random.Generator) -> np.ndarray:
    """Frames (E, 64, 64, 3) of the newest episodes, two of each; the last ones were driven by the chosen C itself."""
    newest = [
        (store, index) for r in range(round + 2) for store in [work.store(r)] for index in store.indices()
    ]
    chosen = []
    for store, index in newest[-EXAMPLES // 2 :]:
        frames = store.read_arrays(index, ("frames",))["frames"]
        chosen.append(frames[rng.integers(len(frames), size=2)])
    return np.concatenate(chosen)


def _chosen(work: Work, parts: Parts) -> Driver:
    tau = work.temperature(parts.round)
    dream = _record(work, "dream", controller_round=parts.round)
    actual = _record(work, "actual", controller_round=parts.round)
    if not dream:
        dream = _record(work, f"round-{parts.round:02d}-dream").get("dream", {})
    if not actual:
        actual = _record(work, f"round-{parts.round:02d}").get("actual", {})
    label = f"C of round {parts.round}, evolved at τ {tau:.2f}"
    return _driver(
        work, f"round-{parts.round:02d}", label, tau, parts.config, parts.parameters, dream, actual
    )


def _others(work: Work, parts: Parts) -> list[Driver]:
    """Cs evolved beside the chosen one in dreams of other temperatures; those of another V or M are left out."""
    made_from = {"vision": work.vision(parts.round)[1], "memory": work.memory(parts.round)[1]}
    found = []
    for temperature, path in work.run.controllers_at(parts.round).items():
        try:
            config, parameters, _ = load_controller(path, made_from)
        except UserError:
            continue  # evolved before V or M were made again: nothing that could be played here
        score = work.run.temperature_score(parts.round, temperature)
        record = read_json(score) if score.exists() else {}
        name, label = f"temperature-{temperature:.2f}", f"C evolved at τ {temperature:.2f}"
        dream, actual = record.get("dream", {}), record.get("actual", {})
        parameters = parameters.to(work.device)
        found.append(_driver(work, name, label, temperature, config, parameters, dream, actual))
    return found


def _driver(
    work: Work,
    name: str,
    label: str,
    temperature: float,
    config: ControllerConfig,
    parameters: Any,
    dream: dict[str, Any],
    actual: dict[str, Any],
) -> Driver:
    if not work.experiment.mdn_rnn.predicts_reward:
        # Such a dream pays for staying alive: in 1000 steps nobody can earn more than a point a tick.
        dream = {name: value for name, value in dream.items() if name != "per_1000_steps"}
    elif "mean" in dream and "per_1000_steps" not in dream and "ticks" in dream:
        steps = dream["ticks"] * work.experiment.action_repeat
        dream = dream | {"per_1000_steps": 1000 * dream["mean"] / steps}
    return Driver(name, label, temperature, config, parameters, _score(dream), _score(actual))


def _score(record: dict[str, Any]) -> dict[str, float] | None:
    names = ("mean", "standard_error", "episodes", "per_1000_steps")
    return {name: record[name] for name in names if name in record} if "mean" in record else None


def _record(work: Work, name: str, **expected: Any) -> dict[str, Any]:
    """What is written under that name in evaluation/, if it is there and about what is expected."""
    path = work.run.evaluation(name)
    record = read_json(path) if path.exists() else {}
    if not isinstance(record, dict) or any(record.get(key) != value for key, value in expected.items()):
        return {}
    return record
