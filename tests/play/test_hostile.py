"""Hostile clients against a real server, and somebody beside them who notices nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from worldmodels.play.connection import MOST_WAITING


@pytest.fixture
def bystander(server) -> Iterator[None]:
    """Somebody who plays all the while: time goes on for them, and they are obeyed."""
    with server.client() as client:
        before = client.frame().header
        client.say("input", id=1, action=[0.5])
        yield
        # What was sent meanwhile is waiting; answers to this input come after it.
        client.say("input", id=2, action=[-0.5])
        after = client.frame(lambda header: header["input"] == 2).header
        assert after["step"] > before["step"]
        assert after["action"] == [-0.5]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300) | st.text(max_size=300), min_size=1, max_size=15))
def test_random_messages(server, bystander, messages):
    with server.socket() as client:
        for message in messages:
            client.send(message)
        client.send(json.dumps({"type": "input", "id": 5, "action": [0]}))
        until = time.monotonic() + 20
        while time.monotonic() < until:  # fewer than 20 refusals: the session goes on
            data = client.recv(20)
            if isinstance(data, bytes) and b'"input":5' in data[:500]:
                return
            if isinstance(data, bytes):
                number = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])["n"]
                client.send(json.dumps({"type": "ack", "n": number}))
        raise TimeoutError


def test_twenty_refused_messages_are_too_many(server, bystander):
    with server.client() as client:
        for _ in range(30):
            client.socket.send("nonsense")
        assert client.closing_code() == 1008


def test_huge_messages(server, bystander):
    with server.client() as client:
        client.socket.send("x" * 70_000)
        assert client.closing_code() == 1009
    with server.client() as client:  # in fragments
        with contextlib.suppress(ConnectionClosed):
            client.socket.send("y" * 1000 for _ in range(200))
        assert client.closing_code() in (1009, None)  # None: it was cut off while it was still sending


def test_a_flood(server, bystander):
    message = json.dumps({"type": "input", "id": 1, "action": [0]})
    with server.client() as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(20_000):
                client.socket.send(message)
        assert client.closing_code() in (1008, None)  # None: it was cut off while it was still sending


def test_a_flood_of_work(server, bystander):
    with server.client() as client:
        # Read before the flood goes on: what is cut off while it is still sending may never read the answers.
        assert "too many messages are waiting" in _first_refusal(client)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(200):
                client.say("rewind", ticks=30_000)
        assert client.closing_code() in (1008, None)


def _first_refusal(client):
    """Of bursts that are just too long; a busy client may send one no faster than the server works it off."""
    for _ in range(20):
        for _ in range(MOST_WAITING + 3):
            client.say("rewind", ticks=30_000)
        with contextlib.suppress(TimeoutError):
            return client.event("error", timeout=1)["message"]
    pytest.fail("no burst was refused")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 50,
        b"\x81\x05\xc3\x28\xc3\x28\xc3",  # text that is not masked, and no text
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff",  # a frame of 2**63 bytes
        b"\x89\xff" + b"\x00" * 60,  # a ping that is too long
        b"\x88\x80\x00\x00\x00\x00",  # a close, with nothing after it
        b"\xf1\x80\x00\x00\x00\x00",  # reserved bits
    ],
)
def test_bytes_that_are_no_websocket(server, bystander, data):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        plain.sendall(
            b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert plain.recv(12).startswith(b"HTTP/1.1 101")
        plain.sendall(data)
        until = time.monotonic() + 20
        while plain.recv(65_536):
            assert time.monotonic() < until, "the server did not close the connection"


def test_bytes_that_are_no_http(server, bystander):
    for data in (b"\x16\x03\x01\x02\x00" * 20, b"GET / HTTP/9.9\r\n\r\n", b"A" * 200_000):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
            try:
                plain.sendall(data)
                answer = plain.recv(100)
            except ConnectionError:
                continue
            assert not answer or answer.startswith(b"HTTP/1.1 4")


def test_a_socket_that_vanishes(server, bystander):
    for _ in range(5):
        with server.client() as client:
            client.socket.socket.shutdown(socket.SHUT_RDWR)
