"""Steps a second of the actual games: as their library gives them, and with V, M and C in the loop.

Raw is the backend alone: EnvPool's batch on its threads, or one game in each of Gymnasium's worker processes, told to
play many steps at once. An action is held for all of them, the game paints every frame itself, and only the last one is
resized, so that next to nothing of the time is ours. The agent plays as many games at once as a search in the game does
(Take Cover, where each is an engine of its own, as many as an evaluation): V and M over the batch, C's actions, every
frame resized. The plain one plays a single game, one frame after another. An action is held for one step. Where a
painter of ours need not paint every frame the agent also plays as the demo's does, with actions held for HELD steps,
and where one sketches it plays either way with sketches; the floor of these is the fastest backend alone, which they
may pass, since a library paints whole pictures.

Games begin anew between the timed samples and not inside them: both raw and the agent are without their resets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import torch

from worldmodels.bench.measurement import Budget, Measurement, quartiles
from worldmodels.bench.player import PlainPlayer, Player
from worldmodels.envs.envpool_pool import EnvPoolGames, why_envpool_cannot_play
from worldmodels.envs.game import GameSpec, game
from worldmodels.envs.gymnasium_games import GymnasiumGames
from worldmodels.envs.pool import Games, open_pool, usable_cores
from worldmodels.envs.toy import ToyGames
from worldmodels.errors import UserError

SAMPLES = 8  # in a budget, where MOST does not make them more
HELD = 4
MOST = 50  # ticks of a sample: most of them lie within an episode


@dataclass(frozen=True)
class Rate:
    """Steps a second: median and quartiles of the samples."""

    median: float
    low: float
    high: float


def measure_actual(
    games: Sequence[str],
    budget: Budget,
    on_done: Callable[[str], None],
    device: torch.device | None = None,
) -> list[Measurement]:
    """Raw and agent's steps a second of these games ("car-racing", "take-cover"), by each backend that has them.

    The floor of the agent is its raw game, and the plain implementation is `plain_steps`. What cannot be played here
    has no value, and a note. The first two measurements of a game are once more that of its fastest backend alone, and
    that of the agent where it is fastest with an action a step.

    Args:
        on_done: is told each name of `measured_names` when it is measured.
        device: of V, M and C; None: the CPU.
    """
    found: list[Measurement] = []
    for spec in map(game, games):
        player = Player.untrained(spec, device or torch.device("cpu"))
        plain, why_no_plain = _or_why(lambda player=player: plain_steps(player, budget))
        pairs: list[tuple[Measurement, Measurement]] = []
        for backend in backends(spec):
            name = f"backends.{_key(spec)}.{backend}"
            raw, why_no_raw = _or_why(lambda player=player, by=backend: raw_steps(player, by, budget))
            on_done(f"{name}.raw")
            agent, why_no_agent = _or_why(lambda player=player, by=backend: agent_steps(player, by, budget))
            on_done(f"{name}.agent")
            measured = _measurement(f"{name}.agent", agent, why_no_agent or why_no_plain)
            floor, other = (rate and rate.median for rate in (raw, plain))
            measured = replace(measured, floor=floor, bound="raw game" if raw else "", plain=other)
            pairs.append((_measurement(f"{name}.raw", raw, why_no_raw), measured))
        raw_one, agent_one = next((pair for pair in pairs if pair[0].value is not None), pairs[-1])
        rows = [row for pair in pairs for row in pair]
        for backend, kind in _painted(spec):
            name = f"backends.{_key(spec)}.{backend}.{kind}"
            played, why = _or_why(
                lambda player=player, by=backend, held=HELD if kind == "held" else 1: agent_steps(
                    player, by, budget, held
                )
            )
            floor = {"floor": raw_one.value, "bound": "raw game"} if raw_one.value else {}
            row = replace(_measurement(name, played, why), **floor)
            if kind == "agent":
                row = replace(row, plain=plain and plain.median)
                if played and (agent_one.value is None or played.median > agent_one.value):
                    agent_one = row
            rows.append(row)
            on_done(name)
        found += [
            replace(raw_one, name=f"actual_raw.{_key(spec)}"),
            replace(agent_one, name=f"actual_agent.{_key(spec)}"),
            *rows,
        ]
    return found


def measured_names(games: Sequence[str]) -> list[str]:
    """What `on_done` will be told of, in this order."""
    return [
        f"backends.{_key(spec)}.{backend}.{kind}"
        for spec in map(game, games)
        for backend, kind in [
            *((backend, kind) for backend in backends(spec) for kind in ("raw", "agent")),
            *_painted(spec),
        ]
    ]


def _painted(spec: GameSpec) -> list[tuple[str, str]]:
    """Backend and kind of what an agent plays where frames are painted by us."""
    held = [("gymnasium", "held")] if spec.painter is not None else []
    return held + ([("sketch", "agent"), ("sketch", "held")] if spec.sketcher is not None else [])


def backends(spec: GameSpec) -> tuple[str, ...]:
    """Who plays a game, the fastest first. EnvPool's Take Cover is another game than ours."""
    if spec.gym_id is None:
        return ("own",)
    return ("envpool", "gymnasium") if spec.name == "car-racing" else ("gymnasium",)


