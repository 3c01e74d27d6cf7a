"""The worker processes of the Gymnasium backend: what happens when something goes wrong."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from worldmodels.envs.game import game
from worldmodels.envs.gymnasium_games import GymnasiumGames
from worldmodels.envs.pool import EpisodePool, open_pool
from worldmodels.errors import UserError

CAR_RACING = game("car-racing")
ACTIONS = np.zeros((2, 3), np.float32)

# A caller's script, without `if __name__ == "__main__"`.
SCRIPT = """
import os, signal, sys
import numpy as np
from worldmodels.envs.game import game
from worldmodels.envs.gymnasium_games import GymnasiumGames
from worldmodels.envs.pool import EpisodePool
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start its background jobs without it
games = GymnasiumGames(game("car-racing"), workers=2)
pool = EpisodePool(game("car-racing"), games)
pool.reset([1, 2])
print(*[worker.process.pid for worker in games._workers], flush=True)
for _ in range(STEPS):
    pool.step(np.zeros((2, 3), np.float32))
"""


def runs(pid: int) -> bool:
    """Whether a process runs; an ended one that nobody has asked about yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def start_script(folder: Path, steps: int, **variables: str) -> tuple[subprocess.Popen[str], list[int]]:
    script = folder / "script" / "play.py"
    script.parent.mkdir()
    script.write_text(SCRIPT.replace("STEPS", str(steps)))
    started = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stdout is not None
    line = started.stdout.readline()
    if not line:
        pytest.fail(started.communicate()[1])
    return started, [int(pid) for pid in line.split()]


def test_close_ends_the_workers():
    games = GymnasiumGames(CAR_RACING, workers=2)
    with EpisodePool(CAR_RACING, games) as pool:
        pool.reset([1, 2, 3])
        pids = [worker.process.pid for worker in games._workers]
        assert len(pids) == 2
        assert all(map(runs, pids))
    assert not any(map(runs, pids))


def test_workers_die_with_a_parent_that_is_killed(tmp_path: Path):
    parent, pids = start_script(tmp_path, steps=1_000_000)
    assert all(map(runs, pids))
    parent.kill()
    _, errors = parent.communicate(timeout=120)
    assert wait_until(lambda: not any(map(runs, pids)))
    assert errors == ""


def test_ctrl_c_leaves_no_orphan_and_no_traceback_of_a_worker(tmp_path: Path):
    parent, pids = start_script(tmp_path, steps=1_000_000)
    time.sleep(0.3)  # so that it is stepping
    os.killpg(parent.pid, signal.SIGINT)  # to the whole group, as a terminal does
    _, errors = parent.communicate(timeout=120)
    assert wait_until(lambda: not any(map(runs, pids)))
    assert errors.count("Traceback") == 1
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "gymnasium_worker" not in errors


def test_a_script_that_forgets_everything_still_leaves_nothing_behind(tmp_path: Path):
    """No close, no main guard, no screen, and a json.py of its own in the folder that it runs in."""
    (tmp_path / "json.py").write_text("raise RuntimeError('this is not the json you are looking for')")
    parent, pids = start_script(tmp_path, steps=2, SDL_VIDEODRIVER="x11", DISPLAY="")
    output, errors = parent.communicate(timeout=120)
    assert (parent.returncode, output, errors) == (0, "", "")
    assert wait_until(lambda: not any(map(runs, pids)))


def test_a_worker_that_dies_is_one_clear_error():
    games = GymnasiumGames(CAR_RACING, workers=2)
    pool = EpisodePool(CAR_RACING, games)
    pool.reset([1, 2])
    killed, other = (worker.process.pid for worker in games._workers)
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(UserError, match=r"plays car-racing died, exit code -9 .*run the command again"):
        pool.step(ACTIONS)
    assert not runs(other)
    pool.close()


def test_a_failing_game_is_one_clear_error():
    pool = open_pool(replace(CAR_RACING, gym_id="NoSuchGame-v0"), "gymnasium")
    with pytest.raises(
        RuntimeError, match=r"NoSuchGame-v0 failed in a worker process: NameNotFound: .*line \d"
    ):
        pool.reset([1, 2])
    pool.close()


@pytest.mark.parametrize(
    ("name", "module", "command"),
    [
        ("car-racing", "Box2D", 'pip install "gymnasium[box2d]"'),
        ("take-cover", "vizdoom", "pip install vizdoom"),
    ],
)
def test_a_missing_package_is_answered_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, command: str
):
    (tmp_path / f"{module}.py").write_text(f"raise ImportError('No module named {module}')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pool = open_pool(game(name), "gymnasium")
    with pytest.raises(UserError) as raised:
        pool.reset([1])
    pool.close()
    assert str(raised.value).endswith(f"Type: {command}")
    assert "\n" not in str(raised.value)


# A game whose program, as ViZDoom's, makes a folder where it runs and fails when another one makes it first.
CLUMSY = """
import os, time
import gymnasium
import numpy as np

class Clumsy(gymnasium.Env):
    action_space = gymnasium.spaces.Discrete(3)
    observation_space = gymnasium.spaces.Box(0, 255, (240, 320, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        if not os.path.exists("made"):
            time.sleep(0.2)
            os.mkdir("made")
        return np.full((240, 320, 3), seed, np.uint8), {}

gymnasium.register("Clumsy-v0", Clumsy)
"""


def test_programs_of_games_do_not_make_the_same_folder_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "games").mkdir()
    (tmp_path / "games" / "clumsy.py").write_text(CLUMSY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(["nothing", "games"])
    )  # as seen from here, not from there
    spec = replace(game("take-cover"), gym_id="Clumsy-v0", module="clumsy", frame_key=None)
    with EpisodePool(spec, GymnasiumGames(spec, workers=1)) as pool:
        frames = pool.reset([10, 20, 30, 40, 50])
    assert frames[:, 0, 0, 0].tolist() == [10, 20, 30, 40, 50]
