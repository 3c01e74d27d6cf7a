"""CarRacing painted faster: the same frames, rewards and ends as Gymnasium's, bit for bit.

And sketched: the same rewards and ends, and frames of which V sees nearly the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from worldmodels.envs.car_painter import ROWS, PaintedGame
from worldmodels.envs.car_sketch import SketchedGame
from worldmodels.envs.game import game, resized
from worldmodels.envs.pool import open_pool
from worldmodels.errors import UserError
from worldmodels.pipeline.work import open_run
from worldmodels.runs.pretrained import run_folder
from worldmodels.vision.vae import pixels

REPEATS = 3


def new_game(steps: int = 1000) -> Any:
    import gymnasium

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's, about its own action space
        return gymnasium.make("CarRacing-v3", disable_env_checker=True, max_episode_steps=steps)


def weaving(tick: int) -> np.ndarray:
    """Off, over the road and its borders, onto the grass and back."""
    return np.array([0.4 * np.sin(tick / 6), 0.5 if tick < 20 else 0.1, 0.0], np.float32)


def spinning(tick: int) -> np.ndarray:
    return np.array([1.0, 1.0, 0.0], np.float32)


@pytest.mark.parametrize(("seed", "drive"), [(1, weaving), (2, weaving), (3, spinning)])
def test_frames_rewards_and_ends_are_gymnasiums(seed: int, drive: Callable[[int], np.ndarray]):
    """Every third frame is looked at, from the zoom of the first second on."""
    reference, painted = new_game(), PaintedGame(new_game())
    assert np.array_equal(painted.reset(seed), reference.reset(seed=seed)[0][:ROWS])
    assert painted.paints
    visited = 0
    for tick in range(50):
        for repeat in range(REPEATS):
            look = repeat == REPEATS - 1
            theirs = reference.step(drive(tick))
            frame, reward, terminated, truncated = painted.step(drive(tick), look)
            assert (reward, terminated, truncated) == (theirs[1], theirs[2], theirs[3])
            assert (frame is not None) == look
            if frame is not None:
                assert np.array_equal(frame, theirs[0][:ROWS]), f"tick {tick}"
            visited += reward > 0
    assert visited > 2, "tiles that were driven over have another colour"


@pytest.mark.parametrize("direction", [(0.99, 0.0), (-0.97, 0.3), (0.5, -0.985)])
def test_at_the_end_of_the_field_too(direction: tuple[float, float]):
    """Where the field ends the picture is black; and who crosses it has lost, and sees one last frame."""
    from gymnasium.envs.box2d.car_racing import PLAYFIELD

    reference, painted = new_game(), PaintedGame(new_game())
    reference.reset(seed=5)
    painted.reset(5)
    black = 0
    for env in (reference.unwrapped, painted._car_racing):
        place = [PLAYFIELD * part for part in direction]
        moved = np.subtract(place, tuple(env.car.hull.position))
        for body in (env.car.hull, *env.car.wheels):
            body.position = tuple(np.add(tuple(body.position), moved))
            body.linearVelocity = (60 * direction[0], 60 * direction[1])
    for _ in range(40):
        theirs = reference.step(np.zeros(3, np.float32))
        frame, reward, terminated, _ = painted.step(np.zeros(3, np.float32), look=True)
        assert frame is not None
        assert np.array_equal(frame, theirs[0][:ROWS])
        assert (reward, terminated) == (theirs[1], theirs[2])
        black += not frame.any(axis=2).all()
        if terminated:
            break
    assert black, "the end of the field was never in sight"


def test_the_last_frame_is_painted_whoever_looks():
    painted = PaintedGame(new_game(steps=4))
    painted.reset(0)
    for step in range(3):
        assert painted.step(weaving(step), look=False)[0] is None
    frame, _, _, truncated = painted.step(weaving(3), look=False)
    assert truncated
    assert frame is not None


def test_where_its_frames_would_differ_gymnasium_paints(monkeypatch: pytest.MonkeyPatch):
    from gymnasium.envs.box2d.car_racing import CarRacing

    paint: Any = CarRacing._render
    monkeypatch.setattr(
        CarRacing, "_render", lambda env, mode: 255 - paint(env, mode)
    )  # another version, say
    reference, painted = new_game(), PaintedGame(new_game())
    for seed in (1, 2):
        assert np.array_equal(painted.reset(seed)[:ROWS], reference.reset(seed=seed)[0][:ROWS])
        assert not painted.paints
        for tick in range(3):
            frame = painted.step(weaving(tick), look=False)[0]
            assert frame is not None
            assert np.array_equal(frame[:ROWS], reference.step(weaving(tick))[0][:ROWS])


def test_where_it_cannot_paint_gymnasium_does(monkeypatch: pytest.MonkeyPatch):
    """Another version, say, with a patch of five corners on the road."""
    from gymnasium.envs.box2d.car_racing import CarRacing

    create: Any = CarRacing._create_track

    def with_five_corners(env: Any) -> bool:
        made = create(env)
        if made:
            env.road_poly.append(([(0, 0), (5, 0), (6, 3), (3, 6), (0, 5)], (9, 9, 9)))
        return made

    monkeypatch.setattr(CarRacing, "_create_track", with_five_corners)
    reference, painted = new_game(), PaintedGame(new_game())
    assert np.array_equal(painted.reset(1), reference.reset(seed=1)[0][:ROWS])
    assert not painted.paints
    frame = painted.step(weaving(0), look=False)[0]
    assert frame is not None
    assert np.array_equal(frame, reference.step(weaving(0))[0][:ROWS])


@pytest.fixture(scope="module")
def both() -> tuple[np.ndarray, np.ndarray]:
    """Gymnasium's frames and sketches of the same moments, (N, 84, 96, 3) each, from the zoom of the start on."""
    theirs, ours = [], []
    for seed, drive in ((1, weaving), (2, weaving), (3, spinning)):
        painted, sketched = PaintedGame(new_game()), SketchedGame(new_game())
        theirs.append(painted.reset(seed))
        ours.append(sketched.reset(seed))
        assert sketched.paints
        for tick in range(120):
            look = tick % 3 == 2
            frame, *told = painted.step(drive(tick), look)
            sketch, *told_too = sketched.step(drive(tick), look)
            assert told == told_too, "the game is the same"
            assert (sketch is None) == (frame is None)
            if frame is not None and sketch is not None:
                theirs.append(frame)
                ours.append(sketch)
    return np.stack(theirs), np.stack(ours)


