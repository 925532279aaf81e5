"""Remarks in four languages, put together from parts of our own (voices/*.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from toolkit.simulate.chance import Rows
from toolkit.simulate.talk import SOURCES, THEMES
from toolkit.simulate.visits import LANGUAGES

_DRAWS = 32  # more than the longest remark needs


class _Words(dict):
    """Fills {weekday}, {Who} … with a fresh word each time; a capital asks for one."""

    def __init__(self, slots: dict[str, list[str]], draws: Iterator[int]):
        self.slots, self.draws = slots, draws

    def __missing__(self, name: str) -> str:
        options = self.slots[name.lower()]
        word = options[next(self.draws) % len(options)]
        return word if name.islower() else word[0].upper() + word[1:]


@cache
def _voice(language: str) -> dict:
    return tomllib.loads((Path(__file__).with_name("voices") / f"{language}.toml").read_text(encoding="utf-8"))


def write_texts(rng: np.random.Generator, rows: Rows) -> pa.Array:
    """A remark for each row of `language`, `theme` (codes), `good` (bool) and, where it matters, `source` (code)."""
    n = len(rows["theme"])
    draws = iter(rng.integers(0, 2**31, _DRAWS * n).tolist())
    texts = []
    for language, theme, good, source in zip(
        rows["language"], rows["theme"], rows["good"], rows.get("source", np.zeros(n, int)), strict=True
    ):
        voice, tone = _voice(LANGUAGES[language]), "good" if good else "bad"
        core = voice["core"][THEMES[theme]]
        parts = [voice["source"].get(SOURCES[source], [""]), voice["open"][tone], core.get(tone) or core["good"]]
        chosen = [part[next(draws) % len(part)] for part in [*parts, voice["detail"][tone], voice["close"][tone]]]
        texts.append(" ".join(filter(None, chosen)).format_map(_Words(voice["slots"], draws)))
    return pa.array(texts, pa.string())
