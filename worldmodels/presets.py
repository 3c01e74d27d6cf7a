"""Presets: what the rooms are told, composed, by game and name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from worldmodels.errors import UserError
from worldmodels.evaluation.score import EvaluationConfig
from worldmodels.evolution.evolve import EvolutionConfig
from worldmodels.evolution.ppo import GradientConfig
from worldmodels.experiments import Experiment, RoundsConfig
from worldmodels.memory.mdn_rnn import MDNRNNConfig
from worldmodels.memory.train import MemoryTraining
from worldmodels.presets_take_cover import (
    take_cover_best,
    take_cover_demo,
    take_cover_foresight,
    take_cover_gradient,
    take_cover_moments,
    take_cover_paper,
    take_cover_rounds,
)
from worldmodels.rollouts.collect import CollectConfig
from worldmodels.vision.train import VisionTraining
from worldmodels.vision.vae import VAEConfig
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.policy import ActionNoise


def car_racing_paper() -> Experiment:
    """The paper's agent and amounts: 10,000 random episodes, V and M once each, 1800 generations in the game."""
    return Experiment(rounds=RoundsConfig(worlds=("actual",)))


def car_racing_demo() -> Experiment:
    """8 to 17 minutes on two cores: the paper's V, M and C, actions held for 4 steps, two rounds.

    V is trained once, so that z stays put under M and C; M goes on from where it was, and C is evolved afresh. The
    first dreams are short, as the first episodes were: M cannot dream on for longer than it has seen anybody drive.
    A third round of the same kind made the car worse with each of three seeds (docs/lab-notes.md).
    """
    return Experiment(
        preset="demo",
        action_repeat=4,  # a quarter of the ticks to see, remember and dream
        backend="gymnasium",  # the reference itself: where actions are held, EnvPool is no faster
        mirror=True,
        rounds=RoundsConfig(
            count=2,
            vision_steps=(500, 0),
            memory_steps=(1000, 700),
            generations=(80,),
            horizons=(50, 100),
        ),
        collect=CollectConfig(
            exploration="random-walk",
            first_episodes=320,
            first_ticks=48,  # blind play leaves the road within a few seconds: many short episodes see more of it
            trials=8,
            episodes=(16,),
            ticks=(250,),
            patience=50,
        ),
        vision=VisionTraining(batch_size=64, learning_rate=1e-3, final_learning_rate=1e-4, mirror=True),
        mdn_rnn=MDNRNNConfig(predicts_reward=True, predicts_end=True, reward_scale=4.0),
        memory=MemoryTraining(
            batch_size=48,
            learning_rate=3e-3,
            final_learning_rate=1e-4,
            sequence_length=64,
            reward_weight=2.0,
        ),
        dream=DreamConfig(horizon=100, openings=0.3, starts=1024),
        evolution=EvolutionConfig(repeats=8, jerk_cost=0.1, afresh=True),
        evaluation=EvaluationConfig(
            candidates=2, trial_episodes=8, episodes=16, random_episodes=8, dream_episodes=256
        ),
    )


def car_racing_actual() -> Experiment:
    """The demo and two more rounds, an hour on two cores: C learns in the actual game, as the paper's did.

    The third round trains V and M for long on what the car sees while it drives, and C learns in their dream by policy
    gradient. In the last one C goes on in the game itself, where it begins at what took a million frames there from
    zero. Nothing chooses among Cs.
    """
    demo = car_racing_demo()
    return replace(
        demo,
        preset="actual",
        rounds=RoundsConfig(
            count=4,
            vision_steps=(500, 0, 4000, 0),
            memory_steps=(1000, 700, 4000, 0),
            generations=(80, 80, 40, 100),
            worlds=("dream", "dream", "dream", "actual"),
            horizons=(50, 100, 250),
            searches=("auto", "auto", "gradient"),
        ),
        collect=replace(demo.collect, episodes=(16, 192, 0)),
        dream=replace(demo.dream, lap=900.0, missed=4.2),
        evolution=replace(demo.evolution, backend="sketch", averaged=10),
        gradient=GradientConfig(
            discount=0.995,
            finite=True,  # a lap ends, and what is missing is asked for at its end
            noise=0.4,
            last_noise=0.08,
            learning_rate=2e-4,  # three times as much takes twice as long (docs/lab-notes.md)
            epochs=6,
            batch_size=1000,
            reward_scale=0.03,
            missed=10.0,
        ),
        evaluation=replace(demo.evaluation, candidates=1, episodes=1000),
    )