def test_a_sketch_is_nearly_the_frame(both: tuple[np.ndarray, np.ndarray]):
    theirs, ours = (resized(frames).astype(int) for frames in both)
    away = np.abs(theirs - ours)
    assert away.mean() < 1.5
    assert np.quantile(away, 0.99) <= 8
    assert away.max() < 70, "nothing that is there is missing"
    assert away.max(axis=(1, 2, 3)).min() > 0, "they are not the same frames twice"


def test_v_sees_nearly_the_same(both: tuple[np.ndarray, np.ndarray]):
    vision = open_run(run_folder("pretrained:car-racing-dream"), "cpu").best().vision
    (theirs, logvar), (ours, _) = (vision.encode(pixels(torch.from_numpy(resized(part)))) for part in both)
    away = (theirs - ours).square().mean().sqrt()
    assert away < 0.05 * theirs.std()
    assert ((theirs - ours) / torch.exp(0.5 * logvar)).square().mean().sqrt() < 0.25, "of V's own doubt"


def test_where_gymnasium_has_to_paint_nothing_is_sketched(monkeypatch: pytest.MonkeyPatch):
    from gymnasium.envs.box2d.car_racing import CarRacing

    paint: Any = CarRacing._render
    monkeypatch.setattr(CarRacing, "_render", lambda env, mode: 255 - paint(env, mode))
    reference, sketched = new_game(), SketchedGame(new_game())
    assert np.array_equal(sketched.reset(1), reference.reset(seed=1)[0][:ROWS])
    assert not sketched.paints
    frame = sketched.step(weaving(0), look=False)[0]
    assert frame is not None
    assert np.array_equal(frame[:ROWS], reference.step(weaving(0))[0][:ROWS])


@pytest.mark.parametrize("name", ["take-cover", "toy"])
def test_what_nobody_sketches_is_refused(name: str):
    with pytest.raises(UserError, match="--backend"):
        open_pool(game(name), "sketch")
