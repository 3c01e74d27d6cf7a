"""The dream as Gymnasium knows environments: a vector of dreams, and a single one.

Action space: what C gives and M is told, in the game's units; for CarRacing 3 numbers: steering, gas, brake. For Take
    Cover 1 number in [-1, 1], where the game itself takes one of three actions (`GameSpec.thirds`): M knows the number.
Observation space: "features", what C sees, z and M's memory (F,) float32; or "frames", the same moment painted by V
    (64, 64, 3) uint8.
Rewards: what M predicts the action to earn, in the game's units; 1 a tick where M predicts none, as in Take Cover.
Starting state: a real moment that V and M have seen, drawn by the seed.
Episode end: terminated when M's logit of the end is above 0, or as often as M holds it likely (`DreamConfig.ends`), and
    with the lap where the run's dreams end with it (`DreamConfig.lap`); truncated after `horizon` ticks.

One step of these environments is a tick: an agent trained with actions held for k steps of the game acts once for k.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from worldmodels.envs.game import FRAME_SIZE, GameSpec
from worldmodels.vision.vae import VAE, frames
from worldmodels.worlds.dream import DreamWorld

Observation = Literal["features", "frames"]
OBSERVATIONS: tuple[Observation, ...] = ("features", "frames")


class DreamVectorEnv(gymnasium.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """`num_envs` dreams at once. A dream that has ended begins anew with the next step, whose action it ignores.

    The dreams differ in their seeds only: dream i of `reset(seed=s)` is the dream of `DreamEnv.reset(seed=s + i)`.

    Args:
        world: the dreams; its horizon and temperature hold.
        vision: V, which paints.
        fps: pictures a second at which a person would watch.
    """

    def __init__(
        self,
        world: DreamWorld,
        vision: VAE,
        spec: GameSpec,
        num_envs: int = 1,
        observation: Observation = "features",
        render_mode: str | None = None,
        fps: float = 50.0,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        if observation not in OBSERVATIONS:
            raise ValueError(f"observation must be one of {', '.join(OBSERVATIONS)}, got {observation!r}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": fps,
            "autoreset_mode": AutoresetMode.NEXT_STEP,
        }
        self.num_envs, self.render_mode, self._observation = num_envs, render_mode, observation
        self._world, self._vision = world, vision
        self.single_action_space = spaces.Box(spec.action_low, spec.action_high, dtype=np.float32)
        self.single_observation_space = (
            spaces.Box(0, 255, (FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
            if observation == "frames"
            else spaces.Box(-np.inf, np.inf, (world.feature_size,), np.float32)
        )
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._ended = np.zeros(num_envs, bool)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin every dream: dream i from seed + i, or from its own of a list of seeds; None draws one."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        given = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        given = [None] * self.num_envs if given is None else given
        if len(given) != self.num_envs:
            raise ValueError(f"{self.num_envs} dreams need as many seeds, got {len(given)}")
        # Each dream has its own stream of later seeds, so that it does not depend on who ends beside it.
        self._streams = [
            np.random.default_rng(int(self.np_random.integers(2**63)) if one is None else one)
            for one in given
        ]
        features = self._world.reset(self._draw_seeds(range(self.num_envs)))
        self._ended[:] = False
        return self._observe(features), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One tick in every dream: actions (N, A) float32 within the action space."""
        actions = np.asarray(actions, np.float32)
        if actions.shape != self.action_space.shape or not np.isfinite(actions).all():
            raise ValueError(f"actions must be finite and of shape {self.action_space.shape}, got {actions}")
        begins = np.flatnonzero(self._ended)
        device = self._world.device
        after = self._world.step(torch.from_numpy(actions).to(device))
        features = after.features
        if len(begins):
            features = self._world.restart(begins.tolist(), self._draw_seeds(begins.tolist()))
        begun = self._ended
        rewards, terminated, truncated = (
            part.cpu().numpy() for part in (after.reward, after.terminated, after.truncated)
        )
        rewards = np.where(begun, 0.0, rewards).astype(np.float64)
        terminated, truncated = terminated & ~begun, truncated & ~begun
        self._ended = terminated | truncated
        return self._observe(features), rewards, terminated, truncated, {}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Every dream as V paints it: N frames (64, 64, 3) uint8; None without a render mode."""
        return tuple(self._paint()) if self.render_mode == "rgb_array" else None

    def _draw_seeds(self, rows: Sequence[int]) -> list[int]:
        return [int(self._streams[row].integers(2**63)) for row in rows]

    def _observe(self, features: torch.Tensor) -> np.ndarray:
        return self._paint() if self._observation == "frames" else features.cpu().numpy().copy()

    @torch.no_grad()
    def _paint(self) -> np.ndarray:
        return frames(self._vision.decode(self._world.z)).cpu().numpy()


class DreamEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One dream."""

    def __init__(self, dreams: DreamVectorEnv) -> None:
        self._dreams = dreams
        self.metadata = {name: dreams.metadata[name] for name in ("render_modes", "render_fps")}
        self.render_mode = dreams.render_mode
        self.action_space, self.observation_space = (
            dreams.single_action_space,
            dreams.single_observation_space,
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a dream. The same seed, the same dream under the same actions."""
        super().reset(seed=seed)
        chosen = int(self.np_random.integers(2**31)) if seed is None else seed
        observation, info = self._dreams.reset(seed=chosen)
        return observation[0], info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One tick: action (A,) float32."""
        observation, reward, terminated, truncated, info = self._dreams.step(np.asarray(action)[None])
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> np.ndarray | None:
        """The dream as V paints it, (64, 64, 3) uint8; None without a render mode."""
        painted = self._dreams.render()
        return None if painted is None else painted[0]
