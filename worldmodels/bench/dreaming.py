"""The dream measured: ticks of many numbers of dreams, one whole generation, and the search itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import torch

from worldmodels.bench import costs
from worldmodels.bench.conditions import Conditions, expected_floor, floor_of, lasting, patient, rated
from worldmodels.bench.measurement import Budget, Measurement
from worldmodels.bench.plain import PlainMemory
from worldmodels.bench.plain_dream import PlainDreams, act, dream_tick, play, seen_by_controller
from worldmodels.bench.plain_search import PlainCMAES
from worldmodels.evolution.cma_es import DeviceCMAES
from worldmodels.evolution.fitness import LOOK_EVERY, returns
from worldmodels.evolution.recorded import Recording, advancing, begun
from worldmodels.evolution.strategy import CMAES
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.starts import Starts

DREAMS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
ALWAYS = 1024  # up to so many are measured however long a tick takes
POPULATION, REPEATS, TICKS = 64, 16, 1000  # the paper's generation
PLAIN_SHARE = 0.05  # of its ticks, which the plain one is measured on
GENERATIONS = 12  # of the search in a timed call: covariances are decomposed in every third or fourth only
SEARCHES = ("cma", "search_device")
NEVER = -1e3  # the logit of an end that no memory of M reaches


def endless_memory(conditions: Conditions) -> MDNRNN:
    """An untrained M of the preset's size whose dreams do not end."""
    torch.manual_seed(0)
    model = MDNRNN(conditions.experiment.mdn_rnn).requires_grad_(False).eval()
    model.head.bias[-1] = NEVER
    return model.to(conditions.device)


def dream_world(conditions: Conditions, model: MDNRNN, horizon: int) -> DreamWorld:
    """Dreams of it, that begin anywhere."""
    config, dream = conditions.experiment.mdn_rnn, conditions.experiment.dream
    z, memory = torch.randn(2, 512, config.latent_size), torch.randn(2, 512, config.hidden_size)
    parts = (part.to(conditions.device) for part in (z[0], z[1] - 2, memory[0].tanh(), memory[1]))
    starts = Starts(*parts, openings=256)
    features = conditions.experiment.controller.features
    return DreamWorld(model, starts, replace(dream, horizon=horizon), features)


def controllers(conditions: Conditions, population: int) -> torch.Tensor:
    """Random Cs (P, n), as a search begins with."""
    count = conditions.experiment.controller.parameter_count
    return conditions.experiment.evolution.sigma * torch.randn(population, count, device=conditions.device)


def measure_dreaming(
    conditions: Conditions,
    wanted: Collection[str],
    on_done: Callable[[str], None],
    sizes: tuple[int, ...] = DREAMS,
) -> list[Measurement]:
    """Those of dream, generation, cma and search_device that are wanted; "dream" gives dream.1, dream.4 and so on."""
    found: list[Measurement] = []
    if {"dream", "generation"} & set(wanted):
        model = endless_memory(conditions)
        world = dream_world(conditions, model, TICKS)
        world.compile()  # as in every evolution of a paper's length
        plain = PlainMemory.like(model)
        if "dream" in wanted:
            for dreams in sizes:
                expected = _expected(dreams, found)
                found.append(dreaming(conditions, world, plain, dreams, expected))
                on_done(f"dream.{dreams}")
        if "generation" in wanted:
            found.append(generation(conditions, world, plain))
            on_done("generation")
    for name in SEARCHES:
        if name in wanted:
            found.append(search(conditions, name))
            on_done(name)
    return found


def _expected(dreams: int, before: list[Measurement]) -> float:
    """Seconds that a tick of so many dreams should take at most, by those before: more at once are no slower."""
    return dreams / max((measured.value for measured in before if measured.value), default=float("inf"))


