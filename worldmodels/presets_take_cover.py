"""Presets of Take Cover, from the paper's own to the one that lives longest."""

from __future__ import annotations

from dataclasses import replace

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evaluation.score import EvaluationConfig
from worldmodels.evolution.evolve import EvolutionConfig
from worldmodels.experiments import Experiment, RoundsConfig
from worldmodels.memory.mdn_rnn import MDNRNNConfig
from worldmodels.memory.train import MemoryTraining
from worldmodels.rollouts.collect import CollectConfig
from worldmodels.vision.train import VisionTraining
from worldmodels.vision.vae import VAEConfig
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.policy import ActionNoise


def take_cover_paper() -> Experiment:
    """The paper's agent and amounts for Take Cover: 10,000 random episodes, a dream at temperature 1.15."""
    return Experiment(
        game="take-cover",
        rounds=RoundsConfig(
            vision_steps=(30_000,),  # one epoch of some 3 million frames
            memory_steps=(24_000,),
            generations=(1800,),
            horizons=(2100,),
        ),
        collect=CollectConfig(exploration="held-actions", shortest=100, first_ticks=2100, batch=32),
        vae=VAEConfig(latent_size=64),
        mdn_rnn=MDNRNNConfig(
            latent_size=64, action_size=1, hidden_size=512, predicts_end=True, restart_flag=True
        ),
        memory=MemoryTraining(sequence_length=500, carry=True),
        dream=DreamConfig(temperature=1.15, horizon=2100, openings=1.0),
        controller=ControllerConfig(
            features="zch", feature_size=1088, action_kinds=("symmetric",), bias=False
        ),
        evaluation=EvaluationConfig(batch=32),
    )


def take_cover_demo() -> Experiment:
    """The paper's V, M and C for Take Cover on a tenth of its data, in about an hour on two cores.

    Exploration is more varied than the paper's, so that M has seen the walls too, and V looks harder at what is small.
    """
    paper = take_cover_paper()
    return replace(
        paper,
        preset="demo",
        rounds=RoundsConfig(vision_steps=(3600,), memory_steps=(2400,), generations=(60,), horizons=(2100,)),
        mirror=True,
        collect=replace(paper.collect, first_episodes=1000, exploration="varied-holds"),
        vision=VisionTraining(
            batch_size=64, learning_rate=1e-3, final_learning_rate=1e-4, mirror=True, salience=60.0
        ),
        memory=MemoryTraining(
            batch_size=32, learning_rate=2e-3, final_learning_rate=1e-4, sequence_length=64, carry=True
        ),
        evolution=EvolutionConfig(repeats=4),
    )


def take_cover_best() -> Experiment:
    """The demo and a second round, about two hours on two cores: M learns from what the first C does in the game.

    What C does there is what M was wrong about. Frames and ends of these episodes are learnt from; no C is chosen by
    its score.
    """
    demo = take_cover_demo()
    return replace(
        demo,
        preset="best",
        rounds=RoundsConfig(
            count=2,
            vision_steps=(3600, 0),
            memory_steps=(2400,),
            generations=(60, 30),
            horizons=(2100,),
        ),
        evolution=replace(demo.evolution, afresh=True),  # 30 generations from zero beat 60 from the first C
        collect=replace(demo.collect, episodes=(400,), ticks=(2100,)),
        # A disturbance that lasts for half a second or so: it walks off, and C has to come back from there.
        noise=ActionNoise(sigma=0.8, correlation=0.95, share=1.0),
    )


def take_cover_gradient() -> Experiment:
    """Three rounds, 100 minutes on two cores: C learns in the dream by policy gradient, and again from zero."""
    best = take_cover_best()
    rounds = replace(best.rounds, count=3, vision_steps=(5000, 0), memory_steps=(2400, 1600))
    return replace(
        best,
        preset="gradient",
        rounds=replace(rounds, generations=(120, 80)),
        controller=replace(best.controller, bias=True),  # it is learnt over features less their means
        evolution=replace(best.evolution, search="gradient", averaged=10),
        # Most deaths come at ticks that M holds for less likely than a cut-off.
        dream=replace(best.dream, ends="drawn"),
        noise=replace(best.noise, share=0.5),  # half of the episodes are C's own, and say how good it is
    )


def take_cover_rounds() -> Experiment:
    """Six rounds on from `pretrained:take-cover`, two hours on two cores: C goes on from round to round.

    V stays as it is, M learns on from games of runners and then of each C. C begins at zero as one layer, and gets a
    hidden one in the fourth round.
    """
    gradient = take_cover_gradient()
    return replace(
        gradient,
        preset="rounds",
        start="pretrained:take-cover",
        rounds=RoundsConfig(
            count=6,
            vision_steps=(0,),
            memory_steps=(2500, 2000, 2000, 2000, 2000, 3000),
            generations=(100, 60, 60, 120, 80, 100),
            horizons=(2100,),
            hidden=(0, 0, 0, 64),
            ensemble=(1, 1, 1, 1, 1, 3),
        ),
        collect=replace(gradient.collect, exploration="strafing", episodes=(250,)),
        memory=replace(gradient.memory, sequence_length=192, batch_size=16, end_weight=10.0, dropout=0.1),
        dream=replace(gradient.dream, openings=0.5, dropout=0.1),
        evolution=replace(gradient.evolution, afresh=False),
        evaluation=replace(gradient.evaluation, episodes=1000),
    )


def take_cover_moments() -> Experiment:
    """Two rounds on from a run of `rounds`, 35 minutes on two cores: dreams of 64 ticks, from moments of all its games.

    Such a dream still knows the fireballs that were seen in the game; what it makes up by itself is vaguer, and a C
    that learns in it is cheated more. The critic says what comes after. `--start` names the run where it is not in
    runs/take-cover-rounds.
    """
    before = take_cover_rounds()
    return replace(
        before,
        preset="moments",
        start="runs/take-cover-rounds",
        rounds=replace(
            before.rounds,
            count=2,
            memory_steps=(0, 2000),
            generations=(200, 150),
            horizons=(64,),
            ensemble=(1,),
            hidden=(192,),  # those of the C at which it begins, the mean of three with 64 each
        ),
        collect=replace(before.collect, exploration="start", batch=64),
        dream=replace(before.dream, openings=0.1, starts=8192),
        evaluation=replace(before.evaluation, batch=64),
    )


def take_cover_foresight() -> Experiment:
    """Three rounds with a new M, 100 minutes on two cores: M is asked for z some ticks ahead, and C begins at zero.

    On V and all games of a run of `moments`; `--start` names it where it is not in runs/take-cover-moments. Half of the
    dreams begin shortly before the end of a game: there is most to be learnt.
    """
    before = take_cover_moments()
    return replace(
        before,
        preset="foresight",
        start="runs/take-cover-moments",
        start_with="vision",
        rounds=replace(
            before.rounds,
            count=3,
            memory_steps=(7000, 1500),
            memory_rates=(2e-3, 2e-4),  # trained on at 2e-3 an M with layers before its LSTM comes apart
            generations=(240, 120, 250),
            hidden=(64,),
        ),
        mdn_rnn=replace(
            before.mdn_rnn, embedding=(512, 256), ends_ahead=(8, 16, 32), latents_ahead=(4, 8, 16)
        ),
        memory=replace(before.memory, ahead_weight=0.5),
        dream=replace(before.dream, brink=0.5),
        evolution=replace(before.evolution, averaged=20),
    )
