"""The import rules of docs/architecture.md, read off the syntax trees, and that importing does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "worldmodels"
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}

ALL_ROOMS = {
    "runs", "controller", "envs", "rollouts", "vision", "memory",
    "worlds", "evolution", "evaluation", "report", "play", "export", "pipeline",
}  # fmt: skip

# Room (or module of the package's root) -> the rooms it may import. A dotted name allows that module only.
# Its own room and worldmodels.errors are open to all.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "runs": set(),
    "controller": set(),
    "envs": set(),
    "rollouts": {"envs", "runs"},
    "vision": {"rollouts", "runs"},
    "memory": {"rollouts", "runs"},  # M has never seen a pixel
    "worlds": {"envs", "rollouts", "vision", "memory", "controller", "runs"},
    "evolution": {"controller", "worlds.state", "runs"},  # cannot tell a dream from the actual world
    "evaluation": {"controller", "worlds", "evolution.fitness", "rollouts", "runs"},
    "report": {"runs"},
    "play": {"worlds", "controller", "runs", "memory", "vision", "envs", "report.video"},
    "export": {"play", "worlds", "controller", "runs", "memory", "vision", "envs"},
    "experiments": ALL_ROOMS,  # config classes only, see below
    "presets": ALL_ROOMS | {"experiments", "presets_take_cover"},  # likewise
    "presets_take_cover": ALL_ROOMS | {"experiments"},
    "pipeline": ALL_ROOMS | {"experiments"},
    "bench": (ALL_ROOMS - {"pipeline"})
    | {"experiments", "presets", "pipeline.export"},  # which makes the page
    "verbs": {
        "pipeline",
        "experiments",
        "presets",
        "report",
        "play",
        "bench",
        "runs.folder",
        "runs.pretrained",
    },
    "cli": {"verbs"},
    "__init__": ALL_ROOMS,  # the public API
}

# Library -> the only places of the package that may import it.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "gymnasium": ("envs/", "worlds/dream_env.py", "__init__.py"),  # dreams as environments; their ids
    "envpool": ("envs/",),
    "vizdoom": ("envs/",),
}
OPTIONAL = {"envpool", "vizdoom"}  # not on every machine: imported inside the functions that need them

FOREIGN_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
EMPTY_WORDS = {"utils", "util", "misc", "tools", "helper", "helpers", "manager", "process", "data2"}


class Import(NamedTuple):
    """One imported name: `from module import name`, or `import module` with an empty name."""

    module: str
    name: str
    where: str
    at_module_level: bool


def source_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def imports_of(path: Path) -> Iterator[Import]:
    tree = tree_of(path)
    inside_functions = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree):
        at_module_level = id(node) not in inside_functions
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", where(path, node), at_module_level)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*parents, *([node.module] if node.module else [])))
            for alias in node.names:
                yield Import(module, alias.name, where(path, node), at_module_level)


def room_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imported_module(found: Import) -> str:
    """What an import reaches, without the package's name (`worlds.state`; "" is the root)."""
    module = found.module.removeprefix("worldmodels").removeprefix(".")
    is_module = module in ("", *ROOMS) and (
        (PACKAGE / module / found.name).is_dir() or (PACKAGE / module / f"{found.name}.py").is_file()
    )
    return f"{module}.{found.name}".strip(".") if found.name and is_module else module


def imports_between_rooms() -> Iterator[tuple[str, str, Import]]:
    for path in source_files("worldmodels"):
        for found in imports_of(path):
            if found.module.split(".")[0] == "worldmodels":
                yield room_of(path), imported_module(found), found


def test_every_room_has_a_rule():
    rooms = {room_of(path) for path in source_files("worldmodels")}
    assert rooms <= MAY_IMPORT.keys(), f"say what these may import: {sorted(rooms - MAY_IMPORT.keys())}"
    assert ROOMS - {"verbs", "bench"} <= ALL_ROOMS  # which nothing but the command line may import


def test_rooms_import_only_what_they_may():
    for room, target, found in imports_between_rooms():
        allowed = MAY_IMPORT[room] | {room, "errors"}
        parts = target.split(".")
        reached = {".".join(parts[: n + 1]) for n in range(len(parts))}
        assert reached & allowed, f"{found.where}: {room} may not import worldmodels.{target}".rstrip(".")


