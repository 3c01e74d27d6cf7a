"""PPO of Stable-Baselines3 for `benchmarks/ppo.py`: its settings, one update, and its state on disk without pickle."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ppo_car import HeldCar, Played, hired_car

from worldmodels.errors import UserError
from worldmodels.runs.checkpoint import save_checkpoint
from worldmodels.runs.interrupt import Interrupt
from worldmodels.runs.seeds import stream

# Settings that PPO itself is not given: they are of what is around it.
AROUND = ("n_envs", "log_std_init", "ortho_init", "net_arch", "frame_stack", "hold")


@dataclass(frozen=True)
class PPOSettings:
    """By the names of Stable-Baselines3. The defaults are the Zoo's for CarRacing, but for `hold`."""

    n_envs: int = 8
    n_steps: int = 512  # decisions of each car between two updates
    batch_size: int = 128
    n_epochs: int = 10
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    learning_rate: float = 1e-4  # falls linearly to zero
    use_sde: bool = True
    sde_sample_freq: int = 4
    log_std_init: float = -2.0
    ortho_init: bool = False
    net_arch: int = (
        256  # units of the one hidden layer (GELU) after NatureCNN, of the policy and of the value each
    )
    frame_stack: int = 2
    hold: int = 4  # steps of the game for each decision; the Zoo: 2


@dataclass(frozen=True)
class Plan:
    """What is asked for. A run goes on with the plan that it was begun with."""

    seed: int
    frames: tuple[int, ...]  # the milestones, the smallest first
    episodes: int
    settings: PPOSettings

    def __post_init__(self) -> None:
        if not self.frames or min(self.frames) < 1 or list(self.frames) != sorted(set(self.frames)):
            raise UserError(f"--frames must be rising numbers above 0, got {' '.join(map(str, self.frames))}")
        if self.episodes < 1 or self.seed < 0:
            raise UserError(
                f"--episodes must be at least 1 and --seed at least 0, got {self.episodes} and {self.seed}"
            )


@dataclass
class Spent:
    """What the weights have cost so far, over all sittings."""

    frames: int = 0
    updates: int = 0
    playing: float = 0.0  # seconds
    learning: float = 0.0
    scoring: float = 0.0


def library(module: str) -> Any:
    """A module of Stable-Baselines3. UserError where it is not installed."""
    try:
        return importlib.import_module(f"stable_baselines3{module}")
    except ImportError as error:
        raise UserError(
            "this benchmark needs Stable-Baselines3; type pip install -c constraints.txt -e '.[ppo]'"
        ) from error


class Learner:
    """PPO with its cars, and what it has spent."""

    def __init__(self, plan: Plan, spent: Spent, device: torch.device, processes: bool) -> None:
        self.plan, self.spent = plan, spent
        settings = plan.settings
        vec_env = library(".common.vec_env")
        make = hired_car if processes else HeldCar
        cars = [partial(make, plan.seed, car, spent.updates, settings.hold) for car in range(settings.n_envs)]
        games = (vec_env.SubprocVecEnv if processes else vec_env.DummyVecEnv)(cars)
        self.rewards = vec_env.VecNormalize(games, norm_obs=False, gamma=settings.gamma)
        same_names = {name: value for name, value in asdict(settings).items() if name not in AROUND}
        self.model: Any = library("").PPO(
            "CnnPolicy",
            vec_env.VecFrameStack(self.rewards, settings.frame_stack, channels_order="first"),
            **same_names | {"learning_rate": self.rate},
            policy_kwargs={
                "log_std_init": settings.log_std_init,
                "ortho_init": settings.ortho_init,
                "activation_fn": torch.nn.GELU,
                "net_arch": {"pi": [settings.net_arch], "vf": [settings.net_arch]},
            },
            seed=stream(plan.seed, "ppo", "weights") % 2**32,
            device=device,
        )
        logger = library(".common.logger").Logger
        self.model.set_logger(logger(folder=None, output_formats=[]))  # its own makes folders in /tmp

    def rate(self, _: float) -> float:
        """Learning rate of the next update."""
        return self.plan.settings.learning_rate * max(0.0, 1 - self.spent.frames / self.plan.frames[-1])

    def update(self, interrupt: Interrupt) -> Played | None:
        """Play and learn once. None where Ctrl-C came while it played: then nothing is learnt and nothing counted."""
        settings, played, stopped = self.plan.settings, Played(), False
        began = until = time.monotonic()

        def count(found: Mapping[str, Any], _: Mapping[str, Any]) -> bool:
            nonlocal until, stopped
            played.add(found["infos"])
            until, stopped = time.monotonic(), interrupt.requested
            return not stopped

        seed = stream(self.plan.seed, "ppo", "update", self.spent.updates) % 2**32
        library(".common.utils").set_random_seed(seed)
        decisions = settings.n_steps * settings.n_envs
        self.model.learn(decisions, count, log_interval=None, reset_num_timesteps=False)
        if stopped:
            return None
        self.spent.frames += played.frames
        self.spent.updates += 1
        self.spent.playing += until - began
        self.spent.learning += time.monotonic() - until
        return played

    def choose(self, frames: np.ndarray) -> np.ndarray:
        """Actions (B, 3) without noise for frames (B, stack, 64, 64) uint8."""
        return self.model.predict(frames, deterministic=True)[0]

    def save(self, path: Path) -> None:
        """Write all that the next update depends on, but for the episodes under way."""
        returns, adam = self.rewards.ret_rms, self.model.policy.optimizer
        weights = {
            f"returns.{name}": torch.tensor(float(getattr(returns, name)), dtype=torch.float64)
            for name in ("mean", "var", "count")
        }
        for name, parameter in self.model.policy.named_parameters():
            weights[f"policy.{name}"] = parameter
            weights |= {f"adam.{key}.{name}": value for key, value in adam.state[parameter].items()}
        save_checkpoint(
            path, kind="ppo", config=asdict(self.plan), weights=weights, progress=asdict(self.spent)
        )

    def restore(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Put back what `save` wrote."""
        for name in ("mean", "var"):
            setattr(self.rewards.ret_rms, name, weights[f"returns.{name}"].numpy())
        self.rewards.ret_rms.count = float(weights["returns.count"])
        adam = self.model.policy.optimizer
        for name, parameter in self.model.policy.named_parameters():
            parameter.data.copy_(weights[f"policy.{name}"])
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if (value := weights.get(f"adam.{key}.{name}")) is not None:
                    adam.state[parameter][key] = value if key == "step" else value.to(parameter.device)
