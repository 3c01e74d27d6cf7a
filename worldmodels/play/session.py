"""One person's session: four screens, one wheel. Everything here happens in one thread at a time, none of it async."""

from __future__ import annotations

import base64
import secrets
import threading

import numpy as np

from worldmodels.play.actions import hundredths
from worldmodels.play.cheating_screen import CheatingScreen
from worldmodels.play.compare_screen import CompareScreen
from worldmodels.play.dream_screen import DreamScreen
from worldmodels.play.frame import Frame, Output
from worldmodels.play.latents_screen import LatentsScreen
from worldmodels.play.messages import (
    PIXELS,
    AskMixture,
    AskMoment,
    Branch,
    ChooseController,
    ChooseScreen,
    Decode,
    Drive,
    Encode,
    Examples,
    Input,
    Message,
    OneTick,
    Pause,
    Record,
    Refused,
    Restart,
    Restore,
    Rewind,
    Temperature,
    Watch,
)
from worldmodels.play.model import Driver, PlayModel
from worldmodels.play.painter import Painter
from worldmodels.play.wheel import Wheel


class Session:
    """What a person sees and does. `do` and `advance` raise UserError for what cannot be done, and change nothing then.

    Attributes:
        token: by which its owner finds it again.
        stale: the picture has changed since it was last drawn.
    """

    def __init__(self, model: PlayModel, painter: Painter) -> None:
        self.token = secrets.token_urlsafe(16)
        self.model, self._painter = model, painter
        self._stopping = threading.Event()
        self.wheel = Wheel(model)
        self._dream = DreamScreen(model, painter, self.wheel, self._stopping.is_set)
        self._latents = LatentsScreen(model, painter)
        self._game: CompareScreen | CheatingScreen | None = (
            None  # the screen with a game process, if it is entered
        )
        self.screen: DreamScreen | LatentsScreen | CompareScreen | CheatingScreen = self._dream
        self.stale = True

    @property
    def running(self) -> bool:
        """Whether time passes on the present screen."""
        return self.screen.running

    def steer(self, message: Input) -> None:
        """A person's input; may come from any thread. Raises Refused for another number of actions."""
        if len(message.action) != self.wheel.range.size:
            raise Refused(f"{self.model.spec.name} has {self.wheel.range.size} actions")
        self.wheel.steer(message.id, message.action)

    def advance(self) -> None:
        """One step of the game."""
        self.stale = True
        self.screen.advance()

    def draw(self) -> Frame | None:
        """The present picture."""
        self.stale = False
        return self.screen.picture()

    def do(self, message: Message) -> list[Output]:
        """What a message asks for; returns the answers."""
        self.stale = True
        match message:
            case ChooseScreen():
                self._enter(message.name)
            case Drive():
                self.wheel.who = message.who
            case ChooseController():
                self.wheel.driver = self._driver(message.name)
            case Temperature():
                self.wheel.temperature = hundredths(message.value)
            case Pause():
                self._pause(message.on)
            case Restart():
                self._restart(message)
            case _:
                return self._do_on_screen(message)
        return []

    def close(self) -> None:
        """End what runs; may be called twice, and from another thread while something is being done."""
        self._stopping.set()
        if (game := self._game) is not None:
            game.close()

    def _do_on_screen(self, message: Message) -> list[Output]:
        screen = self.screen
        match message, screen:
            case Branch(), CompareScreen():
                screen.branch()
            case OneTick(), DreamScreen():
                screen.step()
            case Rewind(), DreamScreen():
                screen.rewind(message.ticks)
            case AskMoment(), DreamScreen():
                return [{"type": "moment", "code": screen.moment()}]
            case Restore(), DreamScreen():
                screen.restore(message.code)
            case Record(), DreamScreen():
                return [screen.recording(message.format, message.seconds)]
            case Watch(), DreamScreen():
                screen.watched = None if message.dimension is None else self._dimension(message.dimension)
            case Examples(), LatentsScreen():
                return [screen.examples()]
            case Encode(), LatentsScreen():
                return [screen.encode(self._frame(message))]
            case Decode(), LatentsScreen():
                if len(message.z) != self.model.latent_size:
                    raise Refused(f"a latent has {self.model.latent_size} numbers, got {len(message.z)}")
                return [screen.decode(message.id, message.z)]
            case AskMixture(), LatentsScreen():
                return [self._dream.mixture(self._dimension(message.dimension))]
            case _:
                raise Refused(f"{message.type} is nothing for the {screen.name} screen")
        return []

    def _enter(self, name: str) -> None:
        if name == self.screen.name:
            return
        if name in ("compare", "cheating") and self.model.open_game is None:
            raise Refused(f"{self.model.spec.name} cannot be played on this machine, only dreamt")
        if self._game is not None:
            self._game.close()
            self._game = None
        if name == "compare":
            self.screen = self._game = CompareScreen(self.model, self._painter, self.wheel)
        elif name == "cheating":
            self.screen = self._game = CheatingScreen(self.model, self._painter)
        else:
            self.screen = self._dream if name == "dream" else self._latents
        if self._stopping.is_set():
            self.close()  # it came while this was being entered

    def _pause(self, on: bool) -> None:
        if isinstance(self.screen, LatentsScreen):
            raise Refused("nothing moves on the latents screen")
        self.screen.paused = on

    def _restart(self, message: Restart) -> None:
        screen = self.screen
        if isinstance(screen, CheatingScreen):
            driver = None if message.controller is None else self._driver(message.controller)
            screen.restart(driver, message.seed)
        elif message.controller is not None:
            raise Refused("restart takes a controller on the cheating screen only")
        elif isinstance(screen, LatentsScreen):
            raise Refused("nothing moves on the latents screen")
        else:
            screen.restart(message.seed)
        screen.paused = False

    def _driver(self, name: str) -> Driver:
        driver = self.model.driver(name)
        if driver is None:
            names = ", ".join(driver.name for driver in self.model.controllers)
            raise Refused(f"there is no such controller; there are {names}")
        return driver

    def _dimension(self, dimension: int) -> int:
        if dimension >= self.model.latent_size:
            raise Refused(f"the latent dimensions are 0 to {self.model.latent_size - 1}")
        return dimension

    def _frame(self, message: Encode) -> np.ndarray:
        """The frame (64, 64, 3) uint8 that is to be encoded."""
        if message.source is not None:
            picture = self._dream.picture()
            return picture.panes[0]
        if message.example is not None:
            if message.example >= len(self.model.examples):
                raise Refused(f"there are {len(self.model.examples)} examples")
            return self.model.examples[message.example]
        try:
            data = base64.b64decode(message.pixels or "", validate=True)
        except ValueError as error:  # binascii's, and plain ones for what is no ASCII
            raise Refused("pixels must be base64") from error
        if len(data) != PIXELS:
            raise Refused(f"pixels must be the {PIXELS} bytes of a frame, got {len(data)}")
        return np.frombuffer(data, np.uint8).reshape(64, 64, 3).copy()
