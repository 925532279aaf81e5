"""Where built stores are kept: one folder per input, made whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from toolkit.study.sources import Source

PREFIX = "store-"


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
    parts = [
        f"{name}:{source.fingerprint()}:{[str(f.resolve()) for f in source.files]}" for name, source in sources.items()
    ]
    return hashlib.sha256("\n".join([*sorted(parts), *map(repr, settings)]).encode()).hexdigest()[:20]


def kept(key: str, build: Callable[[Path], None]) -> Path:
    """The store of this fingerprint: found, or built and kept.

    A second process waits for the first; a crash leaves nothing that is taken for a store; where the cache cannot be
    written, the store is made for this session only.
    """
    from filelock import FileLock

    home = cache_folder()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError:
        return temporary(build)
    target = home / f"{PREFIX}{key}"
    with FileLock(home / f"{key}.lock"):
        if not (target / "manifest.json").is_file():
            shutil.rmtree(target, ignore_errors=True)
            made = Path(tempfile.mkdtemp(prefix="making-", dir=home))
            try:
                build(made)
                made.rename(target)
            finally:
                shutil.rmtree(made, ignore_errors=True)
    return target


def temporary(build: Callable[[Path], None]) -> Path:
    """A store that goes when this Python does."""
    holder = tempfile.TemporaryDirectory(prefix="journey-", ignore_cleanup_errors=True)
    weakref.finalize(holder, holder.cleanup)
    _HELD.append(holder)
    build(Path(holder.name))
    return Path(holder.name)


_HELD: list[tempfile.TemporaryDirectory] = []  # kept until the interpreter ends


def erase_cache() -> int:
    """Removes every kept store (they hold customer ids and, for text files, a copy of the input).

    Returns:
        How many stores were removed.

    Example:
        >>> erase_cache() >= 0
        True
    """
    stores = list(cache_folder().glob(f"{PREFIX}*")) + list(cache_folder().glob("making-*"))
    for store in stores:
        shutil.rmtree(store, ignore_errors=True)
    return len(stores)
