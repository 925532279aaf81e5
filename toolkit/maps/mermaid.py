"""The journey map as text that mermaid draws."""

from __future__ import annotations

import re
from collections.abc import Iterable

from toolkit.shown import safe_text

MEANT = str.maketrans({":": "：", ";": "；", "#": "＃", "%": "％", ",": "‚", "<": "‹", ">": "›", "{": "(", "}": ")"})
KEYWORD = re.compile(r"(journey|title|section|acctitle|accdescr)\b", re.IGNORECASE)


def journey_text(title: str, sections: Iterable[tuple[str, list[tuple[str, int]]]], actor: str) -> str:
    """A mermaid `journey`: sections of tasks, each with a score from 1 (bad) to 5 (good).

    Args:
        title: above it.
        sections: name, and its tasks with their scores.
        actor: who goes through it.

    Example:
        >>> print(journey_text("Map", [("purchase", [("cart: full", 4)])], "customers"))
        journey
            title Map
            section purchase
              cart： full: 4: customers
    """
    lines = ["journey", f"    title {_word(title)}"]
    for section, tasks in sections:
        lines.append(f"    section {_word(section)}")
        lines += [f"      {_task(task)}: {score}: {_word(actor)}" for task, score in tasks]
    return "\n".join(lines)


def _word(text: str) -> str:
    """A name that means nothing to mermaid: its own signs as look-alikes."""
    return safe_text(text, 80).translate(MEANT).strip() or "–"


def _task(name: str) -> str:
    """A name that begins a line, so with no keyword in front."""
    word = _word(name)
    return f"· {word}" if KEYWORD.match(word) else word
