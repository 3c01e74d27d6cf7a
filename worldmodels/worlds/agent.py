"""The trained agent for anybody's loop: raw frames in, actions out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.envs.game import GameSpec
from worldmodels.memory.mdn_rnn import MDNRNN, Recurrent, advance
from worldmodels.vision.vae import VAE, pixels
from worldmodels.worlds.state import features

Controller = Callable[[np.ndarray], np.ndarray]
"""A C of anybody's making: what C sees (N, F) float32 to actions (N, A), in the units of the dream's action space."""


class Agent:
    """V, M and C at the wheel of `num_envs` games.

        agent.reset(num_envs=1)
        action = agent.act(frame[None])[0]     # at every step of the game

    An agent trained with actions held for k steps holds them here too: it looks at every k-th frame.

    Args:
        controller: acts in the place of a C with `parameters`; its actions are clipped to the game's range.
    """

    def __init__(
        self,
        spec: GameSpec,
        vision: VAE,
        memory: MDNRNN,
        config: ControllerConfig,
        parameters: Tensor,
        action_repeat: int,
        controller: Controller | None = None,
    ) -> None:
        self.spec, self.vision, self.model, self.config = spec, vision, memory, config
        self.weights, self.parameters, self.action_repeat = memory.tick_weights(), parameters, action_repeat
        self.controller, self.device = controller, self.weights.head.device
        self.reset()

    def reset(self, num_envs: int = 1) -> None:
        """Begin an episode in each of `num_envs` games, with an empty memory."""
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self._steps = np.zeros(num_envs, np.int64)  # of the game, since each episode began
        self._memory = self.model.initial(num_envs)
        self._z = torch.zeros(num_envs, self.model.config.latent_size, device=self.device)
        self._actions = torch.zeros(num_envs, self.config.action_size, device=self.device)

    @torch.no_grad()
    def act(
        self, frames: np.ndarray | Mapping[str, np.ndarray], begun: np.ndarray | None = None
    ) -> np.ndarray:
        """Actions for the game's own frames.

        Args:
            frames: (N, H, W, 3) uint8, as the environment gives them; or its whole observation, where that is a
                dictionary with the frames in it.
            begun: (N,) bool, games whose frame is the first of a new episode (a vector environment that starts anew by
                itself); their memory is emptied. After `reset` all games are taken to begin.
        Returns:
            What the environment's action space takes: (N, A) float32, or (N,) int64 where its actions are numbered.
        Raises:
            ValueError: for frames of another shape, number or dtype, and for a controller that gives other than (N, A)
                finite numbers.
        """
        frames = self._frames(frames)
        if len(frames) != len(self._steps):
            raise ValueError(
                f"{len(frames)} frames for {len(self._steps)} games: call reset(num_envs={len(frames)})"
            )
        if begun is not None:
            begun = np.asarray(begun, bool)
            if begun.shape != self._steps.shape:
                raise ValueError(f"begun must be ({len(self._steps)},) bool, got shape {begun.shape}")
            self._steps[begun] = 0
        looking = np.flatnonzero(self._steps % self.action_repeat == 0)
        if len(looking):
            rows = torch.from_numpy(looking).to(self.device)
            first = torch.from_numpy(self._steps[looking] == 0).to(self.device).unsqueeze(1)
            memory = Recurrent(self._memory.h[rows], self._memory.c[rows])
            memory = advance(self.weights, self._z[rows], self._actions[rows], memory)
            memory = Recurrent(*(torch.where(first, 0.0, part) for part in memory))
            seen = torch.from_numpy(self.spec.observe(frames[looking])).to(self.device)
            z, _ = self.vision.encode(pixels(seen))
            self._z[rows], self._actions[rows] = z, self._chosen(features(self.config.features, z, memory))
            self._memory.h[rows], self._memory.c[rows] = memory
        self._steps += 1
        return self.spec.game_actions(self._actions.cpu().numpy().copy())

    def _chosen(self, seen: Tensor) -> Tensor:
        """Actions (N, A) of C, or of the controller in its place, for what it sees (N, F)."""
        if self.controller is None:
            return act(self.config, self.parameters[None], seen[None])[0]
        given = np.asarray(self.controller(seen.cpu().numpy()), np.float32)
        shape = (len(seen), self.config.action_size)
        if given.shape != shape or not np.isfinite(given).all():
            raise ValueError(f"the controller must give {shape} finite numbers, gave {given.shape}: {given}")
        actions = np.clip(given, self.spec.action_low, self.spec.action_high)
        return torch.from_numpy(actions).to(self.device)

    def _frames(self, given: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
        """The frames (N, H, W, 3) uint8 of what `act` was given."""
        key, shape, one = self.spec.frame_key, self.spec.frame_shape, "frame[None]"
        if isinstance(given, Mapping):
            if key is None or key not in given:
                raise ValueError(
                    f"observations of {self.spec.name} must have "
                    + (f"{key!r} in them" if key else "no keys: they are the frames")
                    + f", got {sorted(given)}"
                )
            given, one = given[key], f'observation["{key}"][None]'
        frames = np.asarray(given)
        if frames.shape[1:] != shape or frames.dtype != np.uint8:
            raise ValueError(
                f"frames must be (N, {', '.join(map(str, shape))}) uint8, got {frames.shape} {frames.dtype}"
                + (f"; for one game pass {one}" if frames.shape == shape else "")
            )
        return frames
