"""What a run was made with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from worldmodels.runs import machine

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_of_the_checkout_that_has_the_package_in_it(tmp_path, monkeypatch):
    """And of none below which it was merely installed."""
    installed = tmp_path / ".venv" / "machine.py"
    monkeypatch.setattr(machine, "__file__", str(installed))
    installed.parent.mkdir()
    installed.touch()
    assert machine.git_commit() is None
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(".venv\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "of somebody else")
    assert machine.git_commit() is None
    git(tmp_path, "add", "-f", ".venv")
    git(tmp_path, "commit", "-qm", "ours")
    assert machine.git_commit() == git(tmp_path, "rev-parse", "HEAD")
