"""The web application: the page, the socket, the films, and nothing else that lies on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Response, WebSocket
from starlette.types import ASGIApp

from worldmodels.play.connection import CLOSE_LATER
from worldmodels.play.guard import Guard
from worldmodels.play.lobby import Lobby

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
METHODS = ["GET", "HEAD"]


def static_files(folder: Path = STATIC) -> dict[str, Path]:
    """The page's own files by the name under which they are asked for. What is not in this list is not served."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix in MEDIA_TYPES
    }


def create_app(lobby: Lobby, host: str = "127.0.0.1", on_start: Callable[[], None] = lambda: None) -> ASGIApp:
    """The application, which answers to `host` and to the names of this machine for itself.

    `on_start` is called when it begins to serve.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        on_start()
        yield
        await lobby.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    files = static_files()

    def page(name: str) -> Response:
        path = files.get(name)
        if path is None:
            raise HTTPException(404)
        return Response(path.read_bytes(), media_type=MEDIA_TYPES[path.suffix])

    @app.api_route("/", methods=METHODS)
    def index() -> Response:
        return page("index.html")

    @app.api_route("/static/{name:path}", methods=METHODS)
    def static(name: str) -> Response:
        return page(name)

    @app.api_route("/recordings/{name}", methods=METHODS)
    def recording(name: str) -> Response:
        film = lobby.films.get(name)
        if film is None:
            raise HTTPException(404)
        return Response(film.data, media_type=film.media_type)

    @app.api_route("/healthz", methods=METHODS)
    def health() -> dict[str, bool]:
        return {"ok": True}

    @app.websocket("/ws")
    async def socket(socket: WebSocket, session: str | None = None) -> None:
        await socket.accept()
        if not await lobby.serve(socket, session):
            await socket.send_json({"type": "busy"})
            await socket.close(CLOSE_LATER, "too many people are playing; try again later")

    return Guard(app, host)
