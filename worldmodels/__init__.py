"""worldmodels: World Models (Ha & Schmidhuber, 2018), fast and faithful.

    agent = worldmodels.load_agent("runs/demo")
    agent.reset(num_envs=1)
    actions = agent.act(frames)          # raw frames (N, H, W, 3) uint8 of the game -> actions its action space takes

    dreams = worldmodels.make_dream("runs/demo", num_envs=64, temperature=1.15)    # a gymnasium.vector.VectorEnv
    dream = gymnasium.make("worldmodels/Dream-v0", run="runs/demo")                # one of them

Importing the package makes the dream known to Gymnasium and does nothing else; PyTorch comes with the first call.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import gymnasium

from worldmodels.errors import UserError

if TYPE_CHECKING:
    from worldmodels.worlds.agent import Agent, Controller
    from worldmodels.worlds.dream_env import DreamVectorEnv

__all__ = ["UserError", "load_agent", "make_dream"]

gymnasium.register(
    id="worldmodels/Dream-v0",
    entry_point="worldmodels.pipeline.dream:make_one_dream",
    vector_entry_point="worldmodels.pipeline.dream:make_dream",
)


def load_agent(run: str | Path, device: str = "auto", *, controller: Controller | None = None) -> Agent:
    """The trained agent of a run, for any loop over the game.

    Args:
        run: a run folder, or "pretrained:NAME".
        device: "auto" (a GPU if there is one), "cpu" or "cuda".
        controller: a C of your own in the place of the run's: what C sees, (N, F) float32 as `make_dream` gives it, to
            actions (N, A) as `make_dream` takes them. They are clipped to the game's range, and held as the run's are.
    Raises:
        UserError: when the folder is no run, or has no controller yet.
    """
    from worldmodels.pipeline.evaluate import load_agent

    return load_agent(run, device, controller)


def make_dream(
    run: str | Path,
    num_envs: int = 64,
    temperature: float | None = None,
    *,
    horizon: int | None = None,
    observation: Literal["features", "frames"] = "features",
    render_mode: str | None = None,
    device: str = "auto",
) -> DreamVectorEnv:
    """M of a run as a world to act in: a `gymnasium.vector.VectorEnv` of `num_envs` dreams, without the game.

    Args:
        run: a run folder, or "pretrained:NAME".
        temperature: how uncertain the dream is; None: as C was evolved in it.
        horizon: ticks after which a dream is truncated; None: as long as an episode of the game.
        observation: "features", what C sees, (N, F) float32; or "frames", as V paints them, (N, 64, 64, 3) uint8.
        render_mode: "rgb_array" lets `render` give the frames.
        device: "auto" (a GPU if there is one), "cpu" or "cuda".
    Raises:
        UserError: when the folder is no run, or an argument makes no sense.
    """
    from worldmodels.pipeline.dream import make_dream

    return make_dream(
        run,
        num_envs,
        temperature,
        horizon=horizon,
        observation=observation,
        render_mode=render_mode,
        device=device,
    )
