"""The dream screen: M's world, painted by V, played by a person or by C."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from worldmodels.play.actions import units
from worldmodels.play.dream import Dream, State
from worldmodels.play.frame import Event, Frame, Recording, rounded
from worldmodels.play.model import PlayModel
from worldmodels.play.moment import moment_code, read_moment
from worldmodels.play.painter import Painter
from worldmodels.play.screen import any_seed
from worldmodels.play.wheel import Wheel

RECORDED = 60  # seconds that can be looked back on


class DreamScreen:
    """One dream after another.

    Args:
        stopping: asked while a long dream is dreamt again; a yes ends that.
    """

    name = "dream"

    def __init__(
        self, model: PlayModel, painter: Painter, wheel: Wheel, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._model, self._painter, self.wheel, self._stopping = model, painter, wheel, stopping
        self._film: deque[np.ndarray] = deque(maxlen=round(RECORDED * model.spec.steps_per_second))
        self.paused = False
        self.watched: int | None = None  # the latent dimension whose mixture goes with each frame
        self.restart(None)

    @property
    def running(self) -> bool:
        return not (self.paused or self.dream.state.ended)

    def restart(self, seed: int | None) -> None:
        """Another dream; None draws a seed."""
        self._dream_on(Dream(self._model, any_seed() if seed is None else seed))

    def advance(self) -> None:
        """One step of the game."""
        state = self.dream.state
        self._asked = self.wheel.ask(state.z, state.memory)
        shown = self.dream.advance(self._asked.action, self.wheel.temperature)
        self._film.append(shown[0].cpu().numpy())

    def step(self) -> None:
        """The tick under way to its end, or one more tick; then stand still."""
        self.paused = True
        if not self.dream.state.ended:
            began = self.dream.state.tick
            while self.dream.state.tick == began:
                self.advance()

    def rewind(self, ticks: int) -> None:
        """Back by so many finished ticks; then stand still."""
        self.paused = True
        before = self.dream.step
        self.dream.rewind(ticks)
        for _ in range(min(before - self.dream.step, len(self._film))):
            self._film.pop()

    def moment(self) -> str:
        """The code of where the dream stands."""
        return moment_code(self.dream)

    def restore(self, code: str) -> None:
        """Stand where a code leads. UserError for a code that leads nowhere; then nothing has changed."""
        moment = read_moment(code, self._model)
        dream = Dream(self._model, moment.seed)
        dream.replay(moment.actions, moment.temperatures, self._stopping)
        self._dream_on(dream)
        if len(moment.temperatures):
            self.wheel.temperature = int(moment.temperatures[-1])
        self.paused = True

    def recording(self, format: str, seconds: float) -> Recording:
        """The last seconds of this dream; its present picture where it has only begun."""
        count = max(1, round(seconds * self._model.spec.steps_per_second))
        latents = list(self._film)[-count:] or [self.dream.shown[0].cpu().numpy()]
        return Recording(format, np.stack(latents))

    def mixture(self, dimension: int) -> Event:
        """What M predicts for a latent after the present action, and what this tick's random number draws."""
        state = self.dream.state
        action = self.wheel.ask(state.z, state.memory).action
        expected = state if state.ended else self.dream.expect(action, self.wheel.temperature)
        return {"type": "mixture", **self._mixture(expected, dimension)}

    def picture(self) -> Frame:
        """The present picture."""
        dream, state = self.dream, self.dream.state
        header: dict[str, Any] = {
            "screen": self.name,
            "panes": ["dream"],
            "input": self._asked.input,
            "tick": state.tick,
            "step": dream.step,
            "reward": round(state.reward, 4),
            "score": round(state.score, 3),
            "end": round(state.end, 4),
            "ended": state.ended,
            "paused": self.paused,
            **self.wheel.header,
            "action": rounded(units(self._asked.action), 2),
            "seed": dream.seed,
        }
        if self.watched is not None:
            header["mixture"] = self._mixture(dream.towards, self.watched)
        return Frame(header, self._painter.paint(dream.shown))

    def close(self) -> None:
        """Nothing to give back."""

    def _dream_on(self, dream: Dream) -> None:
        self.dream = dream
        self._film.clear()
        self._asked = self.wheel.nothing

    @torch.inference_mode()
    def _mixture(self, state: State, dimension: int) -> dict[str, Any]:
        mixture = self.dream.mixture(state)
        return {
            "dimension": dimension,
            "pi": rounded(torch.softmax(mixture.log_pi[dimension], dim=-1)),
            "mu": rounded(mixture.mu[dimension]),
            "sigma": rounded(torch.exp(mixture.log_sigma[dimension])),
            "z": round(float(state.z[0, dimension]), 5),
        }
