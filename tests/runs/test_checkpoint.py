"""Checkpoints: what is saved comes back, and nothing else is taken for one."""

import json
import math
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.errors import UserError
from worldmodels.runs import files
from worldmodels.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from worldmodels.runs.folder import RunFolder

CONFIG = {"latent_size": 32, "rates": (1e-3, 1e-5), "clip": math.inf}
WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(3), "step": torch.tensor(7)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RunFolder(tmp_path / "run").memory(0)


def save(path: Path, **changes: object) -> str:
    arguments = {"kind": "memory", "config": CONFIG, "weights": WEIGHTS, "progress": {"step": 5}} | changes
    return save_checkpoint(path, **arguments)  # type: ignore[arg-type]


def same(a: Checkpoint, b: Checkpoint) -> bool:
    return a.sha256 == b.sha256 and a.progress == b.progress and a.made_from == b.made_from


def test_a_checkpoint_comes_back(path: Path):
    sha256 = save(path, made_from={"vision": "abc"})
    loaded = load_checkpoint(path, kind="memory", made_from={"vision": "abc"})
    assert loaded.kind == "memory"
    assert loaded.config == {"latent_size": 32, "rates": [1e-3, 1e-5], "clip": math.inf}
    assert loaded.progress == {"step": 5}
    assert loaded.made_from == {"vision": "abc"}
    assert loaded.sha256 == sha256
    assert loaded.weights.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        assert torch.equal(loaded.weights[name], tensor)
        assert loaded.weights[name].dtype == tensor.dtype


@given(
    shape=st.lists(st.integers(0, 4), max_size=3),
    dtype=st.sampled_from(
        [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8]
    ),
)
def test_tensors_of_every_shape_and_type_come_back(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], dtype: torch.dtype
):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    tensor = torch.full(shape, 3).to(dtype)
    sha256 = save_checkpoint(path, kind="any", config={}, weights={"x": tensor})
    loaded = load_checkpoint(path, kind="any")
    assert loaded.sha256 == sha256
    assert loaded.weights["x"].dtype == dtype
    assert torch.equal(loaded.weights["x"], tensor)


def test_views_shared_and_learning_tensors_can_be_saved(path: Path):
    base = torch.arange(12.0, requires_grad=True).reshape(3, 4)
    save(
        path,
        weights={"turned": base.T, "slice": base[1:], "same": base, "parameter": torch.nn.Parameter(base)},
    )
    loaded = load_checkpoint(path, kind="memory").weights
    assert torch.equal(loaded["turned"], base.T)
    assert torch.equal(loaded["slice"], base[1:])
    assert not loaded["parameter"].requires_grad


def test_the_hash_is_of_what_the_model_computes(path: Path):
    first = save(path)
    assert save(path, progress={"step": 6}, made_from={"vision": "abc"}) == first
    assert save(path, weights=dict(reversed(WEIGHTS.items()))) == first
    others = [
        save(path, kind="vision"),
        save(path, config=CONFIG | {"latent_size": 33}),
        save(path, weights=WEIGHTS | {"a.bias": torch.ones(3)}),
        save(path, weights=WEIGHTS | {"a.bias": torch.zeros(3, dtype=torch.float64)}),
        save(path, weights=WEIGHTS | {"a.weight": WEIGHTS["a.weight"].reshape(3, 2)}),
        save(path, weights={name.upper(): tensor for name, tensor in WEIGHTS.items()}),
    ]
    assert len({first, *others}) == 7


def test_the_weights_open_without_this_package(path: Path):
    save(path)
    assert torch.equal(safetensors.torch.load_file(path)["a.weight"], WEIGHTS["a.weight"])


def test_a_missing_file_names_the_command(path: Path):
    with pytest.raises(
        UserError, match=rf"round-00\.safetensors not found; run `worldmodels memory {path.parents[1]}`"
    ):
        load_checkpoint(path, kind="memory")


