"""Listen, tell where, and play until Ctrl-C."""

from __future__ import annotations

import errno
import socket
import sys
import threading
import webbrowser

import torch
import uvicorn
from starlette.types import ASGIApp

from worldmodels.errors import UserError
from worldmodels.play.lobby import Lobby
from worldmodels.play.messages import LARGEST
from worldmodels.play.model import PlayModel
from worldmodels.play.server import create_app

GRACE = 3  # seconds for what is being done when the server is stopped
EVERYWHERE = ("0.0.0.0", "::")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. UserError when that is not possible."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port must lie between 0 and 65535, got {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise UserError(
            f"--host {host} is no address of this machine; leave it out to play on it alone"
        ) from error
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} is taken, perhaps by another `worldmodels play`; type --port 0 for any that is free"
            ) from error
        if error.errno == errno.EACCES:
            raise UserError(f"port {port} may not be used without more rights; type --port 8765") from error
        raise UserError(
            f"--host {host} is no address of this machine; leave it out to play on it alone"
        ) from error
    return listening


def address_of(listening: socket.socket, host: str) -> str:
    """What to type into a browser on this machine."""
    name = "localhost" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"


def configured(app: ASGIApp) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=LARGEST,
        ws_per_message_deflate=False,  # costs more time than it saves on the way to a browser on this machine
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )


def serve(model: PlayModel, listening: socket.socket, host: str, browser: bool) -> None:
    """Serve until Ctrl-C, which is the ordinary end, or SIGTERM."""
    lobby = Lobby(model)
    torch.set_num_threads(1)  # a second one hardly quickens one picture, and the browser wants it
    lobby.warm_up()
    address = address_of(listening, host)

    def announce() -> None:
        # Not earlier: a Ctrl-C that comes before the server listens for it can get lost.
        print(f"{model.name}: {address} (Ctrl-C ends it)", flush=True)
        if browser:  # in a thread of its own, since some browsers do not return
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    try:
        if host in EVERYWHERE:
            print(
                f"worldmodels: with --host {host} anybody on the network can play, and watch", file=sys.stderr
            )
        uvicorn.Server(configured(create_app(lobby, host, announce))).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        lobby.close_now()
