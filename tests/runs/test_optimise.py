"""The optimisation loop: what is interrupted, killed or diverges ends as if nothing had happened, or says so.

Run as a program, this file trains the small model of its tests until it kills itself.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from worldmodels.errors import UserError
from worldmodels.runs.checkpoint import Checkpoint, load_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import MetricsLog, read_metrics
from worldmodels.runs.optimise import GIVE_UP_AFTER, LOG_EVERY, AdamConfig, optimise
from worldmodels.runs.seeds import torch_stream

STEPS = 2 * LOG_EVERY + 5
CONFIG = AdamConfig(steps=STEPS, batch_size=8, learning_rate=0.05, final_learning_rate=0.001, clip=0.5)


class Student(nn.Module):
    """Learns a function of three numbers; one of its weights is frozen, as one of M's is."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.hidden, self.out = nn.Linear(3, 5), nn.Linear(5, 1)
        self.out.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden(x)))


Disturb = Callable[[int, Tensor, Student], Tensor]


def undisturbed(step: int, loss: Tensor, model: Student) -> Tensor:
    return loss


def train(
    run: RunFolder,
    disturb: Disturb = undisturbed,
    *,
    meanwhile: Callable[[int], object] = lambda step: None,
    config: AdamConfig = CONFIG,
    made_from: Mapping[str, str] | None = None,
    model_config: dict[str, object] | None = None,
    device: str = "cpu",
    save_every: float = math.inf,
) -> str:
    """Train a Student; `meanwhile(step)` is called in the middle of each step, and `disturb(step, loss, model)` may
    change its loss. On a GPU it cannot tell steps apart: what it does is recorded once."""
    student, now = Student().to(device), [0]

    def data(step: int) -> list[Tensor]:
        meanwhile(step)
        now[0] = step
        return [torch.randn(config.batch_size, 3, generator=torch_stream(0, "batch", step)).to(device)]

    def losses(x: Tensor) -> dict[str, Tensor]:
        error = (student(x) - x.sum(dim=1, keepdim=True)).square().mean()
        return {"loss": disturb(now[0], error, student), "error": error.detach()}

    return optimise(
        student,
        data,
        losses,
        config,
        run=run,
        path=run.memory(0),
        kind="memory",
        model_config=model_config or {"size": 5, "ahead": (2, 8)},  # a checkpoint gives a list back
        made_from=made_from or {"vision": "abc"},
        log_name="memory-00",
        save_every=save_every,
    )


def at(step: int, act: Callable[[], object]) -> Callable[[int], object]:
    """Act in one step, in the middle of it."""
    return lambda now: act() if now == step else None


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupt(run: RunFolder, step: int, **changes: object) -> None:
    """Train until Ctrl-C in the middle of a step."""
    with pytest.raises(KeyboardInterrupt):
        train(run, meanwhile=at(step, press_ctrl_c), **changes)  # type: ignore[arg-type]


def result(run: RunFolder) -> Checkpoint:
    return load_checkpoint(run.memory(0), kind="memory")


def unfinished(run: RunFolder) -> Checkpoint:
    return load_checkpoint(run.resume(run.memory(0)), kind="memory-training")


