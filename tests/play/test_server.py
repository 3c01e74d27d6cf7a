"""The protocol against a real server: frames, controls, back-pressure, coming back, limits."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import threading
import time
from itertools import pairwise

import av
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool
from worldmodels.play import connection as connection_module
from worldmodels.play.session import Session


def test_hello_says_what_there_is(server, model):
    with server.client() as client:
        hello = client.hello
    assert hello["version"] == 1
    assert hello["screens"] == ["dream", "compare", "latents", "cheating"]
    assert (hello["steps_per_second"], hello["action_repeat"], hello["latent_size"]) == (50.0, 4, 6)
    assert hello["actions"] == [{"name": "paddle", "low": -1.0, "high": 1.0}]
    assert hello["keys"][0] == {"key": "ArrowLeft", "label": "paddle left", "action": 0, "value": -1.0}
    assert [c["name"] for c in hello["controllers"]] == ["round-00", "temperature-0.10"]
    assert hello["controllers"][0]["dream_score"]["mean"] == 7.5
    assert hello["latents"]["order"] == [5, 4, 3, 2, 1, 0]
    assert hello["latents"]["examples"] == 5
    assert hello["recording"] == {"formats": ["mp4", "gif"], "seconds": 60}


def test_frames_come_and_obey(server):
    with server.client() as client:
        client.say("restart", seed=3)
        first = client.frame(lambda header: header["seed"] == 3)
        assert first.panes.shape == (1, 64, 64, 3)
        client.say("input", id=41, action=[-5])
        assert client.frame(lambda header: header["input"] == 41).header["action"] == [-1.0]
        client.say("drive", who="controller")
        client.frame(lambda header: header["who"] == "controller")
        client.say("temperature", value=0.5)
        client.frame(lambda header: header["temperature"] == 0.5)
        client.say("pause", on=True)
        paused = client.frame(lambda header: header["paused"]).header
        client.say("step")
        assert client.frame().header["tick"] == paused["tick"] + 1
        client.say("rewind", ticks=1000)
        assert client.frame().header["tick"] == 0


def test_steps_and_frames_are_numbered_upwards(server):
    with server.client() as client:
        client.say("restart", seed=3)
        client.frame(lambda header: header["seed"] == 3)
        headers = [client.frame().header for _ in range(20)]
    assert all(b["n"] == a["n"] + 1 for a, b in pairwise(headers))
    assert all(b["step"] > a["step"] for a, b in pairwise(headers))


def test_every_screen_can_be_entered(server):
    with server.client() as client:
        client.say("screen", name="compare")
        client.say("restart", seed=2)
        client.frame(lambda header: header["screen"] == "compare" and header["dream"])
        client.say("screen", name="cheating")
        client.frame(lambda header: header["screen"] == "cheating" and header["step"] > 4)
        client.say("screen", name="latents")
        client.say("examples")
        assert client.frame(lambda header: header.get("kind") == "examples").panes.shape == (5, 64, 64, 3)
        client.say("screen", name="dream")
        client.frame(lambda header: header["screen"] == "dream")


def test_of_many_latents_only_the_newest_need_be_decoded(server):
    with server.client() as client:
        client.say("screen", name="latents")
        for number in range(60):
            client.say("decode", id=number, z=[number / 60] * 6)
        numbers = []
        while 59 not in numbers:
            numbers.append(client.frame(lambda header: header.get("kind") == "decoded").header["id"])
    assert numbers == sorted(numbers)


def test_a_recording_can_be_fetched_and_opens(server):
    with server.client() as client:
        client.say("restart", seed=3)
        client.frame(lambda header: header["seed"] == 3 and header["step"] >= 30)
        client.say("pause", on=True)
        steps = client.frame(lambda header: header["paused"]).header["step"]
        client.say("record", format="mp4", seconds=60)
        client.say("record", format="mp4", seconds=60)
        assert client.event("error")["message"] == "a recording is being made; wait until it is there"
        event = client.event("recording")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", event["url"])
    response = connection.getresponse()
    data = response.read()
    connection.close()
    assert (response.status, len(data)) == (200, event["bytes"])
    assert response.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(data), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == steps
    assert event["seconds"] == round(steps / 50, 2)


def test_a_moment_travels_from_one_session_to_another(server):
    with server.client() as one, server.client() as other:
        one.say("restart", seed=9)
        one.frame(lambda header: header["seed"] == 9 and header["tick"] >= 3)
        one.say("pause", on=True)
        there = one.frame(lambda header: header["paused"])
        one.say("rewind", ticks=1)
        there = one.frame()
        one.say("moment")
        other.say("restore", code=one.event("moment")["code"])
        back = other.frame(lambda header: header["paused"])
    assert [back.header[name] for name in ("seed", "tick", "score")] == [
        there.header[name] for name in ("seed", "tick", "score")
    ]
    assert np.abs(back.panes.astype(int) - there.panes).max() <= 1


def take_silently(client, seconds: float) -> list[dict]:
    """Headers of the frames that come to somebody who acknowledges nothing."""
    headers, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            data = client.socket.recv(max(0.01, until - time.monotonic()))
        except TimeoutError:
            break
        if isinstance(data, bytes):
            headers.append(json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")]))
    return headers


def test_who_does_not_answer_gets_no_more_frames_and_is_still_obeyed(server):
    with server.client() as client:
        headers = take_silently(client, 1.5)
        assert len(headers) == 2
        client.say("input", id=7, action=[1])
        time.sleep(0.5)
        client.say("ack", n=2)
        following = take_silently(client, 2)[0]
        assert following["n"] == 3
        assert following["input"] == 7
        assert following["step"] > headers[-1]["step"] + 10, (
            "time went on, and the frames between were left out"
        )


def test_a_paused_picture_comes_when_the_way_is_free(server):
    with server.client() as client:
        take_silently(client, 1)
        client.say("pause", on=True)
        assert take_silently(client, 0.5) == []
        client.say("ack", n=2)
        assert take_silently(client, 2)[0]["paused"]


def test_who_does_not_read_stops_nobody_and_fills_nothing(server, model):
    with server.client() as deaf, server.client() as other:
        token = deaf.hello["session"]
        connection = server.lobby._here[token]
        with contextlib.suppress(ConnectionClosed):  # it may be cut off for what it asks too fast
            for _ in range(60):  # 61 kB of examples each
                deaf.say("screen", name="latents")
                deaf.say("examples")
        for _ in range(30):
            other.frame()
            assert len(connection._outgoing) <= 2 * connection_module.MOST_WAITING
            assert len(connection._waiting) <= connection_module.MOST_WAITING


def test_a_lost_session_is_taken_up_again(serve_model, model):
    with serve_model(model, keep=30) as server:
        with server.client() as client:
            token = client.hello["session"]
            client.say("restart", seed=77)
            client.say("input", id=5, action=[1])
            lost = client.frame(lambda header: header["seed"] == 77 and header["input"] == 5).header
        time.sleep(0.5)
        with server.client(f"?session={token}") as client:
            assert client.hello["session"] == token
            back = client.frame().header
            assert back["seed"] == 77
            assert lost["step"] <= back["step"] < lost["step"] + 25, "it stood still meanwhile"
            assert (back["input"], back["action"]) == (0, [0.0]) or back["step"] == lost["step"]
            later = client.frame(lambda header: header["step"] > back["step"]).header
            assert later["action"] == [0.0], "no key is held any more"
        with server.client("?session=unknown") as client:
            assert client.hello["session"] not in (token, "unknown")


def test_a_session_is_taken_over_from_a_connection_that_still_seems_alive(server):
    with server.client() as old:
        token = old.hello["session"]
        old.say("restart", seed=78)
        old.frame(lambda header: header["seed"] == 78)
        with server.client(f"?session={token}") as new:
            assert new.frame().header["seed"] == 78
            assert old.closing_code() == 4001


def test_a_session_that_is_kept_too_long_is_let_go(serve_model, model):
    with serve_model(model, keep=0.3) as server:
        with server.client() as client:
            token = client.hello["session"]
        until = time.monotonic() + 20
        while server.lobby._sessions and time.monotonic() < until:
            time.sleep(0.05)
        assert not server.lobby._sessions
        with server.client(f"?session={token}") as client:
            assert client.hello["session"] != token


def test_there_is_a_limit_and_kept_sessions_give_way(serve_model, model):
    with serve_model(model, most=2) as server:
        with server.client() as first:
            kept = first.hello["session"]
        until = time.monotonic() + 20
        while kept not in server.lobby._kept and time.monotonic() < until:
            time.sleep(0.02)
        with server.client(), server.client() as second:
            second.frame()
            assert kept not in server.lobby._kept
            with server.socket() as third:
                assert json.loads(third.recv(20)) == {"type": "busy"}
                with pytest.raises(ConnectionClosed, match="1013"):
                    third.recv(20)
            second.frame()


def test_a_session_that_fails_fails_alone(serve_model, model, monkeypatch, caplog):
    with serve_model(model) as server, server.client() as other:
        advance = Session.advance

        def failing(session: Session) -> None:
            if session.wheel._input.input == 666:
                raise ZeroDivisionError("a fault of ours")
            advance(session)

        monkeypatch.setattr(Session, "advance", failing)
        with server.client() as client:
            token = client.hello["session"]
            client.say("input", id=666, action=[0])
            assert "the session failed on the server" in client.event("error")["message"]
            assert client.closing_code() == 1011
        other.frame()
        assert token not in server.lobby._kept
        assert "a fault of ours" in caplog.text


def test_stopping_the_server_closes_sockets_and_games(serve_model, models):
    pools = []

    def opened():
        pools.append(open_pool(game("toy")))
        return pools[-1]

    with serve_model(models(open_game=opened)) as server, server.client() as client:
        client.say("screen", name="compare")
        client.frame(lambda header: header["screen"] == "compare")
        lobby = server.lobby
        with server.client() as kept:
            kept.say("screen", name="cheating")
            kept.frame(lambda header: header["screen"] == "cheating")
    assert not lobby._sessions
    assert len(pools) == 2
    assert all(pool._closed for pool in pools)


def test_a_socket_that_goes_while_a_game_is_starting_leaves_no_game(serve_model, models):
    pools = []

    opening = threading.Event()

    def slowly():
        opening.set()
        time.sleep(1)
        pools.append(open_pool(game("toy")))
        return pools[-1]

    with serve_model(models(open_game=slowly), keep=0.1) as server:
        with server.client() as client:
            client.say("screen", name="compare")
            assert opening.wait(20)
        until = time.monotonic() + 20
        while (server.lobby._sessions or not pools or not pools[0]._closed) and time.monotonic() < until:
            time.sleep(0.05)
        assert not server.lobby._sessions
        assert [pool._closed for pool in pools] == [True]
