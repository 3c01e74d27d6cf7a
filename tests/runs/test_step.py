"""A step of learning against Adam written out, and the same step recorded: on a GPU, or where recording fails."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from worldmodels.runs import graphs
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.graphs import recorded
from worldmodels.runs.optimise import LOG_EVERY, AdamConfig, optimise
from worldmodels.runs.seeds import torch_stream
from worldmodels.runs.step import LearningStep

CLIP = 0.3
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def model_of(device: str = "cpu") -> nn.Linear:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.linspace(-1, 1, 6).view(2, 3))
        model.bias.zero_()
    return model.to(device)


def data_of(step: int, device: str = "cpu", rows: int = 5, bad: bool = False) -> list[Tensor]:
    """A batch (B, 3) and the factor of its loss."""
    x = torch.randn(rows, 3, generator=torch_stream(0, "batch", step))
    return [x.to(device), torch.tensor(math.nan if bad else 1.0, device=device)]


def learning(model: nn.Linear, seen: Tensor) -> LearningStep:
    """Learns to add up; `seen` is carried on: the sum of all batches."""

    def losses(x: Tensor, factor: Tensor) -> dict[str, Tensor]:
        seen.add_(x.sum())
        error = (model(x) - x.sum(dim=1, keepdim=True)).square().mean()
        return {"loss": factor * error, "error": error.detach()}

    return LearningStep(dict(model.named_parameters()), losses, clip=CLIP, kept=[seen])


def state_of(model: nn.Linear, learn: LearningStep) -> dict[str, Tensor]:
    state = {name: p.detach().clone() for name, p in model.named_parameters()}
    for name, parameter in model.named_parameters():
        state |= {f"{key}.{name}": value.clone() for key, value in learn.adam.state[parameter].items()}
    return state


def adam_by_hand(bad: set[int], steps: int, rate: Callable[[int], float]) -> dict[str, Tensor]:
    """Weights, averages and the count of steps, as the paper on Adam has them; a bad step is no step."""
    model, count = model_of().double(), 0
    parameters = dict(model.named_parameters())
    first = {name: torch.zeros_like(p) for name, p in parameters.items()}
    second = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for step in range(steps):
        if step in bad:
            continue
        x = data_of(step)[0].double()
        loss = (model(x) - x.sum(dim=1, keepdim=True)).square().mean()
        slopes = torch.autograd.grad(loss, list(parameters.values()))
        count += 1
        for (name, p), slope in zip(parameters.items(), slopes, strict=True):
            slope = slope.clamp(-CLIP, CLIP)
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope.square()
            m, v = first[name] / (1 - 0.9**count), second[name] / (1 - 0.999**count)
            with torch.no_grad():
                p -= rate(step) * m / (v.sqrt() + 1e-8)
    state: dict[str, Tensor] = {name: p.detach() for name, p in parameters.items()}
    for name in parameters:
        state |= {f"exp_avg.{name}": first[name], f"exp_avg_sq.{name}": second[name]}
        state[f"step.{name}"] = torch.tensor(float(count))
    return state


def rate(step: int) -> float:
    return 0.1 / (1 + step)


@pytest.mark.parametrize("bad", [set(), {0}, {2}, {1, 2, 5}], ids=str)
def test_a_step_is_adams_with_clipped_gradients_or_nothing(bad: set[int]):
    model, seen = model_of(), torch.zeros(())
    learn = learning(model, seen)
    for step in range(6):
        before = state_of(model, learn)
        values = learn(rate(step), data_of(step, bad=step in bad))
        assert bool(values["loss"].isfinite()) == (step not in bad)
        assert not values["loss"].requires_grad
        after = state_of(model, learn)
        assert all(torch.equal(before[name], after[name]) == (step in bad) for name in before), step
    found = state_of(model, learn)
    for name, expected in adam_by_hand(bad, 6, rate).items():
        assert_close(found[name].double(), expected.double(), rtol=1e-5, atol=1e-6, msg=name)


def test_steps_left_out_are_counted_and_the_longest_row_is_remembered():
    learn = learning(model_of(), torch.zeros(()))
    learn.go_on(10)
    assert learn.looked_at() == (10, 0)
    looks = []
    for step, bad in enumerate([1, 1, 0, 1, 1, 1, 0, 0, 1]):
        learn(rate(step), data_of(step, bad=bool(bad)))
        looks.append(learn.looked_at())
    assert [undone - 10 for undone, _ in looks] == [1, 2, 2, 3, 4, 5, 5, 5, 6]
    assert [longest for _, longest in looks] == [1, 2, 2, 2, 2, 3, 3, 3, 3]


def test_what_is_recorded_finds_its_data_in_one_place_for_each_shape(monkeypatch: pytest.MonkeyPatch):
    made: list[str] = []
    monkeypatch.setattr(graphs, "graph_of", lambda once, work, kept: made.append(work) or once)
    places: list[int] = []

    def double(x: Tensor) -> dict[str, Tensor]:
        places.append(x.data_ptr())
        return {"sum": 2 * x.sum()}

    run = recorded(double, "this runs", [])
    found = [float(run(torch.arange(n) + 1.0)["sum"]) for n in (2, 3, 2, 3)]
    assert found == [6, 12, 6, 12]
    assert made == ["this runs"] * 2
    assert (places[0], places[1]) == (places[2], places[3])
    given = torch.ones(2)
    run(given)
    assert given.data_ptr() != places[-1], "what was given stays whose it is"


class Refusing:
    """A GPU that runs what it is told and records nothing."""

    def __enter__(self) -> None:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    def __exit__(self, *error: object) -> None: ...


@pytest.fixture
def refusing_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream() -> SimpleNamespace:
        return SimpleNamespace(wait_stream=lambda other: None)

    monkeypatch.setattr(torch.cuda, "Stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", SimpleNamespace)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, **options: Refusing())


@pytest.mark.usefixtures("refusing_gpu")
def test_where_nothing_can_be_recorded_the_same_is_learnt_and_one_line_says_so(
    capsys: pytest.CaptureFixture[str],
):
    """Warming up leaves no trace: not in weights, averages or counts, nor in what is carried on."""
    (plain, plain_seen), (model, seen) = ((model_of(), torch.zeros(())) for _ in range(2))
    expected, learn = learning(plain, plain_seen), learning(model, seen)
    changing = [*model.parameters(), seen, learn._counts]
    changing += [value for of_one in learn.adam.state.values() for value in of_one.values()]
    learn._run = recorded(learn._run, "training runs", changing)
    for step in range(5):
        data = data_of(step, bad=step == 1)
        assert_close(dict(learn(rate(step), data)), dict(expected(rate(step), data)), equal_nan=True)
    found, wanted = state_of(model, learn), state_of(plain, expected)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert torch.equal(seen, plain_seen)
    assert learn.looked_at() == expected.looked_at() == (1, 1)
    said = capsys.readouterr().err.splitlines()
    assert said == ["worldmodels: training runs without CUDA graphs, slower: operation not permitted"]


@needs_gpu
def test_a_recorded_step_is_the_plain_one_also_where_it_is_left_out(capsys: pytest.CaptureFixture[str]):
    models, seen = [model_of("cpu"), model_of("cuda")], [torch.zeros((), device=d) for d in ("cpu", "cuda")]
    plain, replayed = (learning(model, carried) for model, carried in zip(models, seen, strict=True))
    for step in range(12):
        rows, bad = 5 + step % 2, step in (0, 4, 5)
        before = state_of(models[1], replayed)
        expected = plain(rate(step), data_of(step, rows=rows, bad=bad))
        found = replayed(rate(step), data_of(step, "cuda", rows, bad))
        assert_close(found["error"].cpu(), expected["error"], rtol=1e-3, atol=1e-4)
        after = state_of(models[1], replayed)
        assert all(torch.equal(before[name], after[name]) == bad for name in before), step
    for (name, a), b in zip(
        state_of(models[0], plain).items(), state_of(models[1], replayed).values(), strict=True
    ):
        assert_close(b.cpu(), a, rtol=1e-3, atol=1e-4, msg=name)
    assert_close(seen[1].cpu(), seen[0], rtol=1e-4, atol=1e-4)
    assert replayed.looked_at() == plain.looked_at() == (3, 2)
    assert "without CUDA graphs" not in capsys.readouterr().err


@contextmanager
def waiting_may_be_an_error() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the mode is a prototype
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


@needs_gpu
def test_between_two_looks_nobody_waits_for_the_gpu(tmp_path):
    run, model = RunFolder(tmp_path / "run"), model_of("cuda")
    config = AdamConfig(2 * LOG_EVERY + 1, 5, learning_rate=0.1, final_learning_rate=0.1, clip=CLIP)

    def data(step: int) -> list[Tensor]:
        torch.cuda.set_sync_debug_mode("default" if step % LOG_EVERY == 0 else "error")
        generator = torch_stream(0, "batch", step, device="cuda")
        return [torch.randn(5, 3, generator=generator, device="cuda")]

    def losses(x: Tensor) -> dict[str, Tensor]:
        return {"loss": (model(x) - x.sum(dim=1, keepdim=True)).square().mean()}

    with waiting_may_be_an_error():
        optimise(
            model, data, losses, config, run=run, path=run.memory(0), kind="memory", model_config={},
            made_from={}, log_name="memory-00", save_every=math.inf,
        )  # fmt: skip
