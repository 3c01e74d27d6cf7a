"""One dream, step by step: the ticks of M, with pictures in between, and the way back.

The model decides once a tick and the screen shows `action_repeat` steps of it. Within a tick the action is the mean of
what was asked for at its steps so far, the present wish standing for those to come, and the latent that is shown lies
so far on the way from the last one to the one that M predicts for this action. A key shows at once, and the last step
is the tick itself. The random numbers belong to (seed, tick), so that all this is the same however often it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from worldmodels.memory.mdn_rnn import Recurrent, look_ahead, tick
from worldmodels.memory.mixture import Mixture
from worldmodels.play.actions import Action, mean_action, units
from worldmodels.play.model import PlayModel
from worldmodels.worlds import noise
from worldmodels.worlds.dream import TICKS, fall_asleep

LONGEST = 36_000  # ticks: 48 minutes at 12.5 a second; a dream is over then
SNAPSHOT_EVERY = 50  # ticks: the way back costs so many at most


class State(NamedTuple):
    """Where a dream stands between two ticks."""

    tick: int  # finished ticks
    z: Tensor  # (1, Z)
    memory: Recurrent
    reward: float  # of the last tick, in the game's units
    score: float  # sum of rewards
    end: float  # probability with which the last tick was the end
    ended: bool


class Dream:
    """A dream from its seed on. Under the same actions and temperatures it is the same dream again.

    Args:
        begin: z (1, Z) and memory to dream on from; None lets the seed choose among the model's starts.
    """

    def __init__(self, model: PlayModel, seed: int, begin: tuple[Tensor, Recurrent] | None = None) -> None:
        self.model, self.seed = model, seed
        if begin is None:
            z, memory, self._keys = fall_asleep(model.starts, [seed], model.openings)
        else:
            (z, memory), keys = begin, noise.keys([seed], model.device)
            self._keys = noise.fork(keys, TICKS)
        self.state = State(0, z, memory, 0.0, 0.0, 0.0, False)
        self.shown = z  # (1, Z), what the screen shows
        self._asked: list[Action] = []  # at the steps of the tick under way
        self._expected: tuple[Action, int, State] | None = None  # where it leads, for what
        self._uniform: Tensor | None = None  # (1, Z) of the tick under way
        self._snapshots = [self.state]  # of every 50th tick
        # What was done in each tick, both in hundredths.
        self._actions = np.zeros((0, model.spec.action_size), np.int8)
        self._temperatures = np.zeros(0, np.uint16)

    @property
    def step(self) -> int:
        """Steps of the game since the dream began."""
        return self.state.tick * self.model.action_repeat + len(self._asked)

    @property
    def between_ticks(self) -> bool:
        """Whether no tick is under way."""
        return not self._asked

    @property
    def towards(self) -> State:
        """Where the tick under way leads as things stand; between two ticks, where the last one led."""
        return self._expected[2] if self._asked and self._expected else self.state

    @property
    def actions(self) -> np.ndarray:
        """What was done in each finished tick, in hundredths: (T, A) int8."""
        return self._actions[: self.state.tick]

    @property
    def temperatures(self) -> np.ndarray:
        """Of each finished tick, in hundredths: (T,) uint16."""
        return self._temperatures[: self.state.tick]

    def advance(self, asked: Action, temperature: int) -> Tensor:
        """One step of the game; a dream that has ended stands still. Returns the latent to show (1, Z)."""
        if not self.state.ended:
            repeat = self.model.action_repeat
            self._asked.append(asked)
            done = len(self._asked)
            action = mean_action([*self._asked, *[asked] * (repeat - done)])
            expected = self.expect(action, temperature)
            if done < repeat:
                self.shown = torch.lerp(self.state.z, expected.z, done / repeat)
            else:
                self._finish(action, temperature, expected)
        return self.shown

    @torch.inference_mode()
    def expect(self, action: Action, temperature: int) -> State:
        """Where the tick under way leads under an action."""
        if self._expected is not None and self._expected[:2] == (action, temperature):
            return self._expected[2]
        model, now = self.model, self.state
        if self._uniform is None:
            self._uniform = noise.uniform(self._keys, now.tick, model.latent_size)
        done = torch.from_numpy(units(action)).to(model.device)[None]  # (1, A)
        after = tick(
            model.memory.config, model.weights, now.z, done, now.memory, self._uniform, temperature / 100
        )
        assert after.end_logit is not None, "PlayModel has checked"
        reward, end_logit = float(after.reward), float(after.end_logit)
        # The end is a cut-off and not a draw, in every dream here: who plays should not die of a thousandth.
        ended = end_logit > 0 or now.tick + 1 >= LONGEST
        end = float(torch.sigmoid(after.end_logit - math.log(model.end_weight)))
        state = State(now.tick + 1, after.z, after.memory, reward, now.score + reward, end, ended)
        self._expected = (action, temperature, state)
        return state

    @torch.inference_mode()
    def mixture(self, state: State) -> Mixture:
        """What M predicted for the latent of `state`, which a tick led to: fields (Z, K)."""
        model = self.model
        prediction = look_ahead(model.memory.config, model.weights, state.memory)
        return Mixture(*(part[0] for part in prediction.mixture))

    def rewind(self, ticks: int) -> None:
        """Go back that many finished ticks, or to the beginning: as if they had never been."""
        target = max(0, self.state.tick - ticks)
        actions, temperatures = self.actions[:target].copy(), self.temperatures[:target].copy()
        del self._snapshots[target // SNAPSHOT_EVERY + 1 :]
        self._stand_at(self._snapshots[-1])
        self.replay(actions[self.state.tick :], temperatures[self.state.tick :])

    def replay(
        self,
        actions: np.ndarray,
        temperatures: Sequence[int] | np.ndarray,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do ticks as they were done: (T, A) and (T,), in hundredths. Ends early when `stopping` says so."""
        for action, temperature in zip(actions.tolist(), temperatures, strict=True):
            if self.state.ended or stopping():
                return
            done = tuple(action)
            self._finish(done, int(temperature), self.expect(done, int(temperature)))

    def _finish(self, action: Action, temperature: int, after: State) -> None:
        number = self.state.tick
        if number == len(self._actions):  # room for twice as many
            room = max(256, number)
            self._actions = np.concatenate([self._actions, np.zeros((room, len(action)), np.int8)])
            self._temperatures = np.concatenate([self._temperatures, np.zeros(room, np.uint16)])
        self._actions[number], self._temperatures[number] = action, temperature
        self._stand_at(after)
        if after.tick % SNAPSHOT_EVERY == 0:
            self._snapshots.append(after)

    def _stand_at(self, state: State) -> None:
        self.state, self.shown = state, state.z
        self._asked, self._expected, self._uniform = [], None, None
