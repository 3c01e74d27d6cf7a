"""What may be said, and that everything else is refused in one sentence."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.play.messages import Message, Refused, read_message

GOOD = [
    {"type": "ack", "n": 3},
    {"type": "screen", "name": "compare"},
    {"type": "input", "id": 7, "action": [0.5, 1, 0]},
    {"type": "drive", "who": "controller"},
    {"type": "controller", "name": "round-01"},
    {"type": "temperature", "value": 1},
    {"type": "pause", "on": True},
    {"type": "restart"},
    {"type": "restart", "seed": None},
    {"type": "restart", "seed": 5, "controller": "round-01"},
    {"type": "step"},
    {"type": "rewind", "ticks": 12},
    {"type": "moment"},
    {"type": "restore", "code": "abc"},
    {"type": "record", "format": "gif", "seconds": 2.5},
    {"type": "watch", "dimension": None},
    {"type": "branch"},
    {"type": "examples"},
    {"type": "encode", "example": 0},
    {"type": "encode", "from": "dream"},
    {"type": "encode", "pixels": "A" * 16384},
    {"type": "decode", "id": 1, "z": [0.5] * 32},
    {"type": "mixture", "dimension": 3},
]
BAD = [
    '{"type":"ack"}', '{"type":"ack","n":-1}', '{"type":"ack","n":1.5}', '{"type":"ack","n":"1"}',
    '{"type":"ack","n":true}', '{"type":"ack","n":1,"m":2}', '{"type":"ack","n":9007199254740993}',
    '{"type":"ack","n":1e400}', '{"type":"screen","name":"admin"}', '{"type":"temperature","value":0.09}',
    '{"type":"temperature","value":2.01}', '{"type":"temperature","value":NaN}',
    '{"type":"temperature","value":Infinity}', '{"type":"temperature","value":null}',
    '{"type":"input","id":1,"action":[]}', '{"type":"input","id":1,"action":[NaN]}',
    '{"type":"input","id":1,"action":[1e999]}', '{"type":"input","id":1,"action":["0"]}',
    '{"type":"input","id":1,"action":[true]}', '{"type":"input","id":1,"action":' + str([0] * 65) + "}",
    '{"type":"pause","on":1}', '{"type":"rewind","ticks":0}', '{"type":"record","format":"exe","seconds":1}',
    '{"type":"record","format":"mp4","seconds":61}', '{"type":"restart","seed":-1}', '{"type":"encode"}',
    '{"type":"encode","example":1,"from":"dream"}', '{"type":"encode","source":"dream"}',
    '{"type":"decode","id":1,"z":[11]}', '{"type":"decode","id":1,"z":[]}', '{"type":"hello"}', '{"type":5}',
    '{"type":null}', "{}", "[]", "null", "5", '"ack"', "", "{", "\0", '{"type":"ack","n":1}{}',
    "[" * 5000, '{"type":' * 5000, '{"type":"ack","n":' + "9" * 6000 + "}",
]  # fmt: skip


@pytest.mark.parametrize("message", GOOD, ids=lambda message: message["type"])
def test_what_a_page_says_is_understood(message):
    assert read_message(json.dumps(message)).type == message["type"]


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_anything_else_is_refused_in_one_short_sentence(text):
    with pytest.raises(Refused) as refused:
        read_message(text)
    assert 5 < len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
types = st.sampled_from([message["type"] for message in GOOD])
names = st.sampled_from(sorted({name for message in GOOD for name in message}))


@given(
    st.binary()
    | st.text()
    | json_values.map(json.dumps)
    | st.builds(
        lambda type, rest: json.dumps(rest | {"type": type}), types, st.dictionaries(names, json_values)
    )
)
def test_nothing_but_a_message_or_a_refusal_comes_out(text):
    with contextlib.suppress(Refused):
        assert isinstance(read_message(text), Message)