def frozen_dataclasses(module: str) -> set[str]:
    """Names of the settings classes in one module of ours (`memory.mdn_rnn`)."""
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        return set()
    return {
        node.name
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(decorator) == "dataclass(frozen=True)" for decorator in node.decorator_list)
    }


def test_experiments_import_config_classes_only():
    for room, target, found in imports_between_rooms():
        if room in ("experiments", "presets", "presets_take_cover") and target.split(".")[0] in ROOMS:
            assert found.name in frozen_dataclasses(target), (
                f"{found.where}: {found.name or target} is no frozen dataclass of settings"
            )


def test_games_are_imported_in_their_room_only():
    for path in source_files("worldmodels"):
        inside = path.relative_to(PACKAGE).as_posix()
        for found in imports_of(path):
            library = found.module.split(".")[0]
            assert inside.startswith(ONLY_IN.get(library, ("",))), f"{found.where}: {library} belongs in envs"
            assert not (library in OPTIONAL and found.at_module_level), (
                f"{found.where}: {library} is optional, import it where it is used"
            )


def test_the_report_never_imports_torch():
    for path in source_files("worldmodels/report"):
        for found in imports_of(path):
            assert found.module.split(".")[0] != "torch", f"{found.where}: the report reads json and media"


def test_nothing_on_disk_is_code():
    """Opening somebody's run must not run their code: no pickle in any of its disguises.

    Tests are exempt: they make hostile files on purpose.
    """
    for path in source_files("worldmodels", "benchmarks"):
        for found in imports_of(path):
            assert found.module.split(".")[0] not in FOREIGN_CODE, found.where
            assert not (found.module == "torch" and found.name in ("load", "save")), found.where
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "torch":
                assert node.attr not in ("load", "save"), f"{where(path, node)}: torch.{node.attr} pickles"
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.unparse(node.value) == "False", f"{where(path, node)}: allow_pickle"


def test_names_say_something():
    for path in source_files("worldmodels", "tests", "benchmarks"):
        names = {part.removeprefix("test_") for part in path.relative_to(ROOT).with_suffix("").parts}
        assert not names & EMPTY_WORDS, f"{path.relative_to(ROOT)}: a file is named after what it holds"
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert node.name.lower() not in EMPTY_WORDS, f"{where(path, node)}: {node.name}"
            elif isinstance(node, ast.alias):
                assert node.asname not in EMPTY_WORDS, f"{where(path, node)}: {node.asname}"


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in an empty folder, which must succeed and print nothing but what `code` prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done


HEAVY = ("torch", "envpool", "vizdoom", "Box2D", "pygame", "matplotlib", "av", "tensorboard", "cma")


def test_importing_the_package_is_light(tmp_path):
    code = f"import sys, worldmodels; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = run_python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_worker_processes_of_games_stay_small(tmp_path):
    code = "import sys, worldmodels.envs.gymnasium_worker; print('torch' in sys.modules)"
    assert run_python(code, tmp_path).stdout == "False\n"


IMPORT_ALL = """
import importlib, os, signal, sys, threading
import av, cma, gymnasium, matplotlib, numpy, torch, tyro  # what these do when imported is not ours to judge

def world():
    return {
        "environment variables": dict(os.environ),
        "signal handlers": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "threads": threading.active_count(),
        "torch settings": (torch.initial_seed(), torch.get_num_threads(), torch.get_default_dtype(),
                           torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()),
        "numpy's random state": numpy.random.get_state()[1].tolist(),
        "matplotlib settings": dict(matplotlib.rcParams.copy()),
        "games": [name for name in ("envpool", "vizdoom", "Box2D", "pygame") if name in sys.modules],
        "files": os.listdir(),
    }

before = world()
for module in sys.argv[1:]:
    importlib.import_module(module)
    for what, value in world().items():
        assert value == before[what], f"importing {module} changed {what}: {before[what]} -> {value}"
"""


def test_importing_every_module_does_nothing_and_prints_nothing(tmp_path):
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in source_files("worldmodels")
        if path.stem != "__main__"
    ]
    done = run_python(f"import sys; sys.argv[1:] = {modules!r}\n{IMPORT_ALL}", tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
