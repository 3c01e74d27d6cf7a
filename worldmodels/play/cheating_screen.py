"""Cheating: one C in its own dream and in the actual game, side by side ("Cheating the World Model")."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldmodels.play.actions import ActionRange, hundredths
from worldmodels.play.actual_game import ActualGame
from worldmodels.play.dream import Dream
from worldmodels.play.frame import Frame
from worldmodels.play.model import Driver, PlayModel
from worldmodels.play.painter import Painter
from worldmodels.play.screen import any_seed


class CheatingScreen:
    """A dream and an episode of the actual game, equally long, driven by the same C, each by what it sees there."""

    name = "cheating"

    def __init__(self, model: PlayModel, painter: Painter) -> None:
        self._model, self._painter = model, painter
        self._game = ActualGame(model, painter)
        self._range = ActionRange(model.spec)
        self._longest = -(-model.spec.max_steps // model.action_repeat)  # ticks of an episode
        self.paused = False
        self._driver = min(model.controllers, key=lambda driver: driver.temperature)
        self.restart(self._driver, None)

    @property
    def running(self) -> bool:
        over = self._begun and self._game.ended and self._dream_ended
        return self._wanted is not None or (self._begun and not self.paused and not over)

    @property
    def _dream_ended(self) -> bool:
        return self._dream.state.ended or self._dream.state.tick >= self._longest

    def restart(self, driver: Driver | None, seed: int | None) -> None:
        """Have another pair of episodes, which the next `advance` begins; None keeps the C, and draws a seed."""
        self._driver = driver or self._driver
        self._wanted: int | None = any_seed() if seed is None else seed
        self._begun = False

    def advance(self) -> None:
        """Begin both, or go one step on in both. UserError when the game cannot be played."""
        if self._wanted is not None:
            self._seed, self._wanted = self._wanted, None
            self._dream = Dream(self._model, self._seed)
            self._game.start(self._seed)
            self._begun = True
            return
        game, dream, driver = self._game, self._dream, self._driver
        if game.steps == 0 and not game.ended:
            self._actual_action = self._range.nearest(driver.act(game.z, game.memory))
        if not self._dream_ended:
            if dream.between_ticks:
                self._dream_action = self._range.nearest(driver.act(dream.state.z, dream.state.memory))
            dream.advance(self._dream_action, hundredths(driver.temperature))
        if not game.ended:
            game.step(self._actual_action)

    def picture(self) -> Frame | None:
        """The present pictures."""
        if not self._begun:
            return None
        game, dream = self._game, self._dream
        header: dict[str, Any] = {
            "screen": self.name,
            "panes": ["dream", "actual"],
            "step": max(dream.step, game.played),
            "tick": max(dream.state.tick, game.tick),
            "controller": self._driver.name,
            "temperature": self._driver.temperature,
            "dream": {
                "reward": round(dream.state.reward, 4),
                "score": round(dream.state.score, 3),
                "ended": self._dream_ended,
            },
            "actual": {
                "reward": round(game.reward, 4),
                "score": round(game.score, 3),
                "ended": game.ended,
                "died": game.died,
            },
            "paused": self.paused,
            "seed": self._seed,
        }
        return Frame(header, np.concatenate([self._painter.paint(dream.shown), game.frame[None]]))

    def close(self) -> None:
        """End the game's process; may be called twice."""
        self._game.close()
