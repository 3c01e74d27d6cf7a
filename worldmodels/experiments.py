"""An experiment: what the rooms are told, composed. `presets` has those that have a name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evaluation.score import EvaluationConfig
from worldmodels.evolution.evolve import EvolutionConfig
from worldmodels.evolution.ppo import GradientConfig
from worldmodels.memory.mdn_rnn import MDNRNNConfig
from worldmodels.memory.train import MemoryTraining
from worldmodels.rollouts.collect import CollectConfig
from worldmodels.vision.train import VisionTraining
from worldmodels.vision.vae import VAEConfig
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.policy import ActionNoise

WORLDS = ("dream", "actual")
STARTS_WITH = ("all", "vision")
Setting = TypeVar("Setting", int, float, str)


def at_round(schedule: tuple[Setting, ...], round: int) -> Setting:
    """What a schedule gives to a round; the last one holds on."""
    return schedule[min(round, len(schedule) - 1)]


@dataclass(frozen=True)
class RoundsConfig:
    """The iterative procedure of the paper: how often, and how much of each stage in each round.

    The schedules give one number a round; the last one holds for the rounds after it. A zero of vision_steps or
    memory_steps skips that training in that round, and V or M of the round before stays in use: in the first round
    that of the run at which this one begins.
    """

    count: int = 1  # rounds
    vision_steps: tuple[int, ...] = (100_000,)  # batches from which V learns
    memory_steps: tuple[int, ...] = (4000,)  # batches from which M learns
    dreamers: tuple[int, ...] = (1,)  # Ms that dream for C; it reads the memory of the first alone
    generations: tuple[int, ...] = (1800,)  # of the search for C
    worlds: tuple[str, ...] = ("dream",)  # in which C is evolved: M's dream, or the actual game
    horizons: tuple[int, ...] = (1000,)  # ticks of the episodes in which C is evolved
    temperatures: tuple[float, ...] = ()  # of the dreams; empty: dream.temperature in every round
    searches: tuple[str, ...] = ()  # as evolution.search, of each round; empty: that in every round
    ensemble: tuple[int, ...] = (1,)  # searches from other random numbers; C's output is the mean of theirs
    memory_rates: tuple[float, ...] = ()  # as memory.learning_rate, of each round; empty: that in every round
    posteriors: tuple[float, ...] = ()  # as memory.posterior, of each round; empty: that in every round
    hidden: tuple[int, ...] = ()  # as controller.hidden, of each round; empty: that in every round
    noises: tuple[float, ...] = ()  # as noise.sigma, with which a round collects; empty: that in every round

    def __post_init__(self) -> None:
        if any(not 0 < temperature < float("inf") for temperature in self.temperatures):
            raise ValueError(f"rounds.temperatures must be positive numbers, got {self.temperatures}")
        if any(not 0 < rate < float("inf") for rate in self.memory_rates):
            raise ValueError(f"rounds.memory_rates must be positive numbers, got {self.memory_rates}")
        if any(not 0 <= posterior <= 1 for posterior in self.posteriors):
            raise ValueError(f"rounds.posteriors must lie in [0, 1], got {self.posteriors}")
        if any(not 0 <= noise < float("inf") for noise in self.noises):
            raise ValueError(f"rounds.noises must be finite and not negative, got {self.noises}")
        if any(units < 0 for units in self.hidden):
            raise ValueError(f"rounds.hidden must be 0 (no hidden layer) or more, got {self.hidden}")
        if not self.worlds or not set(self.worlds) <= set(WORLDS):
            raise ValueError(f"rounds.worlds must be of {' and '.join(WORLDS)}, got {self.worlds}")
        if self.count < 1:
            raise ValueError(f"rounds.count must be at least 1, got {self.count}")
        for name in ("vision_steps", "memory_steps"):
            schedule = getattr(self, name)
            if not schedule or min(schedule) < 0:
                raise ValueError(f"rounds.{name} must not be negative in any round, got {schedule}")
        for name in ("dreamers", "generations", "horizons", "ensemble"):
            schedule = getattr(self, name)
            if not schedule or min(schedule) < 1:
                raise ValueError(f"rounds.{name} must be at least 1 in every round, got {schedule}")
        for round in range(self.count):
            if at_round(self.vision_steps, round) and not at_round(self.memory_steps, round):
                raise ValueError(
                    f"round {round} trains V and not M, which would no longer know what V sees: give "
                    f"rounds.memory_steps a number there, or rounds.vision_steps a 0, got {self.memory_steps} and "
                    f"{self.vision_steps}"
                )


@dataclass(frozen=True)
class Experiment:
    """Every setting of a run. The defaults are the paper's for CarRacing, with a dream that pays and ends."""

    game: str = "car-racing"  # the GAME of the command line
    preset: str = "paper"  # whose settings are taken where no other is given
    seed: int = 0  # everything that is drawn in a run follows from it
    action_repeat: int = 1  # steps of the game for which an action is held; the paper's agent acts at each
    # Who plays while learning: "auto" (EnvPool where it can, else Gymnasium), "gymnasium", "envpool" or "sketch".
    backend: str = "auto"
    # A run or release at whose V and M this one begins, and at whose C where it is built alike; "": at nothing.
    start: str = ""
    start_with: str = "all"  # of `start`: "all", or "vision" alone, beside which M and C begin at nothing
    save_every: float = 20.0  # seconds between checkpoints of an unfinished training; no result depends on it
    mirror: bool = False  # M also learns from every episode's mirror image, where the game has that symmetry
    rounds: RoundsConfig = RoundsConfig()
    collect: CollectConfig = CollectConfig()
    noise: ActionNoise = ActionNoise(share=1.0)  # of C's exploring episodes
    vae: VAEConfig = VAEConfig()
    vision: VisionTraining = VisionTraining()
    mdn_rnn: MDNRNNConfig = MDNRNNConfig(predicts_reward=True, predicts_end=True)
    memory: MemoryTraining = MemoryTraining()
    dream: DreamConfig = DreamConfig(horizon=1000)
    controller: ControllerConfig = field(default_factory=ControllerConfig)
    evolution: EvolutionConfig = EvolutionConfig()
    gradient: GradientConfig = GradientConfig()  # where the search is "gradient"
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self) -> None:
        if self.action_repeat < 1:
            raise ValueError(f"action_repeat must be at least 1, got {self.action_repeat}")
        if self.start_with not in STARTS_WITH:
            raise ValueError(f"start_with must be {' or '.join(STARTS_WITH)}, got {self.start_with!r}")
        if self.collect.takes_games and not self.start:
            raise ValueError("collect.exploration start takes the games of another run: name it by --start")
        if not self.save_every >= 0:
            raise ValueError(f"save_every must not be negative, got {self.save_every}")
        for name, comes, also in (
            ("vision_steps", bool(self.start), ""),
            ("memory_steps", self.begins_at_memory, " and --start-with is all"),
        ):
            first = getattr(self.rounds, name)[0]
            if first < 1 and not comes:
                raise ValueError(
                    f"rounds.{name} must begin above 0, got {first}: nothing is there before the first round unless "
                    f"--start names a run to begin at{also}"
                )
        if self.rounds.memory_steps[0] < 1 and self.rounds.dreamers[0] > 1:
            raise ValueError(
                f"rounds.dreamers begins with {self.rounds.dreamers[0]} Ms, of which a start has one: give "
                "rounds.memory_steps a number there"
            )
        if not self.mdn_rnn.predicts_end:
            raise ValueError(
                "mdn_rnn.predicts_end must be true: every C is scored in dreams, which end by it"
            )
        if self.gradient.dream_missed and not self.dream.missed:
            raise ValueError(
                "gradient.dream_missed needs dream.missed above 0, the points of road that a tick without reward "
                "leaves behind: a dream knows of no tiles"
            )
        rounds = range(self.rounds.count)
        ensembles = max(at_round(self.rounds.ensemble, round) for round in rounds) > 1
        if self.evolution.select_actual and ensembles:
            raise ValueError(
                f"evolution.select_actual takes one C of a search, and rounds.ensemble {self.rounds.ensemble} the mean "
                "of several searches'"
            )
        for round in rounds:
            gone_on_with = round + 1 < self.rounds.count and not self.evolution.afresh
            if self.built(round).hidden and at_round(self.rounds.ensemble, round) > 1 and gone_on_with:
                raise ValueError(
                    f"rounds.ensemble {self.rounds.ensemble} puts the hidden units of several Cs side by side, which "
                    "no later round can go on with: give it a 1 in all rounds but the last, or type --evolution.afresh"
                )
            try:
                self.learning(round)
            except ValueError as error:
                raise ValueError(f"rounds.memory_rates {self.rounds.memory_rates}: {error}") from error
            search, dreamers = self.search(round), at_round(self.rounds.dreamers, round)
            try:
                replace(self.evolution, search=search)
            except ValueError as error:
                raise ValueError(f"rounds.searches {self.rounds.searches}: {error}") from error
            shared, name = self.evolution.repeats, "evolution.repeats"  # what an individual's dreams are
            if search == "gradient":
                shared, name = self.gradient.dreams, "gradient.dreams"
            if dreamers > shared:
                raise ValueError(
                    f"each of rounds.dreamers {self.rounds.dreamers} needs a dream, and {name} is {shared}"
                )

    @property
    def begins_at_memory(self) -> bool:
        """Whether M, and C where it is built alike, begin at those of another run."""
        return bool(self.start) and self.start_with == "all"

    def built(self, round: int) -> ControllerConfig:
        """How a round's C is built."""
        return replace(
            self.controller, hidden=at_round(self.rounds.hidden or (self.controller.hidden,), round)
        )

    def search(self, round: int) -> str:
        """How a round's C is sought."""
        return at_round(self.rounds.searches or (self.evolution.search,), round)

    def whole_dream(self, round: int) -> int:
        """Ticks of the dreams in which a round's C is scored and shown in the end; it may know shorter ones only."""
        return max(self.dream.horizon, at_round(self.rounds.horizons, round))

    def learning(self, round: int) -> MemoryTraining:
        """How a round's M learns, but for how long."""
        return replace(
            self.memory,
            learning_rate=at_round(self.rounds.memory_rates or (self.memory.learning_rate,), round),
            posterior=at_round(self.rounds.posteriors or (self.memory.posterior,), round),
        )

    def exploring(self, round: int) -> ActionNoise:
        """The noise with which the C of the round before explores in a round."""
        return replace(self.noise, sigma=at_round(self.rounds.noises or (self.noise.sigma,), round))
