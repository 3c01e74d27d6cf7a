"""What is kept in the repository: its size, its independence of any one machine, its pinned versions."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
MEGABYTE = 1_000_000

# Taken apart, so that this file does not name what it forbids.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("download", "pytorch", "org"),
        ("deb", "debian", "org"), ("anaconda", "org"), ("ghcr", "io"), ("docker", "io"), ("crates", "io"),
    )
]  # fmt: skip
NOT_OF_DEV = {"stable-baselines3"}  # of an extra that `make install` leaves out: it may be missing
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users)/")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file in the repository that is still in the working tree."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """The file's text, or "" for a binary file."""
    content = path.read_bytes()
    return "" if b"\0" in content[:8192] else content.decode("utf-8", errors="replace")


def test_the_repository_is_small(tracked):
    # A link, as one release's V in another, takes no room.
    sizes = {path.relative_to(ROOT).as_posix(): path.lstat().st_size for path in tracked}
    assert {name: size for name, size in sizes.items() if size >= 16 * MEGABYTE} == {}
    assert sum(sizes.values()) < 60 * MEGABYTE


def test_no_registry_and_no_machine_is_named(tracked):
    for path in tracked:
        for number, line in enumerate(text_of(path).splitlines(), start=1):
            place = f"{path.relative_to(ROOT)}:{number}"
            assert not any(host in line for host in REGISTRY_HOSTS), f"{place} names a registry: {line}"
            assert not MACHINE_PATHS.search(line), f"{place} names a place on one machine: {line}"


def test_no_source_file_holds_two_things():
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "worldmodels").rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def project_requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [
        Requirement(line)
        for line in (*project["dependencies"], *(line for extra in extras for line in extra))
    ]


def constraints() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def test_constraints_are_exact_versions_for_any_machine():
    for requirement in constraints().values():
        assert re.fullmatch(r"==[0-9][0-9A-Za-z.]*", str(requirement.specifier)), (
            f"{requirement}: one exact version, without a local suffix"
        )


def test_constraints_lie_in_the_ranges_of_the_project():
    pinned = constraints()
    for requirement in project_requirements():
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} has no line in constraints.txt"
        version = str(pinned[name].specifier).removeprefix("==")
        assert requirement.specifier.contains(version), (
            f"{name} {version} is outside of {requirement.specifier}"
        )


def test_constraints_cover_what_the_requirements_bring_along():
    """So that two installations a year apart get the same versions of everything."""
    pinned = constraints()
    waiting = project_requirements()
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen or not applies(requirement, frozenset()):
            continue
        seen.add((name, extras))
        exact = str(requirement.specifier).startswith(
            "=="
        )  # pinned by whoever asks for it, as CUDA is by torch
        assert name in pinned or exact, f"{name} has no line in constraints.txt"
        try:
            brought = [Requirement(line) for line in importlib.metadata.requires(name) or []]
        except importlib.metadata.PackageNotFoundError:
            assert name in NOT_OF_DEV, f"{name} is not installed"
            continue
        waiting += [bare(other) for other in brought if applies(other, extras)]


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Whether this machine needs it when its owner is asked for with these extras."""
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def bare(requirement: Requirement) -> Requirement:
    """The same without its marker, which has been weighed already."""
    kept = Requirement(str(requirement))
    kept.marker = None
    return kept
