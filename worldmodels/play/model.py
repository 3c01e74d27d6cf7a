"""What play needs of a trained run: V, M, its Cs, moments to begin at, and the actual game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.envs.game import GameSpec
from worldmodels.envs.pool import EpisodePool
from worldmodels.memory.mdn_rnn import MDNRNN, Recurrent, TickWeights
from worldmodels.vision.vae import VAE
from worldmodels.worlds.starts import Starts
from worldmodels.worlds.state import features


@dataclass(frozen=True, eq=False)
class Driver:
    """A C, and what is known of it."""

    name: str  # "round-01", "temperature-0.10"
    label: str  # for people
    temperature: float  # of the dreams it was evolved in
    config: ControllerConfig
    parameters: Tensor = field(repr=False)  # (n,)
    dream_score: Mapping[str, float] | None  # mean, standard_error, episodes, per_1000_steps
    actual_score: Mapping[str, float] | None  # mean, standard_error, episodes

    @torch.inference_mode()
    def act(self, z: Tensor, memory: Recurrent) -> list[float]:
        """What this C does, in the game's units: z (1, Z) -> A numbers."""
        seen = features(self.config.features, z, memory)  # (1, F)
        return act(self.config, self.parameters[None], seen[None])[0, 0].tolist()


@dataclass(frozen=True, eq=False)
class PlayModel:
    """A trained run, ready to be played. Shared by all sessions, and never changed."""

    name: str
    spec: GameSpec
    action_repeat: int  # steps of the game in a tick, for which an action is held
    vision: VAE
    memory: MDNRNN  # with a head for the end
    memory_hash: str  # sha256 of M's checkpoint
    starts: Starts
    controllers: tuple[Driver, ...]  # at least one; the run's chosen one first
    temperature: float  # of the run's own dreams
    examples: np.ndarray  # (E, 64, 64, 3) uint8, frames of the actual game
    latent_mean: np.ndarray  # (Z,) over the run's latents
    latent_std: np.ndarray  # (Z,)
    open_game: (
        Callable[[], EpisodePool] | None
    )  # one actual game, an action a step; None: it cannot be played
    end_weight: float = 1.0  # of ends in M's training, by which they look likelier to it than they are
    openings: float = 0.0  # share of the dreams that begin where episodes do, the others at later moments

    def __post_init__(self) -> None:
        config = self.memory.config
        if not self.controllers:
            raise ValueError("a model to play needs at least one controller")
        if not config.predicts_end:
            raise ValueError("a dream needs an M that predicts the end")
        if config.action_size != self.spec.action_size:
            raise ValueError(
                f"M takes {config.action_size} actions, {self.spec.name} {self.spec.action_size}"
            )

    @property
    def device(self) -> torch.device:
        return self.starts.mu.device

    @property
    def latent_size(self) -> int:
        """Z."""
        return self.memory.config.latent_size

    @property
    def latent_order(self) -> list[int]:
        """Latent dimensions, the one that varies most first."""
        return np.argsort(-self.latent_std, kind="stable").tolist()

    @cached_property
    def weights(self) -> TickWeights:
        """M laid out for its tick, once for all sessions."""
        return self.memory.tick_weights()

    def driver(self, name: str) -> Driver | None:
        """The C of that name."""
        return next((driver for driver in self.controllers if driver.name == name), None)