def car_racing_dream() -> Experiment:
    """CarRacing learnt only in the dream, 140 minutes on two cores: eleven rounds, 0.7 to 0.8 million frames.

    It begins as `actual` does. From the third round on C learns by policy gradient from zero in a dream that is less
    certain than M (temperature 1.3), and M learns from some fifty episodes of that C what it was wrong about.
    A tick that earns nothing costs C something, as a missed tile does in the game, and in the end it is the mean of
    three long searches. The game pays V and M with frames and rewards, and never C.
    """
    actual = car_racing_actual()
    return replace(
        actual,
        preset="dream",
        rounds=replace(
            actual.rounds,
            count=11,
            memory_steps=(1000, 700, 4000, 700),
            generations=(80, 80, 40, *(30,) * 7, 160),
            worlds=("dream",),
            noises=(0.3, 0.3, 0.3, 0.15),  # with 0.15 throughout seed 0 came to 880 and not 913
            ensemble=(*(1,) * 10, 3),  # what one search finds is luck, and the mean is better than each
            # At temperature 1 C loses every fifth car in the game that it keeps in its dream.
            temperatures=(1.0, 1.0, 1.3),
        ),
        collect=replace(actual.collect, episodes=(16, 192, 56)),
        noise=ActionNoise(share=0.5),  # half of the episodes are C's own, and say how good it is
        gradient=replace(actual.gradient, dream_missed=10.0),
    )


def toy_demo() -> Experiment:
    """Less than a minute on two cores, on a game of our own: to try the pipeline, and for its tests."""
    return Experiment(
        game="toy",
        preset="demo",
        rounds=RoundsConfig(
            count=2, vision_steps=(120, 0), memory_steps=(250, 100), generations=(20, 10), horizons=(40,)
        ),
        collect=CollectConfig(
            exploration="random-walk",
            first_episodes=64,
            first_ticks=40,
            trials=8,
            episodes=(16,),
            ticks=(40,),
            batch=32,
        ),
        vae=VAEConfig(latent_size=8),
        vision=VisionTraining(batch_size=16, learning_rate=1e-3, final_learning_rate=2e-4),
        mdn_rnn=MDNRNNConfig(hidden_size=32, predicts_reward=True, predicts_end=True),
        memory=MemoryTraining(
            batch_size=32, learning_rate=5e-3, final_learning_rate=1e-3, sequence_length=40
        ),
        dream=DreamConfig(horizon=40, starts=256),
        evolution=EvolutionConfig(population=32, repeats=8, sigma=0.3),
        evaluation=EvaluationConfig(
            candidates=2, trial_episodes=8, episodes=16, random_episodes=16, dream_episodes=64, batch=32
        ),
    )


PRESETS: dict[str, dict[str, Callable[[], Experiment]]] = {
    "car-racing": {
        "demo": car_racing_demo,
        "paper": car_racing_paper,
        "actual": car_racing_actual,
        "dream": car_racing_dream,
    },
    "take-cover": {
        "demo": take_cover_demo,
        "paper": take_cover_paper,
        "best": take_cover_best,
        "gradient": take_cover_gradient,
        "rounds": take_cover_rounds,
        "moments": take_cover_moments,
        "foresight": take_cover_foresight,
    },
    "toy": {"demo": toy_demo},
}


def preset(game: str, name: str) -> Experiment:
    """The experiment of a game by its preset's name; UserError when there is none."""
    if game not in PRESETS:
        raise UserError(f"there is no game {game!r}; type one of {', '.join(PRESETS)}")
    if name not in PRESETS[game]:
        raise UserError(f"{game} has no preset {name!r}; type --preset {' or '.join(PRESETS[game])}")
    return PRESETS[game][name]()


def described() -> str:
    """The presets of every game, each with the first line of what it says of itself."""
    lines = ["Presets:"]
    for game, presets in PRESETS.items():
        for name, make in presets.items():
            says = (make.__doc__ or "").splitlines()[0]
            lines.append(f"  {game} --preset {name}: {says}")
    return "\n".join(lines)
