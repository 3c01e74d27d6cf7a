"""A small model of the toy game that has learnt nothing, a real server around it, and clients."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import pytest
import torch
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.play.lobby import Lobby
from worldmodels.play.model import Driver, PlayModel
from worldmodels.play.painter import Painter
from worldmodels.play.serve import configured, listen
from worldmodels.play.server import create_app
from worldmodels.play.session import Session
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.vision.vae import VAE, VAEConfig
from worldmodels.worlds.starts import gather_starts

LATENT, HIDDEN, MIXTURES = 6, 12, 3


class Models(Protocol):
    """models(action_repeat=4, ending=False, **fields): a model of the toy game."""

    def __call__(self, action_repeat: int = 4, ending: bool = False, **fields: Any) -> PlayModel: ...


def _memory(ending: bool) -> MDNRNN:
    """An untrained M whose dreams never end; or, where `ending`, end under an action that is clearly positive."""
    torch.manual_seed(0)
    config = MDNRNNConfig(LATENT, 1, HIDDEN, MIXTURES, predicts_reward=True, predicts_end=True)
    model = MDNRNN(config).requires_grad_(False).eval()
    model.head.bias[-2] = 0.5  # the reward
    model.head.weight[-1], model.head.bias[-1] = 0, -1 if ending else -9
    if ending:  # hidden unit 0 becomes the sign of the action
        inputs, recurrent = model.lstm.get_parameter("weight_ih_l0"), model.lstm.get_parameter("weight_hh_l0")
        for gate, (bias, weight) in enumerate([(9.0, 0.0), (-9.0, 0.0), (0.0, 20.0), (9.0, 0.0)]):
            row = gate * HIDDEN
            inputs[row], recurrent[row] = 0, 0
            inputs[row, LATENT] = weight
            model.lstm.get_parameter("bias_ih_l0")[row] = bias
        model.head.weight[-1, 0] = 4
    return model


def _driver(name: str, temperature: float, seed: int) -> Driver:
    config = ControllerConfig("zh", LATENT + HIDDEN, ("symmetric",))
    parameters = torch.randn(config.parameter_count, generator=torch.Generator().manual_seed(seed)) * 0.3
    score = {"mean": 7.5, "standard_error": 0.5, "episodes": 8}
    return Driver(name, f"C evolved at τ {temperature:.2f}", temperature, config, parameters, score, None)


@pytest.fixture(scope="session")
def models() -> Models:
    torch.manual_seed(0)
    vision = VAE(VAEConfig(latent_size=LATENT)).requires_grad_(False).eval()
    rng = np.random.default_rng(0)

    def episode(length: int) -> LatentEpisode:
        mu, logvar = rng.normal(size=(2, length + 1, LATENT)).astype(np.float32)
        actions = rng.uniform(-1, 1, (length, 1)).astype(np.float32)
        return LatentEpisode(mu, logvar, actions, np.zeros(length, np.float32), False)

    episodes = [episode(8) for _ in range(6)]

    def make(action_repeat: int = 4, ending: bool = False, **fields: Any) -> PlayModel:
        memory = _memory(ending)
        model = PlayModel(
            name="toy · runs/toy",
            spec=game("toy"),
            action_repeat=action_repeat,
            vision=vision,
            memory=memory,
            memory_hash="ab" * 32,
            starts=gather_starts(memory, episodes, 8, np.random.default_rng(1)),
            controllers=(_driver("round-00", 1.0, 1), _driver("temperature-0.10", 0.1, 2)),
            temperature=1.0,
            examples=rng.integers(0, 255, (5, 64, 64, 3), np.uint8),
            latent_mean=np.zeros(LATENT, np.float32),
            latent_std=np.linspace(0.2, 1, LATENT, dtype=np.float32),
            open_game=lambda: open_pool(game("toy")),
        )
        return replace(model, **fields)

    return make


@pytest.fixture(scope="session")
def model(models: Models) -> PlayModel:
    return models()


@pytest.fixture
def session(model: PlayModel) -> Iterator[Session]:
    made = Session(model, Painter(model.vision, model.device))
    yield made
    made.close()


class Shown(NamedTuple):
    """A binary frame, taken apart."""

    header: dict[str, Any]
    panes: np.ndarray  # (n, 64, 64, 3) uint8


class Client:
    """A page as the server sees it. It acknowledges every frame it takes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello = self.event("hello")

    def say(self, type: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": type, **fields}))

    def take(self, timeout: float = 20) -> dict[str, Any] | Shown:
        """The next event or frame."""
        data = self.socket.recv(timeout)
        if isinstance(data, str):
            return json.loads(data)
        size = int.from_bytes(data[:4], "little")
        header = json.loads(data[4 : 4 + size])
        panes = np.frombuffer(data[4 + size :], np.uint8).reshape(len(header["panes"]), 64, 64, 3)
        if "n" in header:
            self.say("ack", n=header["n"])
        return Shown(header, panes)

    def frame(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True, timeout: float = 20) -> Shown:
        """The next frame whose header is as wanted."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            taken = self.take(timeout)
            if isinstance(taken, Shown) and wanted(taken.header):
                return taken
        raise TimeoutError("no such frame came")

    def event(self, type: str, timeout: float = 20) -> dict[str, Any]:
        """The next event of that type."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            taken = self.take(timeout)
            if isinstance(taken, dict) and taken["type"] == type:
                return taken
        raise TimeoutError(f"no {type} came")

    def closing_code(self) -> int | None:
        """Reads until the server closes; the code with which it does."""
        return closing_code(self.socket)


def closing_code(socket: ClientConnection, timeout: float = 30) -> int | None:
    """Reads until the server closes; the code with which it does."""
    until = time.monotonic() + timeout
    try:
        while time.monotonic() < until:
            socket.recv(timeout)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
    raise TimeoutError("the server did not close the connection")


class Running(NamedTuple):
    """A server in a thread of this process."""

    port: int
    lobby: Lobby

    @contextmanager
    def socket(self, query: str = "") -> Iterator[ClientConnection]:
        """A bare connection."""
        address = f"ws://127.0.0.1:{self.port}/ws{query}"
        with connect(address, compression=None, max_size=None, open_timeout=30, close_timeout=2) as socket:
            yield socket

    @contextmanager
    def client(self, query: str = "") -> Iterator[Client]:
        """Somebody who plays."""
        with self.socket(query) as socket:
            yield Client(socket)


@contextmanager
def serving(model: PlayModel, **lobby: Any) -> Iterator[Running]:
    waiting_room = Lobby(model, **lobby)
    loops: list[asyncio.AbstractEventLoop] = []
    app = create_app(waiting_room, on_start=lambda: loops.append(asyncio.get_running_loop()))
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = uvicorn.Server(configured(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield Running(port, waiting_room)
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive(), f"the server did not stop:\n{_where_it_stands(thread, loops)}"


def _where_it_stands(thread: threading.Thread, loops: list[asyncio.AbstractEventLoop]) -> str:
    """The stacks of a server's thread and tasks, for whoever has to find out why it does not stop."""
    said = io.StringIO()
    frame = sys._current_frames().get(thread.ident or 0)
    said.writelines(traceback.format_stack(frame) if frame else ["its thread has no stack\n"])
    for task in (task for loop in loops for task in asyncio.all_tasks(loop)):
        task.print_stack(file=said)
    return said.getvalue()


@pytest.fixture(scope="session")
def server(model: PlayModel) -> Iterator[Running]:
    """One for all tests that leave it as it was."""
    with serving(model) as running:
        yield running


@pytest.fixture
def serve_model() -> Callable[..., Any]:
    """serve_model(model, most=, keep=): a context that serves a model."""
    return serving


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    with one_thread():
        yield