def raw_steps(player: Player, backend: str, budget: Budget) -> Rate:
    """Steps a second of the games alone. UserError where the backend cannot play them."""
    spec, cores = player.spec, usable_cores()
    games = cores if backend == "gymnasium" else player.batch
    rng, rows, seeds = np.random.default_rng(0), np.arange(games), count()
    with closing(_games(spec, backend, cores)) as playing:

        def sample(steps: int) -> tuple[int, bool]:
            actions = rng.uniform(spec.action_low, spec.action_high, (games, spec.action_size))
            turn = playing.play(rows, actions.astype(np.float32), steps)
            return int(turn.steps.sum()), bool((turn.terminated | turn.truncated).any())

        return steps_a_second(lambda: playing.start(_take(seeds, games)), sample, budget)


def agent_steps(player: Player, backend: str, budget: Budget, held: int = 1) -> Rate:
    """Steps a second of the games with V, M and C in the loop. UserError where the backend cannot play them."""
    seeds = count()
    with open_pool(player.spec, "auto" if backend == "own" else backend, held) as pool:
        world, seen = player.world(pool), torch.empty(0)

        def begin() -> None:
            nonlocal seen
            seen = world.reset(_take(seeds, player.batch))

        def sample(ticks: int) -> tuple[int, bool]:
            nonlocal seen
            before, over = pool.steps_taken.sum(), False
            while ticks and not over:
                _, step = player.play_on(world, seen)
                seen, over = step.features, bool((step.terminated | step.truncated).any())
                ticks -= 1
            if seen.is_cuda:
                torch.cuda.synchronize()
            return int(pool.steps_taken.sum() - before), over

        return steps_a_second(begin, sample, budget)


def plain_steps(player: Player, budget: Budget) -> Rate:
    """Steps a second of the agent without batches: one game of Gymnasium's, one frame after another."""
    seeds, agent = count(), PlainPlayer(player)
    spec = replace(player.spec, painter=None)
    with open_pool(spec, "gymnasium" if spec.gym_id else "auto", workers=1) as pool:
        action = np.zeros(0)

        def begin() -> None:
            nonlocal action
            action = agent.begin(pool.reset(_take(seeds, 1)))

        def sample(ticks: int) -> tuple[int, bool]:
            nonlocal action
            before, over = pool.steps_taken.sum(), False
            while ticks and not over:
                step = pool.step(action)
                action, over = agent.act(step.frames), bool(step.terminated[0] or step.truncated[0])
                ticks -= 1
            return int(pool.steps_taken.sum() - before), over

        return steps_a_second(begin, sample, budget)


def steps_a_second(
    begin: Callable[[], object], sample: Callable[[int], tuple[int, bool]], budget: Budget
) -> Rate:
    """Time `sample(n)` until the budget is spent; the games `begin` anew before a sample if one of them has ended.

    Args:
        sample: plays n ticks at most; how many steps that were, and whether a game has ended.
    """
    over = True

    def timed(ticks: int) -> tuple[int, float]:
        nonlocal over
        if over:
            begin()
        before = time.perf_counter()
        steps, over = sample(ticks)
        return steps, time.perf_counter() - before

    timed(1)
    ticks = min(MOST, max(1, round(budget.seconds / SAMPLES / max(timed(1)[1], 1e-9))))
    for _ in range(budget.warm_up):
        timed(ticks)
    rates: list[float] = []
    spent = 0.0
    while len(rates) < max(budget.least, 2) or spent < budget.seconds:
        steps, seconds = timed(ticks)
        spent += seconds
        rates.append(steps / seconds)
    low, median, high = quartiles(rates)
    return Rate(median, low, high)


def _games(spec: GameSpec, backend: str, workers: int) -> Games:
    if backend == "own":
        return ToyGames(spec)
    if backend == "gymnasium":
        return GymnasiumGames(replace(spec, painter=None), workers)
    if (obstacle := why_envpool_cannot_play(spec)) is not None:
        raise UserError(f"{obstacle} Type `pip install envpool`; it has wheels for Linux on x86-64 only.")
    return EnvPoolGames(spec, workers)


def _or_why(measure: Callable[[], Rate]) -> tuple[Rate | None, str]:
    try:
        return measure(), ""
    except UserError as error:
        return None, str(error)


def _measurement(name: str, rate: Rate | None, note: str) -> Measurement:
    if rate is None:
        return Measurement(name, "steps", None, note=note)
    return Measurement(name, "steps", rate.median, rate.low, rate.high, note=note)


def _take(seeds: Iterator[int], episodes: int) -> list[int]:
    return [next(seeds) for _ in range(episodes)]


def _key(spec: GameSpec) -> str:
    return spec.name.replace("-", "_")