def metrics(run: RunFolder) -> list[dict[str, float]]:
    return read_metrics(run, "memory-00")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run that all others should end like."""
    run = RunFolder(tmp_path_factory.mktemp("uninterrupted"))
    train(run)
    return run


def assert_the_same(run: RunFolder, expected: RunFolder) -> None:
    """Bit for bit the same weights, and the same metrics; nothing unfinished is left."""
    a, b = result(run), result(expected)
    assert a.sha256 == b.sha256
    assert all(torch.equal(a.weights[name], b.weights[name]) for name in b.weights)
    assert metrics(run) == metrics(expected)
    assert [path.name for path in run.memory(0).parent.iterdir()] == ["round-00.safetensors"]


def test_a_training_is_saved_with_what_it_came_from(uninterrupted: RunFolder):
    checkpoint = result(uninterrupted)
    assert checkpoint.config == {"size": 5, "ahead": [2, 8]}
    assert checkpoint.made_from == {"vision": "abc"}
    assert checkpoint.progress["steps"] == STEPS
    assert checkpoint.progress["undone"] == 0
    assert checkpoint.progress["training"]["learning_rate"] == 0.05
    assert not torch.equal(checkpoint.weights["hidden.weight"], Student().hidden.weight)
    assert torch.equal(checkpoint.weights["out.bias"], Student().out.bias), "frozen"


def test_it_learns_and_logs(uninterrupted: RunFolder):
    lines = metrics(uninterrupted)
    assert [line["step"] for line in lines] == [0, LOG_EVERY, 2 * LOG_EVERY, STEPS - 1]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[0].keys() == {"step", "loss", "error", "learning_rate", "undone"}
    assert lines[0]["learning_rate"] == 0.05
    assert lines[-1]["learning_rate"] == pytest.approx(0.001)


def test_the_same_training_twice_is_the_same(run: RunFolder, uninterrupted: RunFolder):
    assert train(run) == result(uninterrupted).sha256
    assert_the_same(run, uninterrupted)


@pytest.mark.parametrize("step", [0, 7, STEPS - 1])
def test_after_ctrl_c_it_goes_on_from_the_next_step(run: RunFolder, uninterrupted: RunFolder, step: int):
    interrupt(run, step)
    assert unfinished(run).progress == {"step": step + 1, "undone": 0}
    assert not run.memory(0).exists()
    visited: list[int] = []
    train(run, meanwhile=visited.append)
    assert visited == list(range(step + 1, STEPS))
    assert_the_same(run, uninterrupted)


def test_ctrl_c_after_the_last_step_is_heard_and_the_result_is_kept(
    run: RunFolder, uninterrupted: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    close = MetricsLog.__exit__

    def pressed(log: MetricsLog, *error: Any) -> None:
        press_ctrl_c()
        close(log, *error)

    monkeypatch.setattr(MetricsLog, "__exit__", pressed)
    with pytest.raises(KeyboardInterrupt):
        train(run)
    assert_the_same(run, uninterrupted)


def test_many_interruptions_make_no_difference(run: RunFolder, uninterrupted: RunFolder):
    for step in range(0, STEPS, 4):
        interrupt(run, step)
    train(run)
    assert_the_same(run, uninterrupted)


def test_an_error_of_ours_loses_only_what_was_not_saved(run: RunFolder, uninterrupted: RunFolder):
    interrupt(run, 5)
    with pytest.raises(ZeroDivisionError):
        train(run, meanwhile=at(30, lambda: 1 / 0))
    train(run)
    assert_the_same(run, uninterrupted)


@pytest.mark.parametrize("save_every", [0.0, math.inf], ids=["saved each step", "saved long before"])
def test_a_killed_training_ends_like_an_uninterrupted_one(
    run: RunFolder, uninterrupted: RunFolder, save_every: float
):
    """kill -9, in the middle of a step, some steps after what the log says and the last checkpoint holds."""
    interrupt(run, 9)
    child = [sys.executable, __file__, str(run.path), str(LOG_EVERY + 5), str(save_every)]
    done = subprocess.run(child, check=False, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert metrics(run)[-1]["step"] == LOG_EVERY
    assert unfinished(run).progress["step"] == (LOG_EVERY + 5 if save_every == 0 else 10)
    train(run)
    assert_the_same(run, uninterrupted)


def test_the_unfinished_training_holds_adams_averages(run: RunFolder):
    interrupt(run, 3)
    weights = unfinished(run).weights
    learning = {"hidden.weight", "hidden.bias", "out.weight"}
    assert {name for name in weights if name.startswith("model.")} == {
        f"model.{name}" for name in (*learning, "out.bias")
    }
    for name in learning:
        assert weights[f"adam.exp_avg_sq.{name}"].shape == weights[f"model.{name}"].shape
        assert float(weights[f"adam.step.{name}"]) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"config": AdamConfig(STEPS, 8, learning_rate=0.04, final_learning_rate=0.001, clip=0.5)},
        {"config": AdamConfig(STEPS + 1, 8, learning_rate=0.05, final_learning_rate=0.001, clip=0.5)},
        {"made_from": {"vision": "def"}},
        {"model_config": {"size": 6}},
    ],
    ids=["learning rate", "steps", "made from another V", "shape"],
)
def test_a_training_with_other_settings_or_data_begins_anew(
    run: RunFolder, tmp_path: Path, changes: dict[str, object]
):
    interrupt(run, 7)
    train(run, **changes)  # type: ignore[arg-type]
    fresh = RunFolder(tmp_path / "fresh")
    train(fresh, **changes)  # type: ignore[arg-type]
    assert_the_same(run, fresh)


def infinite_gradient(loss: Tensor, model: Student) -> Tensor:
    """The same loss, finite, whose gradient is not: the root of 0."""
    return loss + torch.sqrt(0 * model.hidden.weight.sum())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda loss, model: loss * math.nan,
        lambda loss, model: loss * math.inf,
        infinite_gradient,
    ],
    ids=["nan", "infinity", "gradient"],
)
def test_a_step_that_is_not_finite_is_undone_and_reported(
    run: RunFolder, spoil: Callable[[Tensor, Student], Tensor]
):
    bad, before = {3, 4, LOG_EVERY}, []

    def disturb(step: int, loss: Tensor, model: Student) -> Tensor:
        before.append(nn.utils.parameters_to_vector(model.parameters()).detach().clone())
        return spoil(loss, model) if step in bad else loss

    train(run, disturb)
    for step in range(STEPS - 1):
        assert torch.equal(before[step], before[step + 1]) == (step in bad), step
    assert result(run).progress["undone"] == 3
    assert [line["undone"] for line in metrics(run)] == [0, 3, 3, 3]
    assert all(torch.isfinite(weight).all() for weight in result(run).weights.values())


def test_undone_steps_are_counted_across_an_interruption(run: RunFolder):
    def nan_early(step: int, loss: Tensor, model: Student) -> Tensor:
        if step == 6:
            press_ctrl_c()
        return loss * math.nan if step in (1, 2) else loss

    with pytest.raises(KeyboardInterrupt):
        train(run, nan_early)
    assert unfinished(run).progress == {"step": 7, "undone": 2}
    train(run)
    assert result(run).progress["undone"] == 2


def test_a_training_that_diverges_gives_up_and_keeps_its_last_checkpoint(run: RunFolder):
    interrupt(run, 5)
    kept = unfinished(run)
    seen = 2 * LOG_EVERY  # the first look after the last of the steps that are too many
    says = rf"memory diverged: {seen - 7} steps in a row .*seen at step {seen}\).*rate below 0\.05"
    with pytest.raises(UserError, match=says):
        train(run, lambda step, loss, model: loss * math.nan if step > 7 else loss)
    assert unfinished(run).sha256 == kept.sha256
    assert not run.memory(0).exists()


def test_one_good_step_is_enough_to_go_on(run: RunFolder):
    def mostly_nan(step: int, loss: Tensor, model: Student) -> Tensor:
        return loss if step % GIVE_UP_AFTER == 0 else loss * math.nan

    train(run, mostly_nan)
    assert result(run).progress["undone"] == STEPS - 3


def test_gradients_are_clipped_element_by_element(run: RunFolder):
    """Seen in Adam's average, which after one step is a tenth of the gradient."""
    slopes = torch.zeros(5, 3)
    slopes[0] = torch.tensor([100.0, -0.1, -7.0])

    def steep(step: int, loss: Tensor, model: Student) -> Tensor:
        press_ctrl_c()
        return 0 * loss + (model.hidden.weight * slopes).sum()

    with pytest.raises(KeyboardInterrupt):
        train(run, steep)
    average = unfinished(run).weights["adam.exp_avg.hidden.weight"]
    assert_close(average[0], 0.1 * torch.tensor([0.5, -0.1, -0.5]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_trains_on_a_gpu_and_goes_on_there(run: RunFolder, tmp_path: Path):
    whole = RunFolder(tmp_path / "whole")
    train(whole, device="cuda")
    assert metrics(whole)[-1]["loss"] < metrics(whole)[0]["loss"]
    interrupt(run, 9, device="cuda")
    train(run, device="cuda")
    for name, weight in result(whole).weights.items():
        assert weight.device.type == "cpu"
        assert_close(weight, result(run).weights[name], rtol=1e-3, atol=1e-4)


if __name__ == "__main__":
    folder, killed_at, seconds = sys.argv[1:]
    train(
        RunFolder(Path(folder)),
        meanwhile=at(int(killed_at), lambda: os.kill(os.getpid(), signal.SIGKILL)),
        save_every=float(seconds),
    )
