"""Moments as texts: there and back, and nothing else gets in."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.errors import UserError
from worldmodels.play.dream import LONGEST, Dream
from worldmodels.play.moment import LONGEST_CODE, moment_code, read_moment


def dreamt(model, seed: int, steps: list[tuple[int, int]]) -> Dream:
    dream = Dream(model, seed)
    dream.replay(np.array([[action] for action, _ in steps], np.int8), [tau for _, tau in steps])
    return dream


@given(
    st.integers(0, 2**53 - 1),
    st.lists(st.tuples(st.integers(-100, 100), st.integers(10, 200)), min_size=1, max_size=30),
)
def test_there_and_back(model, seed, steps):
    dream = dreamt(model, seed, steps)
    moment = read_moment(moment_code(dream), model)
    again = Dream(model, moment.seed)
    again.replay(moment.actions, moment.temperatures)
    assert torch.equal(again.state.z, dream.state.z)
    assert torch.equal(again.state.memory.c, dream.state.memory.c)
    assert again.state.score == dream.state.score
    assert moment_code(again) == moment_code(dream)


def test_the_beginning_is_a_moment_too(model):
    moment = read_moment(moment_code(Dream(model, 3)), model)
    assert (moment.seed, len(moment.actions), len(moment.temperatures)) == (3, 0, 0)


def test_half_an_hour_at_the_keys_fits_in_a_link(model):
    dream = Dream(model, 0)
    keys = np.repeat(np.random.default_rng(0).integers(-1, 2, 2000), 11)[:20_000]
    dream._actions = np.clip(np.convolve(keys * 100, np.ones(3) / 3, "same"), -100, 100).astype(np.int8)[
        :, None
    ]
    dream._temperatures = np.full(20_000, 100, np.uint16)
    dream.state = dream.state._replace(tick=20_000)
    assert len(moment_code(dream)) < 20_000


def test_what_does_not_fit_is_refused(model):
    dream = Dream(model, 0)
    rng = np.random.default_rng(0)
    dream._actions = rng.integers(-100, 101, (LONGEST, 1)).astype(np.int8)
    dream._temperatures = rng.integers(10, 201, LONGEST).astype(np.uint16)
    dream.state = dream.state._replace(tick=LONGEST)
    with pytest.raises(UserError, match="after 36000 ticks this dream is too long for a link; go back"):
        moment_code(dream)


def test_another_model_s_moment_is_refused(model):
    code = moment_code(dreamt(model, 3, [(5, 100)]))
    other_memory = replace(model, memory_hash="cd" * 32)
    fewer = replace(
        model.starts, **{name: getattr(model.starts, name)[:10] for name in ("mu", "logvar", "h", "c")}
    )
    for other in (other_memory, replace(model, starts=fewer)):
        with pytest.raises(
            UserError, match="this moment was dreamt by another model than the one that is being"
        ):
            read_moment(code, other)


@given(
    st.text(max_size=200) | st.binary(max_size=200).map(lambda data: base64.urlsafe_b64encode(data).decode())
)
def test_anything_else_is_refused(model, code):
    with pytest.raises(UserError, match="this link holds no moment"):
        read_moment(code, model)


@given(st.data())
def test_a_mistyped_code_leads_nowhere_or_to_a_moment(model, data):
    code = moment_code(dreamt(model, 3, [(k, 100 + k) for k in range(20)]))
    place = data.draw(st.integers(0, len(code) - 1))
    letter = data.draw(st.sampled_from("abcXYZ019-_"))
    for wrong in (code[:place], code[:place] + letter + code[place + 1 :]):
        if wrong != code:
            try:
                moment = read_moment(wrong, model)
            except UserError:
                continue
            assert (
                len(moment.actions) == len(moment.temperatures) <= LONGEST
            )  # padding bits may change nothing


def code_of(model, body: bytes = b"", **changes) -> str:
    header = {
        "version": 1, "model": model.memory_hash[:16], "seed": 1, "ticks": 0, "actions": 1, "temperatures": [],
        "starts": [model.starts.openings, len(model.starts) - model.starts.openings], **changes,
    }  # fmt: skip
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(header).encode() + b"\n" + body, 9)).decode()


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (b"", {"ticks": LONGEST + 1}),
        (b"", {"ticks": -1}),
        (b"", {"ticks": True}),
        (b"", {"ticks": 1e3}),
        (b"\1\1", {"ticks": 2}),  # no temperatures
        (b"\1", {"ticks": 1, "temperatures": [[1, 0]]}),
        (b"\1", {"ticks": 1, "temperatures": [[1, 100], [-1, 100]]}),
        (b"\1\1", {"ticks": 1, "temperatures": [[1, 100]]}),
        (b"\x80", {"ticks": 1, "temperatures": [[1, 100]]}),  # -128 is no action of the game
        (b"\1\1", {"ticks": 1, "actions": 2, "temperatures": [[1, 100]]}),
        (b"", {"temperatures": [[LONGEST, 100]] * LONGEST}),  # a billion ticks
        (b"", {"seed": 2**60}),
        (b"", {"more": 1}),
        (b"", {"version": 2}),
    ],
)
def test_what_contradicts_itself_is_refused(model, body, changes):
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(UserError, match="this link holds no moment"):
        read_moment(code_of(model, body, **changes), model)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    assert time.monotonic() - began < 20
    tracemalloc.stop()


def test_a_bomb_does_not_go_off(model):
    bomb = base64.urlsafe_b64encode(zlib.compress(b"0" * 40_000_000, 9)).decode()
    assert len(bomb) < LONGEST_CODE
    tracemalloc.start()
    with pytest.raises(UserError, match="this link holds no moment"):
        read_moment(bomb, model)
    assert tracemalloc.get_traced_memory()[1] < 12e6
    tracemalloc.stop()