def dreaming(
    conditions: Conditions, world: DreamWorld, plain: PlainMemory, dreams: int, expected: float
) -> Measurement:
    """Ticks a second of so many dreams, with what C does in each of them."""
    name, budget = f"dream.{dreams}", conditions.budget
    if dreams > ALWAYS and expected > 2 * budget.seconds:
        note = f"a tick should take {expected:.1f} s, too long for a measurement of {budget.seconds:g} s"
        return Measurement(name, "ticks", None, note=note)
    config = conditions.experiment.controller
    population = min(dreams, POPULATION)
    parameters = controllers(conditions, population)
    horizon, world.horizon = world.horizon, 10**9  # these dreams go on for as long as it takes
    at_once = LOOK_EVERY if world.records else 1  # ticks
    playing = begun(config, parameters, world, range(dreams))
    play = advancing(config, world, at_once)

    def tick() -> None:
        nonlocal playing
        playing = play(playing)

    try:
        with torch.no_grad():
            play = Recording(play, playing).play if world.records else play
            timing = conditions.timed(tick, patient(budget, expected * at_once))
    finally:
        world.horizon = horizon
    mine = plain_dreams(world, dreams)
    temperature = world.config.temperature

    def plain_tick() -> None:
        nonlocal mine
        actions = act(config, parameters, seen_by_controller(world.feature_kind, mine))
        mine, _ = dream_tick(plain, mine, actions, torch.rand_like(mine.z), temperature)

    with torch.no_grad():
        beside = conditions.timed(plain_tick, patient(budget, 3 * timing.median / at_once))
    cost = costs.dream_tick(world.model_config, config, dreams, population) * at_once
    return rated(
        name,
        "ticks",
        dreams * at_once,
        timing,
        plain=(dreams, beside),
        floor=floor_of(conditions, cost, "f32"),
    )


def plain_dreams(world: DreamWorld, dreams: int) -> PlainDreams:
    """So many dreams as `world` begins them."""
    world.reset(range(dreams))
    never = torch.zeros(dreams, dtype=torch.bool, device=world.device)
    return PlainDreams(world.z, *world.memory, never)


def generation(conditions: Conditions, world: DreamWorld, plain: PlainMemory) -> Measurement:
    """Seconds of one generation: 64 individuals, 16 dreams each, 1,000 ticks, none of which ends before."""
    config, dreams = conditions.experiment.controller, POPULATION * REPEATS
    parameters = controllers(conditions, POPULATION)
    cost = costs.dream_tick(world.model_config, config, dreams, POPULATION) * TICKS
    budget = conditions.budget
    short = expected_floor(conditions, cost, "f32") < 10 * budget.seconds
    whole = Budget(budget.seconds, least=2 if short else 1, warm_up=0)
    timing = conditions.timed(lambda: returns(config, parameters, world, range(REPEATS)), whole)
    floor = floor_of(conditions, cost, "f32")
    begun = plain_dreams(world, dreams)

    def plain_part() -> None:
        play(
            plain, begun, config, world.feature_kind, parameters,
            lambda _: torch.rand_like(begun.z), world.config.temperature, round(PLAIN_SHARE * TICKS),
        )  # fmt: skip

    part = conditions.timed(plain_part, Budget(0.0, least=1, warm_up=0))
    note = f"the plain one by {PLAIN_SHARE:.0%} of its ticks"
    return lasting("generation", timing, plain=part.median / PLAIN_SHARE, floor=floor, note=note)


def search(conditions: Conditions, name: str) -> Measurement:
    """Seconds of CMA-ES for one generation, ask and tell, without what it plays: the package's or ours."""
    count, budget = conditions.experiment.controller.parameter_count, conditions.budget
    random = np.random.default_rng(0)
    start, sigma = np.zeros(count, np.float32), conditions.experiment.evolution.sigma
    begun = (start, sigma, POPULATION, 0)
    strategy = CMAES(*begun) if name == "cma" else DeviceCMAES(*begun, device=conditions.device)
    plain = PlainCMAES(start, sigma, POPULATION, random)

    def generations() -> None:
        for _ in range(GENERATIONS):
            strategy.ask()
            strategy.tell(random.standard_normal(POPULATION))

    def plain_generation() -> None:
        plain.ask()
        plain.tell(random.standard_normal(POPULATION))

    timing = conditions.timed(generations, Budget(budget.seconds, least=3, warm_up=1))
    beside = conditions.timed(plain_generation, Budget(budget.seconds, least=3, warm_up=1))
    cost = costs.search_generation(count, POPULATION)
    half = costs.Cost(2 * cost.operations, cost.bytes)  # double precision, at half the speed of single
    return lasting(
        name, timing, share=GENERATIONS, plain=beside.median, floor=floor_of(conditions, half, "f32"),
        note="the floor is that of its matrix products, without decomposing the covariances",
    )  # fmt: skip
