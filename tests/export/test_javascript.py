"""The page's JavaScript against the Python that it copies, number for number; run by Node.js."""

from __future__ import annotations

import base64
import io
import math
import random
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from worldmodels.errors import UserError
from worldmodels.export.description import describe, exported_starts
from worldmodels.memory.mdn_rnn import Recurrent
from worldmodels.play.actions import hundredths, mean_action
from worldmodels.play.dream import Dream
from worldmodels.play.moment import NOT_A_MOMENT, moment_code, read_moment
from worldmodels.worlds import noise
from worldmodels.worlds.dream import FIRST_LATENT, TICKS, fall_asleep

SEEDS = [0, 1, 2, 77, 2**31 - 1, 2**32 - 1, 2**32, 2**53 - 1, 123456789012345]


def test_random_numbers_are_the_same(run_javascript):
    found = run_javascript(
        """
        import { fallAsleep, fork, key, uniform } from "./local/noise.js";
        const stream = (seed) => fork(key(seed), 2);
        say(given.map((seed) => [
          key(seed),
          ...[0, 1, 35999].map((tick) => Array.from(uniform(stream(seed), tick, 64))),
          fallAsleep(seed, 64, 8).ticks,
        ]));
        """,
        SEEDS,
    )
    for seed, (key, *draws, ticks) in zip(SEEDS, found, strict=True):
        keys = noise.keys([seed])
        assert key == keys.item()
        assert ticks == noise.fork(keys, TICKS).item()
        for tick, drawn in zip((0, 1, 35_999), draws, strict=True):
            wanted = noise.uniform(noise.fork(keys, TICKS), tick, 64)[0]
            assert torch.equal(torch.tensor(drawn, dtype=torch.float64).float(), wanted)
            assert drawn == wanted.double().tolist()  # exact, and not only when rounded


def test_dreams_begin_alike(run_javascript, model):
    starts = exported_starts(model.starts)
    size = model.latent_size
    found = run_javascript(
        """
        import { fallAsleep } from "./local/noise.js";
        say(given.seeds.map((seed) => {
          const { row, first } = fallAsleep(seed, given.count, given.size);
          return [row, Array.from(first)];
        }));
        """,
        {"seeds": SEEDS, "count": len(starts), "size": size},
    )
    for seed, (row, first) in zip(SEEDS, found, strict=True):
        z, memory, _ = fall_asleep(starts, [seed], model.openings)
        assert torch.equal(memory.h[0], starts.h[row])
        assert torch.equal(memory.c[0], starts.c[row])
        wanted = noise.normal(noise.fork(noise.keys([seed]), FIRST_LATENT), 0, size)
        assert torch.allclose(torch.tensor([first]), wanted, rtol=1e-6, atol=1e-6)
        made = starts.mu[row] + torch.exp(0.5 * starts.logvar[row]) * torch.tensor(first)
        assert torch.allclose(made, z[0], rtol=1e-5, atol=1e-5)


def test_the_normal_quantile_in_all_three_parts(run_javascript):
    given = [2**-24, 1e-6, 0.01, 0.0749, 0.0751, 0.3, 0.5, 0.7, 0.9249, 0.9251, 0.999, 1 - 2**-24, 1e-12]
    found = run_javascript(
        "import { normal } from './local/noise.js'; say(given.map((p) => normal(p)));", given
    )
    exact = math.sqrt(2) * torch.erfinv(2 * torch.tensor(given, dtype=torch.float64) - 1)
    assert torch.allclose(torch.tensor(found, dtype=torch.float64), exact, rtol=3e-7, atol=1e-7)


def test_actions_are_rounded_alike(run_javascript):
    rng = random.Random(0)
    values = [-1.0, -0.005, 0.005, 0.015, 0.285, 1.005, *(rng.uniform(-1, 1) for _ in range(300))]
    lists = [[[rng.randint(-100, 100) for _ in range(3)] for _ in range(size)] for size in (1, 2, 3, 4, 4, 5)]
    found = run_javascript(
        """
        import { hundredths, meanAction } from "./local/actions.js";
        say([given[0].map(hundredths), given[1].map(meanAction)]);
        """,
        [values, lists],
    )
    assert found[0] == [hundredths(value) for value in values]
    assert found[1] == [list(mean_action([tuple(action) for action in actions])) for actions in lists]


