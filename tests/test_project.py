"""The frame agrees with itself: pyproject, lock, environment, Makefile, and what git holds."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house import ROOT, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ASKED = [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINS = [Requirement(line) for line in LOCK.splitlines()]
PYTHONS = ["3.11.0", "3.11.14", "3.12.12", "3.13.11", "3.14.2"]
IMPORT_NAMES = {"yaml": "pyyaml", "sklearn": "scikit-learn"}


def pins_for(name, python):
    """The versions the lock gives this Python, on Linux."""
    here = {"python_full_version": python, "python_version": python.rpartition(".")[0], "sys_platform": "linux"}
    same = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(name)]
    return [str(pin.specifier) for pin in same if pin.marker is None or pin.marker.evaluate(here)]


def test_the_lock_names_no_address():
    assert "://" not in LOCK and "@" not in LOCK


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_the_lock_pins_what_pyproject_asks_within_its_bounds(asked, python):
    (pin,) = pins_for(asked.name, python)
    assert asked.specifier.contains(pin.removeprefix("=="))


def test_every_dependency_has_a_lower_bound():
    assert [asked.name for asked in ASKED if ">=" not in str(asked.specifier)] == []


def test_the_toolkit_imports_only_what_pyproject_names():
    extras = [group for name, group in PROJECT["optional-dependencies"].items() if name != "dev"]
    named = {
        canonicalize_name(Requirement(line).name) for group in [PROJECT["dependencies"], *extras] for line in group
    }
    heads = {name.split(".")[0] for source in sources("toolkit") for name in source.imports()}
    foreign = heads - {"toolkit"} - sys.stdlib_module_names
    assert {head for head in foreign if canonicalize_name(IMPORT_NAMES.get(head, head)) not in named} == set()


def test_conda_gets_the_same_python_and_the_same_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["dependencies"] == [
        f"python{PROJECT['requires-python']}",
        "pip",
        {"pip": ["-r requirements.lock", "-e ."]},
    ]


def committed():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_committed_file_is_over_3_mb():
    assert [str(path) for path in committed() if path.stat().st_size > 3_000_000] == []


def test_nothing_committed_names_a_place_on_somebodys_machine():
    places = re.compile(rb"(?<![\w.])/(work|tmp|root|home|Users)/\w|\.\./shared/|[A-Z]:\\Users\\")
    here = ROOT / "tests" / "test_project.py"
    found = {}
    for path in committed():
        text = path.read_bytes()
        if path.is_relative_to(ROOT / "tests"):
            text = text.replace(b"../shared/real", b"")  # real data beside the project, skipped where it is absent
        found[str(path)] = None if path == here else places.search(text)
    assert {path: place[0] for path, place in found.items() if place} == {}


FAKE_PYTHONS = {  # what this Python answers → what make says
    "absent": (None, "was not found as"),
    "broken": ("exit 1", "was not found as"),
    "silent": ("exit 0", "was not found as"),
    "old": ('case "$2" in *print*) echo 3.9;; *) exit 1;; esac', "is Python 3.9; 3.11 or newer is needed"),
    "without venv": ('case "$2" in *print*) echo 3.12;; *ensurepip*) exit 1;; esac', "apt-get install python3.12-venv"),
}


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize("kind", FAKE_PYTHONS)
def test_make_says_what_python_it_misses(kind, tmp_path):
    script, sentence = FAKE_PYTHONS[kind]
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    fake = tmp_path / "my python"
    if script:
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
    run = subprocess.run(["make", "report", f"PYTHON={fake}"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode != 0
    assert sentence in run.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_the_venv_is_stale_when_the_lock_says_something_else_and_only_then(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)

    def plan():
        return subprocess.run(["make", "-n", "report"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    ready = re.search(r"touch (\S+)", plan())[1]
    (tmp_path / ".venv").mkdir()
    (tmp_path / ready).touch()
    os.utime(tmp_path / "requirements.lock")
    assert "-m venv" not in plan()
    (tmp_path / "requirements.lock").write_text(LOCK + "one-more==1\n")
    assert "-m venv" in plan()