def test_a_file_cut_short_anywhere_is_refused(path: Path):
    save(path)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(
            UserError, match=r"cut short or not a checkpoint.*delete it and run `worldmodels memory"
        ):
            load_checkpoint(path, kind="memory")


def test_a_changed_byte_anywhere_is_refused_or_changes_nothing(path: Path):
    save(path, made_from={"vision": "abc"})
    whole, before = path.read_bytes(), load_checkpoint(path, kind="memory")
    header = 8 + int.from_bytes(whole[:8], "little")
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            after = load_checkpoint(path, kind="memory")
        except UserError:
            continue
        assert at < header, "a changed weight went unnoticed"
        assert after.sha256 == before.sha256


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\xff" * 64,
        pickle.dumps({"a": 1}),
        json.dumps({"a": 1}).encode() * 10,
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2**60).to_bytes(8, "little") + b"{}",
    ],
)
def test_a_foreign_file_is_refused(path: Path, content: bytes):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match="delete it and run `worldmodels memory"):
        load_checkpoint(path, kind="memory")


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, "not a worldmodels-1 checkpoint"),
        ({"format": "pt"}, "not a worldmodels-1 checkpoint"),
        ({"format": "worldmodels-1"}, "holds a None checkpoint"),
        ({"format": "worldmodels-1", "kind": "memory"}, "is damaged"),
        ({"format": "worldmodels-1", "kind": "memory", "config": "{"}, "is damaged"),
    ],
)
def test_someone_elses_safetensors_are_refused(path: Path, metadata: dict[str, str] | None, says: str):
    path.parent.mkdir(parents=True)
    safetensors.torch.save_file(WEIGHTS, path, metadata=metadata)
    with pytest.raises(UserError, match=says):
        load_checkpoint(path, kind="memory")


def test_another_kind_is_refused(path: Path):
    save(path, kind="vision")
    with pytest.raises(UserError, match="holds a vision checkpoint where memory is needed"):
        load_checkpoint(path, kind="memory")


def test_another_lineage_names_the_command(path: Path):
    save(path, made_from={"vision": "abc"})
    load_checkpoint(path, kind="memory", made_from={"vision": "abc"})
    load_checkpoint(path, kind="memory")
    for wanted in ({"vision": "def"}, {"vision": "abc", "memory": "abc"}):
        with pytest.raises(
            UserError, match=r"was made from another .* delete it and run `worldmodels memory .*`$"
        ):
            load_checkpoint(path, kind="memory", made_from=wanted)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_weights_that_are_not_finite_are_not_saved(path: Path, bad: float, dtype: torch.dtype):
    save(path)
    before = path.read_bytes()
    tensor = torch.zeros(2, 3, dtype=dtype)
    tensor[1, 2] = bad
    with pytest.raises(UserError, match=r"its weight a\.weight has values that are not finite"):
        save(path, weights=WEIGHTS | {"a.weight": tensor})
    assert path.read_bytes() == before


def test_weights_that_are_not_finite_are_not_loaded(path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as blind:
        blind.setattr("worldmodels.runs.checkpoint._not_finite", lambda weights: None)
        save(path, weights={"x": torch.tensor([1.0, math.nan])})
    with pytest.raises(UserError, match="its weight x has values that are not finite; delete it and run"):
        load_checkpoint(path, kind="memory")


def test_a_full_disk_leaves_the_old_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch):
    save(path)
    before = load_checkpoint(path, kind="memory")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(files.os, "fsync", full)
        with pytest.raises(UserError, match="no space left to write"):
            save(path, weights={"x": torch.ones(1000)})
    assert same(load_checkpoint(path, kind="memory"), before)


def test_a_leftover_of_a_killed_save_is_harmless(path: Path):
    save(path)
    before = load_checkpoint(path, kind="memory")
    path.with_name(path.name + ".tmp").write_bytes(path.read_bytes()[:50])
    assert same(load_checkpoint(path, kind="memory"), before)
    save(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
