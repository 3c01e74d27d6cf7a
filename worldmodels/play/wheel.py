"""Who drives: a person or C, and at which temperature the dream goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor

from worldmodels.memory.mdn_rnn import Recurrent
from worldmodels.play.actions import Action, ActionRange, hundredths
from worldmodels.play.model import PlayModel

Who = Literal["you", "controller"]


class Asked(NamedTuple):
    """What is to be done."""

    input: int  # number of the person's last input
    action: Action


class Wheel:
    """What is asked for now. Inputs may come from another thread than the one that drives."""

    def __init__(self, model: PlayModel) -> None:
        self.range = ActionRange(model.spec)
        self.who: Who = "you"
        self.driver = model.controllers[0]
        self.temperature = hundredths(model.temperature)
        self._input = self.nothing  # one assignment: never half of an input
        self._decided: tuple[Tensor, str, Action] | None = None  # what C did with this z

    @property
    def nothing(self) -> Asked:
        """No input, and nothing done."""
        return Asked(0, self.range.rest)

    def steer(self, number: int, values: Sequence[float]) -> None:
        """A person's input, which holds until the next. ValueError for another number of actions."""
        self._input = Asked(number, self.range.nearest(values))

    def let_go(self) -> None:
        """As if no key were pressed."""
        self._input = self.nothing

    def ask(self, z: Tensor, memory: Recurrent) -> Asked:
        """What is to be done where z (1, Z) is seen; C decides once for each z."""
        given = self._input
        if self.who == "you":
            return given
        decided = self._decided
        if decided is None or decided[0] is not z or decided[1] != self.driver.name:
            action = self.range.nearest(self.driver.act(z, memory))
            self._decided = decided = (z, self.driver.name, action)
        return Asked(given.input, decided[2])

    @property
    def header(self) -> dict:
        """What every frame says about the wheel."""
        return {"who": self.who, "controller": self.driver.name, "temperature": self.temperature / 100}