def test_controllers_decide_alike(run_javascript, model):
    z, h, c = (torch.randn(1, size) for size in (32, 256, 256))
    described = describe(model, exported_starts(model.starts), {})
    found = run_javascript(
        """
        import { act } from "./local/controller.js";
        say(given.controllers.map((controller) => act(controller, given)));
        """,
        {"controllers": described["controllers"], "z": z[0].tolist(), "h": h[0].tolist(), "c": c[0].tolist()},
    )
    for driver, action in zip(model.controllers, found, strict=True):
        assert action == pytest.approx(driver.act(z, Recurrent(h, c)), abs=1e-5)


@pytest.fixture(scope="module")
def dream(model) -> Dream:
    dream = Dream(model, 2**40 + 3)
    rng = np.random.default_rng(0)
    steering, pedals = rng.integers(-100, 101, (40, 1)), rng.integers(0, 101, (40, 2))
    dream.replay(np.hstack([steering, pedals]).astype(np.int8), [100] * 25 + [37] * 14 + [200])
    return dream


READ = """
import { ActionRange } from "./local/actions.js";
import { momentCode, readMoment } from "./local/moment.js";
const { model, codes } = given;
const range = new ActionRange(model.action_low, model.action_high);
const read = (code) => readMoment(code, model, range).catch((error) => `${error.constructor.name}: ${error.message}`);
"""


def test_moments_are_one_language(run_javascript, model, dream):
    described = describe(model, model.starts, {})
    code = moment_code(dream)
    again, read = run_javascript(
        READ + "const found = await read(codes[0]); say([await momentCode({ model, ...found }), found]);",
        {"model": described, "codes": [code]},
    )
    assert read["seed"] == dream.seed
    assert read["actions"] == dream.actions.tolist()
    assert read["temperatures"] == dream.temperatures.tolist()
    moment = read_moment(again, model)
    assert moment.seed == dream.seed
    assert np.array_equal(moment.actions, dream.actions)
    assert np.array_equal(moment.temperatures, dream.temperatures)


def test_what_is_no_moment_is_refused(run_javascript, model, dream):
    def packed(text: bytes) -> str:
        return base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")

    described = describe(model, model.starts, {})
    code = moment_code(dream)
    plain = zlib.decompress(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))
    codes = {
        "": NOT_A_MOMENT,
        "hello there": NOT_A_MOMENT,
        code[:-9]: NOT_A_MOMENT,
        "A" * 60_001: NOT_A_MOMENT,
        packed(b"\0" * 40_000_000): NOT_A_MOMENT,  # 40 kB that would become 40 MB
        packed(plain[:-1]): NOT_A_MOMENT,
        packed(plain.replace(b'"seed":', b'"seed":-')): NOT_A_MOMENT,
        packed(plain.replace(b"[25,100]", b"[24,100]")): NOT_A_MOMENT,
        packed(plain.replace(b"[25,100]", b"[25,99999]")): NOT_A_MOMENT,
        packed(plain[:-1] + bytes([plain[-1] ^ 0x80])): NOT_A_MOMENT,  # a brake below 0
        packed(b"[]\n"): NOT_A_MOMENT,
        packed(b"null\n"): NOT_A_MOMENT,
        packed(plain.replace(b"0123456789abcdef", b"fedcba9876543210")): "another model",
    }
    found = run_javascript(
        READ + "say(await Promise.all(codes.map(read)));", {"model": described, "codes": [*codes]}
    )
    for said, wanted in zip(found, codes.values(), strict=True):
        assert isinstance(said, str), "it was taken for a moment"
        assert said.startswith("Refusal: ")
        assert wanted in said
    with pytest.raises(UserError):  # Python refuses the same
        read_moment(packed(plain[:-1]), model)


def test_gifs_show_the_pictures(run_javascript):
    """A photograph-like film of 60 colours keeps them to within the palette's steps of 8."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (60, 3), np.uint8)
    film = colours[rng.integers(0, 60, (7, 64, 64))]
    film[3] = colours[0]  # one colour only: the longest codes
    data = run_javascript(
        """
        import { encodeGif } from "./local/gif.js";
        const pictures = given.map((text) => Uint8Array.from(Buffer.from(text, "base64")));
        say(Buffer.from(encodeGif(pictures, 25)).toString("base64"));
        """,
        [base64.b64encode(picture.tobytes()).decode() for picture in film],
    )
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert getattr(image, "n_frames") == len(film)  # noqa: B009
        assert image.info["duration"] == 40
        assert image.info["loop"] == 0
        for index, picture in enumerate(film):
            image.seek(index)
            shown = np.asarray(image.convert("RGB"))
            assert shown.shape == (192, 192, 3)
            assert np.abs(shown[1::3, 1::3].astype(int) - picture).max() <= 8
            assert np.array_equal(shown[::3, ::3], shown[2::3, 2::3])
