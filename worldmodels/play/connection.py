"""One WebSocket at a session: what comes in is checked and put in line, what goes out never waits in a queue of frames.

Three tasks. One reads: inputs and acknowledgements count at once, everything else waits its turn. One runs the
session, step by step, in a thread, and decides whether a step is drawn. One writes; a socket that takes nothing stops
it alone, and the dream goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from worldmodels.errors import UserError
from worldmodels.play.film import Films
from worldmodels.play.frame import Event, Frame, Output, Recording, as_bytes, as_text
from worldmodels.play.messages import Ack, Decode, Input, Message, Refused, read_message
from worldmodels.play.pacing import Clock, Quota, Window
from worldmodels.play.session import Session

MOST_WAITING = 64  # messages in line, and answers on their way
STUCK = 30.0  # seconds that a socket may take nothing
ALIVE = 15.0  # seconds of silence after which a word is said: a socket that died unnoticed fails at it
CLOSE_NORMAL, CLOSE_POLICY, CLOSE_FAILED, CLOSE_LATER = 1000, 1008, 1011, 1013
CLOSE_TAKEN_OVER = 4001  # the session was taken up by another connection

log = logging.getLogger(__name__)
Threads = Callable[[Callable[[], list[Output]]], Awaitable[list[Output]]]  # does something in a thread


class Connection:
    """Serves one socket until it closes, or has to be closed."""

    def __init__(
        self, socket: WebSocket, session: Session, films: Films, threads: Threads, hello: Event
    ) -> None:
        self.session, self.failed = session, False
        self.done = asyncio.Event()  # nothing of this connection touches the session any more
        self._socket, self._films, self._threads = socket, films, threads
        rate, now = session.model.spec.steps_per_second, time.monotonic()
        self._clock, self._window, self._quota = Clock(rate, now), Window(rate), Quota(now)
        self._waiting: deque[Message] = deque()
        self._outgoing: deque[str | bytes | Frame] = deque([as_text(hello)])
        self._stirred, self._to_send = asyncio.Event(), asyncio.Event()
        self._closing: tuple[int, str] | None = None
        self._filming: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Until the end of the socket."""
        self._to_send.set()
        self.session.wheel.let_go()
        self.session.stale = True
        reading, writing = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        running = asyncio.create_task(self._run())
        try:
            await running
        finally:
            for task in (reading, writing, running, self._filming):
                if task is not None:
                    task.cancel()
            for fault in await asyncio.gather(reading, writing, return_exceptions=True):
                if isinstance(fault, Exception):
                    log.error("a connection failed", exc_info=fault)
            self.done.set()
            await self._close_socket()

    def close(self, code: int, reason: str) -> None:
        """Have the connection closed; what is being done is finished first."""
        if self._closing is None:
            self._closing = (code, reason)
        self._stirred.set()

    async def _close_socket(self) -> None:
        code, reason = self._closing or (CLOSE_NORMAL, "")
        # It may be closed already, or take nothing any more.
        with contextlib.suppress(RuntimeError, TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(1.0):
                await self._socket.close(code, reason)

    # Reading

    async def _read(self) -> None:
        try:
            while self._closing is None:
                received = await self._socket.receive()
                if received["type"] == "websocket.disconnect":
                    break
                self._hear(received)
        finally:
            self.close(CLOSE_NORMAL, "")

    def _hear(self, received: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if not self._quota.message(now):
            self.close(CLOSE_POLICY, "too many messages")
            return
        try:
            text = received.get("text")
            if text is None:
                raise Refused("messages are JSON text")
            self._take(read_message(text), now)
        except Refused as refused:
            self._refuse(refused, now)

    def _take(self, message: Message, now: float) -> None:
        match message:
            case Input():
                self.session.steer(message)
                return
            case Ack():
                self._window.acknowledge(message.n, now)
            case Decode():  # only the newest is of interest
                others = [waiting for waiting in self._waiting if not isinstance(waiting, Decode)]
                self._waiting = deque([*others, message])
            case _ if len(self._waiting) >= MOST_WAITING:
                raise Refused("too many messages are waiting for their turn")
            case _:
                self._waiting.append(message)
        self._stirred.set()

    def _refuse(self, refused: Exception, now: float) -> None:
        self._tell({"type": "error", "message": str(refused)})
        if not self._quota.refusal(now):
            self.close(CLOSE_POLICY, "too many messages that were refused")

    # Running

    async def _run(self) -> None:
        try:
            while self._closing is None:
                self._stirred.clear()
                if len(self._outgoing) >= MOST_WAITING:
                    await self._stirred.wait()  # until answers have been read
                elif self._waiting:
                    await self._work(partial(self.session.do, self._waiting.popleft()))
                elif self.session.running:
                    await self._step()
                elif self.session.stale and self._may_draw:
                    await self._work(self._drawn)
                else:
                    await self._stirred.wait()
                    self._clock.restart(time.monotonic())
        except Exception:
            log.exception("a session failed")
            self.failed = True
            self._tell({"type": "error", "message": "the session failed on the server, whose log says why"})
            await asyncio.sleep(0.1)  # for the sentence to go out
            self.close(CLOSE_FAILED, "the session failed")

    async def _step(self) -> None:
        wait = self._clock.wait(time.monotonic())
        if wait > 0:
            # Not wait_for, which in Python 3.11 loses a cancellation that comes together with what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stirred.wait()
            return
        draw = self._clock.step(time.monotonic()) and self._may_draw
        await self._work(partial(self._advanced, draw))

    @property
    def _may_draw(self) -> bool:
        """Whether a frame would go out at once."""
        return self._window.open and not any(isinstance(waiting, Frame) for waiting in self._outgoing)

    def _advanced(self, draw: bool) -> list[Output]:
        self.session.advance()
        return self._drawn() if draw else []

    def _drawn(self) -> list[Output]:
        frame = self.session.draw()
        return [] if frame is None else [frame]

    async def _work(self, what: Callable[[], list[Output]]) -> None:
        """Do it in a thread, and send what comes of it."""
        try:
            outputs = await self._threads(what)
        except UserError as error:
            self._refuse(error, time.monotonic())
            return
        for output in outputs:
            if isinstance(output, Recording):
                self._film(output)
            elif isinstance(output, Frame):
                self._show(output)
            else:
                self._tell(output)

    def _film(self, recording: Recording) -> None:
        if self._filming is not None and not self._filming.done():
            self._refuse(Refused("a recording is being made; wait until it is there"), time.monotonic())
        else:
            self._filming = asyncio.create_task(self._make_film(recording))

    async def _make_film(self, recording: Recording) -> None:
        rate = self.session.model.spec.steps_per_second
        try:
            name, size = await asyncio.wrap_future(self._films.order(recording, rate))
        except Exception:
            log.exception("a recording failed")
            self._tell({"type": "error", "message": "the recording failed on the server, whose log says why"})
            return
        seconds = round(len(recording.latents) / rate, 2)
        self._tell({"type": "recording", "url": f"/recordings/{name}", "bytes": size, "seconds": seconds})

    # Writing

    def _tell(self, event: Event) -> None:
        if len(self._outgoing) < 2 * MOST_WAITING:  # whoever does not read is not told everything
            self._outgoing.append(as_text(event))
            self._to_send.set()

    def _show(self, frame: Frame) -> None:
        self._outgoing.append(frame if frame.moving else as_bytes(frame, None))
        self._to_send.set()

    async def _write(self) -> None:
        try:
            while True:
                await self._until_there_is_something()
                while self._outgoing:
                    async with asyncio.timeout(STUCK):
                        await self._send(self._outgoing[0])
                    self._outgoing.popleft()  # only now, so that the frame holds its place until the socket has it
                    self._stirred.set()
        except TimeoutError:
            self.close(CLOSE_POLICY, "nothing is read at the other end")
        except (RuntimeError, WebSocketDisconnect):  # the socket is closed
            self.close(CLOSE_NORMAL, "")

    async def _until_there_is_something(self) -> None:
        try:
            async with asyncio.timeout(ALIVE):
                await self._to_send.wait()
        except TimeoutError:
            self._tell({"type": "alive"})
        self._to_send.clear()

    async def _send(self, output: str | bytes | Frame) -> None:
        if isinstance(output, str):
            await self._socket.send_text(output)
        elif isinstance(output, bytes):
            await self._socket.send_bytes(output)
        else:
            await self._socket.send_bytes(as_bytes(output, self._window.send(time.monotonic())))
