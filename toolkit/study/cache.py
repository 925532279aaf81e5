"""Where built stores are kept: one folder per input, made whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from toolkit.intake.sources import Source
from toolkit.study.store import Store

STORE, MAKING = "store-", "making-"


def cache_folder() -> Path:
    """Where stores are kept: the environment variable JOURNEY_CACHE, else the user's cache folder.

    Example:
        >>> cache_folder().name
        'journey-toolkit'
    """
    given = os.environ.get("JOURNEY_CACHE")
    if given:
        return Path(given) / "journey-toolkit"
    system = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(system) if system else Path.home() / ".cache") / "journey-toolkit"


def fingerprint(sources: Mapping[str, Source], *settings: object) -> str:
    """Identifies an input together with everything that decides how it is read."""
    parts = [f"{name}:{source.fingerprint()}" for name, source in sources.items()]
    return hashlib.sha256("\n".join([*sorted(parts), *map(repr, settings)]).encode()).hexdigest()[:20]


def kept(key: str, build: Callable[[Path], None]) -> Store:
    """The store of this fingerprint: found, or built and kept.

    A second process waits for the first; a crash leaves nothing that is taken for a store; where the cache cannot be
    written, the store is made for this session only.
    """
    from filelock import FileLock

    home = cache_folder()
    target, making = home / f"{STORE}{key}", home / f"{MAKING}{key}"
    if _is_whole(target):
        return Store(target)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError:
        return temporary(build)
    with FileLock(home / f"{key}.lock"):
        if not _is_whole(target):
            for left in (target, making):  # of a crash
                shutil.rmtree(left, ignore_errors=True)
            making.mkdir(mode=0o700)
            _build(build, making)
            making.rename(target)
    return Store(target)


def _is_whole(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()  # written last


def temporary(build: Callable[[Path], None]) -> Store:
    """A store that goes when nobody holds it any more."""
    folder = Path(tempfile.mkdtemp(prefix="journey-"))
    _build(build, folder)
    store = Store(folder)
    weakref.finalize(store, shutil.rmtree, folder, ignore_errors=True)
    return store


def _build(build: Callable[[Path], None], folder: Path) -> None:
    try:
        build(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def erase_cache() -> int:
    """Removes every kept store (they hold customer ids and, for text files, a copy of the input).

    Returns:
        How many stores were removed.

    Example:
        >>> from unittest.mock import patch
        >>> with patch.dict("os.environ", JOURNEY_CACHE="a folder without stores"):
        ...     erase_cache()
        0
    """
    home = cache_folder()
    stores = list(home.glob(f"{STORE}*"))
    for left in (*stores, *home.glob(f"{MAKING}*")):
        shutil.rmtree(left, ignore_errors=True)
    return len(stores)
