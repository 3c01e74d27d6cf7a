"""worldmodels: World Models (Ha & Schmidhuber, 2018), fast and faithful.

    agent = worldmodels.load_agent("runs/demo")
    agent.reset(num_envs=1)
    actions = agent.act(frames)          # raw frames (N, H, W, 3) uint8 of the game -> actions its action space takes

Importing the package loads nothing else; PyTorch comes with the first call.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from worldmodels.errors import UserError

if TYPE_CHECKING:
    from worldmodels.worlds.agent import Agent

__all__ = ["UserError", "load_agent"]


def load_agent(run: str | Path, device: str = "auto") -> Agent:
    """The trained agent of a run, for any loop over the game.

    Args:
        run: a run folder.
        device: "auto" (a GPU if there is one), "cpu" or "cuda".
    Raises:
        UserError: when the folder is no run, or has no controller yet.
    """
    from worldmodels.pipeline.evaluate import load_agent

    return load_agent(run, device)
