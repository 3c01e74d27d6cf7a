"""Who is here: a limited number of sessions, those whose socket was lost kept for a minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from starlette.websockets import WebSocket

from worldmodels.play.connection import CLOSE_TAKEN_OVER, Connection
from worldmodels.play.film import Films
from worldmodels.play.hello import hello
from worldmodels.play.model import PlayModel
from worldmodels.play.painter import Painter
from worldmodels.play.session import Session

MOST_SESSIONS = 16
KEPT_FOR = 60.0  # seconds

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Lobby:
    """All sessions of a server. Everything but `close_now` happens in its event loop.

    Args:
        most: sessions at once, kept ones included, which give way to new ones.
        keep: seconds for which a session waits for its owner to come back.
    """

    def __init__(self, model: PlayModel, most: int = MOST_SESSIONS, keep: float = KEPT_FOR) -> None:
        self._model, self._most, self._keep = model, most, keep
        self._painter = Painter(model.vision, model.device)
        self.films = Films(self._painter, model.device)
        # One for each, so that nobody waits for another's game to start, and some for those who leave.
        self._pool = ThreadPoolExecutor(most + 4, "play")
        self._sessions: set[Session] = set()  # all that have not ended
        self._here: dict[str, Connection] = {}  # by token
        self._kept: dict[str, tuple[Session, asyncio.TimerHandle]] = {}  # by token, the oldest first
        self._arriving = 0  # who will be here in a moment
        self._ending: set[asyncio.Task[None]] = set()

    def warm_up(self) -> None:
        """Let PyTorch prepare what it prepares at first use."""
        for batch in (1, 2):
            self._painter.paint(torch.zeros(batch, self._model.latent_size, device=self._model.device))
        Session(self._model, self._painter).advance()

    async def threads(self, what: Callable[[], Result]) -> Result:
        """Do something in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, what)

    async def serve(self, socket: WebSocket, token: str | None) -> bool:
        """Serve an accepted socket to its end, with the session of that token or a new one. False: no room."""
        if token not in self._kept and token not in self._here:
            if not self._make_room():
                return False
            token = None
        self._arriving += 1
        try:
            session = await (self._begin() if token is None else self._take_up(token))
        finally:
            self._arriving -= 1
        greeting = hello(self._model, session.token, session.wheel)
        connection = Connection(socket, session, self.films, self.threads, greeting)
        self._here[session.token] = connection
        try:
            await connection.serve()
        finally:
            if self._here.get(session.token) is connection:  # and nobody has taken the session over
                del self._here[session.token]
                if connection.failed:
                    self._end(session)
                else:
                    self._keep_for_a_while(session)
        return True

    async def _begin(self) -> Session:
        session = await self.threads(lambda: Session(self._model, self._painter))
        self._sessions.add(session)
        return session

    async def _take_up(self, token: str) -> Session:
        """The session of a token: kept, or taken over from a connection that may not have noticed its end."""
        if token in self._kept:
            session, timer = self._kept.pop(token)
            timer.cancel()
            return session
        connection = self._here.pop(token)
        connection.close(CLOSE_TAKEN_OVER, "the session goes on in another connection")
        await connection.done.wait()
        if connection.failed:
            self._end(connection.session)
            return await self._begin()
        return connection.session

    def _make_room(self) -> bool:
        def full() -> bool:
            return len(self._here) + len(self._kept) + self._arriving >= self._most

        if full() and self._kept:
            self._let_go(next(iter(self._kept)))
        return not full()

    def _keep_for_a_while(self, session: Session) -> None:
        timer = asyncio.get_running_loop().call_later(self._keep, self._let_go, session.token)
        self._kept[session.token] = (session, timer)

    def _let_go(self, token: str) -> None:
        session, timer = self._kept.pop(token)
        timer.cancel()
        self._end(session)

    def _end(self, session: Session) -> None:
        """Ends its game, in a thread."""
        self._sessions.discard(session)
        task = asyncio.create_task(self.threads(session.close))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End every session."""
        for _, timer in self._kept.values():
            timer.cancel()
        for session in list(self._sessions):
            self._end(session)
        await asyncio.gather(*self._ending, return_exceptions=True)
        self._give_back_threads()

    def close_now(self) -> None:
        """End every game at once, without an event loop; for a server that is being torn down."""
        for session in list(self._sessions):
            session.close()
        self._give_back_threads()

    def _give_back_threads(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.films.close()
        self._painter.close()
