"""The actual game of one session, as V sees it and M follows it."""

from __future__ import annotations

import threading

import numpy as np
import torch
from torch import Tensor

from worldmodels.envs.pool import EpisodePool
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import Recurrent, advance
from worldmodels.play.actions import Action, units
from worldmodels.play.model import PlayModel
from worldmodels.play.painter import Painter


class ActualGame:
    """One game, opened at its first episode and there until `close`, which may come from another thread."""

    def __init__(self, model: PlayModel, painter: Painter) -> None:
        self._model, self._painter = model, painter
        self._pool: EpisodePool | None = None
        self._closed = False
        self._closing = threading.Lock()

    def start(self, seed: int) -> None:
        """Begin an episode with an empty memory. UserError when the game cannot be played here."""
        pool = self._open()
        try:
            frames = pool.reset([seed])
        finally:
            if self._closed:
                pool.close()  # a process that came up meanwhile
        self._begin(frames[0])

    def _begin(self, frame: np.ndarray) -> None:
        self.frame = frame  # (64, 64, 3) uint8, the present one
        self._mu: Tensor | None = None
        self.played, self.tick, self.steps = 0, 0, 0  # steps; finished ticks; steps of the tick under way
        self.reward, self.score, self.ended = (
            0.0,
            0.0,
            False,
        )  # reward: of the tick under way or just finished
        self.died = False  # ended by the game itself, and not because the episode is as long as it may be
        self.memory = self._model.memory.initial(1)
        self.z = self.mu  # (1, Z), what was seen when the tick began

    @property
    def mu(self) -> Tensor:
        """What V makes of the present frame (1, Z)."""
        if self._mu is None:
            self._mu = self._painter.look(self.frame)[0]
        return self._mu

    def step(self, action: Action) -> None:
        """One step of the game. At a tick's last step M follows, and z is what is seen then.

        Raises UserError when the game has died, and takes the episode for ended.
        """
        if self.ended:
            return
        assert self._pool is not None, "started"
        try:
            turn = self._pool.step(units(action)[None])
        except UserError:
            self.ended = True
            raise
        self.frame, self._mu = turn.frames[0], None
        self.reward = float(turn.rewards[0]) + (self.reward if self.steps else 0.0)
        self.score += float(turn.rewards[0])
        self.died = bool(turn.terminated[0])
        self.ended = self.died or bool(turn.truncated[0])
        self.played, self.steps = self.played + 1, self.steps + 1
        if self.steps == self._model.action_repeat or self.ended:
            self._follow(action)

    @torch.inference_mode()
    def _follow(self, action: Action) -> None:
        done = torch.from_numpy(units(action)).to(self._model.device)[None]  # (1, A)
        self.memory: Recurrent = advance(self._model.weights, self.z, done, self.memory)
        self.z, self.tick, self.steps = self.mu, self.tick + 1, 0

    def _open(self) -> EpisodePool:
        if self._pool is None:
            if self._model.open_game is None:
                raise UserError(f"{self._model.spec.name} cannot be played on this machine, only dreamt")
            pool = self._model.open_game()
            with self._closing:
                self._pool = pool
                if self._closed:
                    pool.close()
        return self._pool

    def close(self) -> None:
        """End the game's process; may be called twice, and while the game is starting."""
        with self._closing:
            self._closed = True
            if self._pool is not None:
                self._pool.close()
