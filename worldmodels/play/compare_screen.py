"""Side by side: the actual game, what V makes of it, and the dream from the same moment under the same actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from worldmodels.play.actions import units
from worldmodels.play.actual_game import ActualGame
from worldmodels.play.dream import Dream
from worldmodels.play.frame import Frame, rounded
from worldmodels.play.model import PlayModel
from worldmodels.play.painter import Painter
from worldmodels.play.screen import any_seed
from worldmodels.play.wheel import Wheel

WARM_UP = 1.5  # seconds that M watches before it dreams on alone; CarRacing zooms in during the first


class CompareScreen:
    """One episode of the actual game after another. Its process comes with the first step and goes with `close`."""

    name = "compare"

    def __init__(self, model: PlayModel, painter: Painter, wheel: Wheel) -> None:
        self._model, self._painter, self.wheel = model, painter, wheel
        self._game = ActualGame(model, painter)
        warm_up = min(WARM_UP * model.spec.steps_per_second, model.spec.max_steps / 4)
        self._branch_at = max(1, round(warm_up / model.action_repeat))  # tick
        self.paused = False
        self.restart(None)

    @property
    def running(self) -> bool:
        return self._wanted is not None or (self._begun and not self.paused and not self._game.ended)

    def restart(self, seed: int | None) -> None:
        """Have another episode; the next `advance` begins it."""
        self._wanted: int | None = any_seed() if seed is None else seed
        self._begun = False
        self._dream: Dream | None = None
        self._branched: int | None = None  # tick of the actual game
        self._branching = False
        self._asked = self.wheel.nothing

    def branch(self) -> None:
        """Let the dream leave the actual game, at the beginning of the next tick."""
        self._branching = True

    def advance(self) -> None:
        """Begin the episode, or play one step of it. UserError when the game cannot be played."""
        if self._wanted is not None:
            self._seed, self._wanted = self._wanted, None
            self._game.start(self._seed)
            self._begun = True
            return
        game = self._game
        if game.steps == 0:  # an action is held for a tick, as C holds it
            self._asked = self.wheel.ask(game.z, game.memory)
            if self._branching or (self._dream is None and game.tick >= self._branch_at):
                self._dream = Dream(self._model, self._seed, (game.z, game.memory))
                self._branched, self._branching = game.tick, False
        game.step(self._asked.action)
        if self._dream is not None:
            self._dream.advance(self._asked.action, self.wheel.temperature)

    def picture(self) -> Frame | None:
        """The present pictures: actual, vision and, once it has left, the dream."""
        if not self._begun:
            return None
        game, dream = self._game, self._dream
        latents = [game.mu] if dream is None else [game.mu, dream.shown]
        painted = self._painter.paint(torch.cat(latents))
        panes = np.concatenate([game.frame[None], painted])
        header: dict[str, Any] = {
            "screen": self.name,
            "panes": ["actual", "vision", "dream"][: len(panes)],
            "input": self._asked.input,
            "step": game.played,
            "tick": game.tick,
            "branched": self._branched,
            "actual": {
                "reward": round(game.reward, 4),
                "score": round(game.score, 3),
                "ended": game.ended,
                "died": game.died,
            },
            "dream": None,
            "divergence": None,
            **self.wheel.header,
            "action": rounded(units(self._asked.action), 2),
            "paused": self.paused,
            "seed": self._seed,
        }
        if dream is not None:
            state = dream.state
            header["dream"] = {
                "reward": round(state.reward, 4),
                "score": round(state.score, 3),
                "end": round(state.end, 4),
                "ended": state.ended,
            }
            away = (dream.shown - game.mu)[0].cpu().numpy()  # (Z,)
            apart = np.abs(panes[2].astype(np.int16) - panes[0])
            header["divergence"] = {
                "latent": round(latent_distance(away, self._model.latent_std), 4),
                "pixels": round(float(apart.mean()), 3),
            }
        return Frame(header, panes)

    def close(self) -> None:
        """End the game's process; may be called twice."""
        self._game.close()


def latent_distance(away: np.ndarray, std: np.ndarray) -> float:
    """How far apart two latents are that differ by `away` (Z,), each dimension weighed by its variance over the run.

    Many dimensions say nothing about the frame: V leaves them to chance, and a plain mean would be of their noise.
    Two moments that have nothing to do with each other are about sqrt(2) apart.
    """
    weights = np.maximum(std.astype(np.float64), 1e-6) ** 2
    return float(np.sqrt((weights * away**2).sum() / (weights**2).sum()))
