"""What is missing on this machine, found before it stops a report."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import NamedTuple

from toolkit.figures.theme import font

DISTRIBUTION = "journey-toolkit"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Finding(NamedTuple):
    """One thing looked at."""

    well: bool
    text: str
    needed: bool = True


def examine(out: Path) -> list[Finding]:
    """Everything a report needs, each with whether it is there.

    Args:
        out: where reports would be written.
    """
    python = Finding(sys.version_info >= (3, 11), f"Python {sys.version.split()[0]}; 3.11 or newer is needed")
    return [python, *_packages(), _writable(out), _fonts(), _browser()]


def _packages() -> list[Finding]:
    from packaging.requirements import Requirement

    try:
        texts = distribution(DISTRIBUTION).requires or []
    except PackageNotFoundError:
        return [Finding(False, f"{DISTRIBUTION} is not installed: pip install -e . in its folder")]
    wanted = [need for need in map(Requirement, texts) if not need.marker or need.marker.evaluate({"extra": ""})]
    wrong = [Finding(False, text) for need in wanted if (text := lacking(need))]
    return wrong or [Finding(True, f"{len(wanted)} packages, all within their bounds")]


def lacking(need) -> str:
    """What is wrong with a requirement here; "" when nothing is."""
    try:
        found = version(need.name)
    except PackageNotFoundError:
        return f"{need.name} is not installed; {need.specifier or 'any version'} is needed"
    return (
        ""
        if need.specifier.contains(found, prereleases=True)
        else f"{need.name} is {found}; {need.specifier} is needed"
    )


def _writable(out: Path) -> Finding:
    place = next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.exists())
    if place.is_dir() and os.access(place, os.W_OK):
        return Finding(True, f"reports can be written to '{out}'")
    return Finding(False, f"'{place}' cannot be written to; give another --out")


def _fonts() -> Finding:
    try:
        found = font()
    except ImportError:
        return Finding(False, "matplotlib is not installed, so there are no figures")
    return Finding(bool(found), f"figures are written in {found}" if found else "no font for figures was found")


def _browser() -> Finding:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    missing = "Chromium is not there; only the tests of the rendered page need it"
    return Finding(bool(found), f"Chromium is there ({Path(found).name})" if found else missing, needed=False)
