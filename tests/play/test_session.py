"""One session without a server: what each screen shows and does."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
import torch

from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool
from worldmodels.errors import UserError
from worldmodels.play.compare_screen import latent_distance
from worldmodels.play.frame import Frame, Recording, as_bytes
from worldmodels.play.messages import Input, Refused, read_message
from worldmodels.play.painter import Painter
from worldmodels.play.session import Session


def say(session: Session, type: str, **fields: Any) -> list[Any]:
    """Tell the session; its answers."""
    message = read_message(json.dumps({"type": type, **fields}))
    if isinstance(message, Input):
        session.steer(message)
        return []
    return session.do(message)


def run(session: Session, steps: int) -> Frame:
    for _ in range(steps):
        session.advance()
    frame = session.draw()
    assert frame is not None
    return frame


def test_the_dream_screen_says_what_the_protocol_says(session, model):
    say(session, "restart", seed=5)
    say(session, "input", id=3, action=[0.123])
    header, panes, moving = run(session, 7)
    assert moving
    assert panes.shape == (1, 64, 64, 3)
    assert header == {
        "screen": "dream", "panes": ["dream"], "input": 3, "tick": 1, "step": 7, "reward": header["reward"],
        "score": header["score"], "end": header["end"], "ended": False, "paused": False, "who": "you",
        "controller": "round-00", "temperature": 1.0, "action": [0.12], "seed": 5,
    }  # fmt: skip
    data = as_bytes(Frame(header, panes), 8)
    size = int.from_bytes(data[:4], "little")
    assert json.loads(data[4 : 4 + size]) == header | {"n": 8}
    assert data[4 + size :] == panes.tobytes()


def test_c_drives_and_another_c_drives_otherwise(session):
    say(session, "restart", seed=5)
    say(session, "drive", who="controller")
    first = run(session, 1).header
    say(session, "controller", name="temperature-0.10")
    second = run(session, 1).header
    assert (first["controller"], second["controller"]) == ("round-00", "temperature-0.10")
    assert first["action"] != second["action"]
    with pytest.raises(Refused, match=r"there is no such controller; there are round-00, temperature-0\.10"):
        say(session, "controller", name="round-99")


def test_step_rewind_and_pause(session):
    say(session, "restart", seed=5)
    run(session, 6)
    say(session, "step")
    assert session.draw().header["tick"] == 2
    assert not session.running
    say(session, "step")
    assert session.draw().header["step"] == 12
    say(session, "rewind", ticks=1)
    header = session.draw().header
    assert (header["tick"], header["paused"]) == (2, True)
    say(session, "pause", on=False)
    assert session.running


def test_a_moment_leads_back_and_a_foreign_one_nowhere(session):
    say(session, "restart", seed=5)
    say(session, "temperature", value=1.5)
    run(session, 10)
    [event] = say(session, "moment")
    there = session._dream.dream.state
    say(session, "restart", seed=6)
    say(session, "temperature", value=0.5)
    run(session, 3)
    say(session, "restore", code=event["code"])
    back = session._dream.dream.state
    assert session.draw().header["temperature"] == 1.5, "and dreams on as it dreamt there"
    assert torch.equal(back.z, there.z)
    assert (back.tick, session.draw().header["seed"], session.running) == (2, 5, False)
    with pytest.raises(UserError, match="this link holds no moment"):
        say(session, "restore", code="nonsense")
    assert session._dream.dream.state is back


def test_a_recording_is_of_what_was_shown_and_not_of_what_was_taken_back(session):
    say(session, "restart", seed=5)
    shown = []
    for _ in range(30):
        session.advance()
        shown.append(session._dream.dream.shown[0].numpy())
    [recording] = say(session, "record", format="gif", seconds=60)
    assert isinstance(recording, Recording)
    np.testing.assert_array_equal(recording.latents, shown)
    say(session, "rewind", ticks=2)
    [recording] = say(session, "record", format="gif", seconds=60)
    np.testing.assert_array_equal(recording.latents, shown[:20])
    say(session, "restart", seed=5)
    [recording] = say(session, "record", format="mp4", seconds=1)
    assert len(recording.latents) == 1


def test_a_watched_dimension_comes_with_each_frame(session, model):
    say(session, "watch", dimension=2)
    mixture = run(session, 2).header["mixture"]
    assert mixture["dimension"] == 2
    assert [len(mixture[name]) for name in ("pi", "mu", "sigma")] == [3, 3, 3]
    assert sum(mixture["pi"]) == pytest.approx(1, abs=1e-4)
    assert mixture["z"] == pytest.approx(float(session._dream.dream.towards.z[0, 2]), abs=1e-4)
    say(session, "watch", dimension=None)
    assert "mixture" not in run(session, 1).header
    with pytest.raises(Refused, match="the latent dimensions are 0 to 5"):
        say(session, "watch", dimension=6)


def test_side_by_side_the_dream_leaves_where_the_game_stands(session, model):
    say(session, "screen", name="compare")
    say(session, "restart", seed=5)
    assert session.draw() is None
    header, panes, _ = run(session, 1)
    assert header["panes"] == ["actual", "vision"]
    with open_pool(game("toy")) as pool:
        np.testing.assert_array_equal(panes[0], pool.reset([5])[0])
    assert (header["branched"], header["dream"], header["divergence"]) == (None, None, None)
    say(session, "branch")
    run(session, 0)
    screen = session.screen
    began = screen._game.mu
    header, panes, _ = run(session, 1)
    assert header["panes"] == ["actual", "vision", "dream"]
    assert (header["branched"], header["step"]) == (0, 1)
    assert screen._dream is not None
    assert torch.equal(screen._dream.state.z, began)  # at the tick's beginning they are one
    assert set(header["divergence"]) == {"latent", "pixels"}
    assert set(header["dream"]) == {"reward", "score", "end", "ended"}


def test_side_by_side_both_worlds_do_the_same_and_m_follows_the_game(session, model):
    say(session, "screen", name="compare")
    say(session, "restart", seed=5)
    rng, asked = np.random.default_rng(0), []
    session.advance()
    for step in range(30):
        if step % 4 == 0:
            asked.append(round(float(rng.uniform(-1, 1)), 2))
        say(session, "input", id=step, action=[asked[-1]])
        session.advance()
    screen = session.screen
    assert screen._branched == 2  # after a quarter of the 40 steps, in ticks of 4
    np.testing.assert_allclose(screen._dream.actions[:, 0] / 100, asked[2:7])
    with open_pool(game("toy")) as pool:
        frame, z, memory = pool.reset([5])[0], None, model.memory.initial(1)
        for action in asked[:7]:
            z = session._painter.look(frame)[0]
            inputs = torch.cat([z, torch.tensor([[action]])], 1)[None]
            with torch.no_grad():
                _, (h, c) = model.memory.lstm(inputs, (memory[0][None], memory[1][None]))
            memory = (h[0], c[0])
            for _ in range(4):
                frame = pool.step(np.array([[action]], np.float32)).frames[0]
    torch.testing.assert_close(screen._game.memory.h, memory[0])
    torch.testing.assert_close(screen._game.z, session._painter.look(frame)[0])


def test_side_by_side_ends_with_the_game(session):
    say(session, "screen", name="compare")
    for _ in range(100):
        if session.running:
            session.advance()
    header = session.draw().header
    assert header["actual"]["ended"]
    assert not session.running
    say(session, "restart", seed=1)
    assert session.running


def test_cheating_drives_both_worlds_with_one_c(session):
    say(session, "screen", name="cheating")
    header, panes, _ = run(session, 9)
    assert header["panes"] == ["dream", "actual"]
    assert panes.shape == (2, 64, 64, 3)
    assert (header["controller"], header["temperature"]) == ("temperature-0.10", 0.1)
    assert (header["step"], header["tick"]) == (8, 2)
    say(session, "restart", controller="round-00", seed=4)
    assert run(session, 1).header["controller"] == "round-00"
    steps = 0
    while session.running:
        session.advance()
        steps += 1
    assert steps == 40  # the dream is as long as an episode, and no longer
    header = session.draw().header
    assert header["dream"]["ended"]
    assert header["actual"]["ended"]


def test_latents_are_encoded_and_decoded(session, model):
    say(session, "screen", name="latents")
    assert not session.running
    [examples] = say(session, "examples")
    np.testing.assert_array_equal(examples.panes, model.examples)
    [encoded] = say(session, "encode", example=1)
    assert encoded.header["kind"] == "encoded"
    np.testing.assert_array_equal(encoded.panes[0], model.examples[1])
    pixels = base64.b64encode(model.examples[1].tobytes()).decode()
    [again] = say(session, "encode", pixels=pixels)
    assert again.header == encoded.header
    [decoded] = say(session, "decode", id=9, z=encoded.header["z"])
    assert (decoded.header["id"], decoded.header["kind"]) == (9, "decoded")
    assert np.abs(decoded.panes[0].astype(int) - encoded.panes[1]).max() <= 1
    [from_dream] = say(session, "encode", **{"from": "dream"})
    assert from_dream.panes.shape == (2, 64, 64, 3)
    [mixture] = say(session, "mixture", dimension=0)
    assert mixture["type"] == "mixture"


@pytest.mark.parametrize(
    ("screen", "message", "sentence"),
    [
        ("dream", {"type": "branch"}, "branch is nothing for the dream screen"),
        ("dream", {"type": "examples"}, "examples is nothing for the dream screen"),
        ("dream", {"type": "restart", "controller": "round-00"}, "on the cheating screen only"),
        ("compare", {"type": "rewind", "ticks": 1}, "rewind is nothing for the compare screen"),
        ("latents", {"type": "pause", "on": True}, "nothing moves on the latents screen"),
        ("latents", {"type": "decode", "id": 1, "z": [0.0]}, "a latent has 6 numbers, got 1"),
        ("latents", {"type": "encode", "example": 5}, "there are 5 examples"),
        ("latents", {"type": "encode", "pixels": "AAAA"}, "pixels must be the 12288 bytes of a frame, got 3"),
        ("latents", {"type": "encode", "pixels": "A*AA"}, "pixels must be base64"),
        ("latents", {"type": "encode", "pixels": "éé"}, "pixels must be base64"),
        ("dream", {"type": "input", "id": 1, "action": [0, 0]}, "toy has 1 actions"),
    ],
)
def test_what_makes_no_sense_is_refused(session, screen, message, sentence):
    say(session, "screen", name=screen)
    with pytest.raises(Refused, match=sentence):
        say(session, **message)


class Games:
    """Games that were opened, and how many are."""

    def __init__(self) -> None:
        self.opened = self.closed = 0

    def __call__(self):
        self.opened += 1
        pool = open_pool(game("toy"))
        close = pool.close

        def closing() -> None:
            self.closed += 1
            close()

        pool.close = closing
        return pool


def test_a_game_is_closed_when_its_screen_is_left_and_when_the_session_ends(models):
    games = Games()
    model = models(open_game=games)
    session = Session(model, Painter(model.vision, model.device))
    for name in ("compare", "cheating", "compare", "dream"):
        say(session, "screen", name=name)
        if name != "dream":
            session.advance()
    assert (games.opened, games.closed) == (3, 3)
    say(session, "screen", name="compare")
    session.advance()
    session.close()
    session.close()
    assert games.opened == 4 <= games.closed


def test_without_a_game_there_are_two_screens(models):
    model = models(open_game=None)
    session = Session(model, Painter(model.vision, model.device))
    with pytest.raises(Refused, match="toy cannot be played on this machine, only dreamt"):
        say(session, "screen", name="compare")
    assert session.screen.name == "dream"


def test_a_game_that_cannot_be_played_says_so_and_waits(models):
    def broken():
        raise UserError("there is no game here")

    model = models(open_game=broken)
    session = Session(model, Painter(model.vision, model.device))
    say(session, "screen", name="compare")
    with pytest.raises(UserError, match="there is no game here"):
        session.advance()
    assert not session.running


def test_a_game_that_dies_ends_the_episode_and_can_be_begun_anew(models):
    pool = open_pool(game("toy"))
    play, alive = pool.step, [True, False, True]

    def dying(actions: np.ndarray) -> Any:
        if not alive.pop(0):
            raise UserError("a worker process died")
        return play(actions)

    pool.step = dying
    model = models(open_game=lambda: pool)
    session = Session(model, Painter(model.vision, model.device))
    say(session, "screen", name="compare")
    run(session, 2)
    with pytest.raises(UserError, match="a worker process died"):
        session.advance()
    assert not session.running
    assert run(session, 0).header["actual"]["ended"]
    say(session, "restart")
    assert run(session, 2).header["step"] == 1


def test_two_moments_that_have_nothing_to_do_with_each_other_are_the_root_of_two_apart():
    std = np.array([1.0, 0.5, 0.1], np.float32)
    rng = np.random.default_rng(0)
    away = rng.normal(size=(4000, 3)) * std * np.sqrt(2)
    distances = [latent_distance(one, std) for one in away]
    assert np.sqrt(np.mean(np.square(distances))) == pytest.approx(np.sqrt(2), rel=0.05)
    assert latent_distance(np.zeros(3), std) == 0
