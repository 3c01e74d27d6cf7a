"""An agent of the paper's size that has learnt nothing, for the actual games: in batches, and frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from worldmodels import presets
from worldmodels.bench.plain import PlainMemory, PlainVision, stored_to_pixels
from worldmodels.controller.linear import act
from worldmodels.envs.game import GameSpec
from worldmodels.envs.pool import GamePool
from worldmodels.experiments import Experiment
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.vision.vae import VAE
from worldmodels.worlds.actual import GAMES_AT_ONCE, ActualWorld, Senses
from worldmodels.worlds.state import Step, feature_size


@dataclass(frozen=True)
class Player:
    """V, M and C with random weights, and the settings they would be trained with."""

    spec: GameSpec
    settings: Experiment
    vision: VAE
    memory: MDNRNN
    parameters: Tensor  # (n,) of C
    device: torch.device

    @classmethod
    def untrained(cls, spec: GameSpec, device: torch.device) -> Player:
        """The same at each call, whatever random numbers were drawn before. The toy has its demo's size."""
        named = presets.PRESETS[spec.name]
        settings = named.get("paper", named["demo"])()
        latents = settings.vae.latent_size
        memory = replace(settings.mdn_rnn, latent_size=latents, action_size=spec.action_size)
        size = feature_size(settings.controller.features, latents, memory.hidden_size)
        controller = replace(settings.controller, feature_size=size, action_kinds=spec.action_kinds)
        settings = replace(settings, mdn_rnn=memory, controller=controller)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            parts = VAE(settings.vae), MDNRNN(settings.mdn_rnn)
            parameters = 0.1 * torch.randn(controller.parameter_count)
        for part in parts:
            part.requires_grad_(False).eval().to(device)
        return cls(spec, settings, *parts, parameters.to(device), device)

    @property
    def batch(self) -> int:
        """Games at once: as many as a search in the game plays; of engines of their own as many as an evaluation."""
        return self.settings.evaluation.batch if self.spec.name == "take-cover" else GAMES_AT_ONCE

    def world(self, pool: GamePool) -> ActualWorld:
        """These games as C meets them."""
        senses = Senses(self.vision, self.memory, self.settings.controller.features, self.device)
        return ActualWorld(senses, pool, self.spec.max_steps)

    @torch.no_grad()
    def play_on(self, world: ActualWorld, seen: Tensor) -> tuple[Tensor, Step]:
        """One tick in every game: features (B, F) -> actions (B, A), and what they led to."""
        actions = act(self.settings.controller, self.parameters[None], seen[None])[0]
        return actions, world.step(actions)


class PlainPlayer:
    """The same agent in a single game, of plain modules, as one would write it down first."""

    def __init__(self, player: Player) -> None:
        config = player.settings.controller
        if config.hidden:
            raise ValueError(f"the plain C has no hidden layer, and this one has {config.hidden} units in it")
        self.config, self.device = config, player.device
        self.vision = PlainVision.like(player.vision)
        self.memory = PlainMemory.like(player.memory)
        self.layer = torch.nn.Linear(config.feature_size, config.action_size, bias=config.bias)
        weights = config.action_size * config.feature_size
        with torch.no_grad():
            self.layer.weight.copy_(player.parameters[:weights].view_as(self.layer.weight))
            if config.bias:
                self.layer.bias.copy_(player.parameters[weights:])
        self.layer.to(self.device)
        self._forget()

    def _forget(self) -> None:
        self.h = self.c = torch.zeros(1, self.memory.config.hidden_size, device=self.device)

    def begin(self, frames: np.ndarray) -> np.ndarray:
        """The first frame of an episode (1, 64, 64, 3) uint8 -> the first action (1, A) float32."""
        self._forget()
        return self._look(frames)

    @torch.no_grad()
    def act(self, frames: np.ndarray) -> np.ndarray:
        """What is seen after the last action (1, 64, 64, 3) uint8 -> the next action (1, A) float32."""
        self.h, self.c = self.memory.remember(self.z, self.action, self.h, self.c)
        return self._look(frames)

    @torch.no_grad()
    def _look(self, frames: np.ndarray) -> np.ndarray:
        self.z, _ = self.vision.encode(stored_to_pixels(torch.from_numpy(frames).to(self.device)))
        seen = {"z": [self.z], "zh": [self.z, self.h], "zch": [self.z, self.c, self.h]}
        outputs = torch.tanh(self.layer(torch.cat(seen[self.config.features], dim=1)))
        squashed = {"symmetric": outputs, "unit": (outputs + 1) / 2, "positive": torch.relu(outputs)}
        columns = [squashed[kind][:, place] for place, kind in enumerate(self.config.action_kinds)]
        self.action = torch.stack(columns, dim=1)
        return self.action.cpu().numpy()
