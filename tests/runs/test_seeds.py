"""Named random streams."""

import subprocess
import sys

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.runs.seeds import numpy_stream, stream, torch_stream

names = st.lists(st.one_of(st.text(max_size=8), st.integers(-10, 10)), max_size=4)


def test_streams_are_the_same_on_every_machine_and_day():
    # Written down once: another value would give everyone's runs other random numbers.
    assert stream(0) == 5621864261735219286
    assert stream(0, "evolution", 3) == 4634814586138579140


@given(st.integers(0, 2**63 - 1), names)
def test_a_stream_fits_every_generator(seed: int, path: list[str | int]):
    value = stream(seed, *path)
    assert 0 <= value < 2**63
    assert value == stream(seed, *path)


@given(names, names)
def test_different_names_are_different_streams(a: list[str | int], b: list[str | int]):
    same = [(type(x), x) for x in a] == [(type(x), x) for x in b]
    assert (stream(1, *a) == stream(1, *b)) == same


def test_names_are_kept_apart():
    assert (
        len({stream(1, "a", "bc"), stream(1, "ab", "c"), stream(1, "abc"), stream(1, "1"), stream(1, 1)}) == 5
    )


def test_numpys_integers_name_the_same_stream_as_pythons():
    assert stream(1, "episode", np.int64(3)) == stream(1, "episode", 3)  # type: ignore[arg-type]


def test_generators_repeat_and_do_not_disturb_the_global_ones():
    np_before, torch_before = repr(np.random.get_state()), torch.get_rng_state()  # noqa: NPY002
    assert numpy_stream(1, "x").random() == numpy_stream(1, "x").random() != numpy_stream(1, "y").random()
    a, b = (torch.rand(3, generator=torch_stream(1, "x")) for _ in range(2))
    assert torch.equal(a, b)
    assert repr(np.random.get_state()) == np_before  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_readers_of_runs_do_not_pay_for_torch():
    modules = "worldmodels.runs.seeds, worldmodels.runs.metrics, worldmodels.runs.files"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
