"""A result in, Axes out; and the same as a figure with a description and a caption."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO

from toolkit.errors import MissingData, UsageError
from toolkit.figures.theme import DPI, themed
from toolkit.shown import safe_text
from toolkit.study.attempt import Missing

DRAWN: dict[str, str] = {
    name: f"toolkit.figures.{room}:draw_{name.lower()}"
    for room, names in {
        "journeys": ("Transitions", "Touchpoints", "Sessions", "Sales", "Activity", "Division"),
        "funnels": ("Funnel", "TimeToConvert", "FunnelTrend"),
        "paths": ("Flow", "CommonPaths", "Exits", "Loops", "RepeatedContacts", "Handoffs", "DifferingPaths"),
        "credit": ("Attribution",),
        "places": ("TouchpointMap", "Omnichannel"),
        "experiments": ("Plan", "SplitCheck", "Readout"),
        "odds": ("Associations",),
        "maps": ("JourneyMap", "MapDifference"),
        "pitfall": ("Pitfalls", "Consistency"),
    }.items()
    for name in names
}  # result's type name: "module:function(result, ax)", imported when first drawn


def plot(result, ax=None):
    """Draw any result that has a figure.

    Args:
        result: what a measure returned.
        ax: where to draw; a new figure of the house's size when left out.

    Returns:
        The matplotlib Axes.

    Raises:
        UsageError: a result without a figure; its table says the same.

    Example:
        >>> import toolkit as tk
        >>> type(plot(tk.sessions(tk.open_data(tk.make_data(50, rng=1))))).__name__
        'Axes'
    """
    import matplotlib.pyplot as plt

    draw = _drawing(result)
    with themed():
        if ax is None:
            _, ax = plt.subplots()
        return draw(result, ax) or ax


def _drawing(result):
    for kind in type(result).__mro__:
        if place := DRAWN.get(kind.__name__):
            module, name = place.split(":")
            return getattr(import_module(module), name)
    drawn = ", ".join(sorted(DRAWN)) or "none yet"
    raise UsageError(f"{type(result).__name__} has no figure; show it as a table. Results with one: {drawn}.")


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn result: a PNG whose description travels with it, and below it the caption that says what to see."""

    png: bytes
    alt: str
    caption: str
    measure: str = ""

    def bundles(self) -> list[tuple[dict, dict]]:
        """What a notebook shows, as (data, metadata): the picture, then its caption."""
        picture = {"image/png": b64encode(self.png).decode(), "text/plain": self.alt}
        metadata = {"image/png": {"alt": self.alt}, "journey": {"measure": self.measure}}
        return [(picture, metadata), ({"text/markdown": self.caption, "text/plain": self.caption}, {})]

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for data, metadata in self.bundles():
            display(data, metadata=metadata, raw=True)


def show(result, *, alt: str | None = None, caption: str | None = None) -> Figure | Missing:
    """A result's figure for a page, with alternative text and a caption.

    Args:
        result: what a measure returned, or Axes already drawn (then `alt` is needed).
        alt: the figure in words, for those who cannot see it. Left out: the measure, and the result read aloud.
        caption: what to see, as Markdown. Left out: the result read aloud.

    Returns:
        A display object; the last line of a cell shows it. Where there is nothing to draw, a `Missing` result:
        it says why.

    Example:
        >>> import toolkit as tk
        >>> show(tk.sessions(tk.open_data(tk.make_data(50, rng=1)))).png[1:4]
        b'PNG'
    """
    import matplotlib.pyplot as plt

    if isinstance(result, Missing):
        return result
    said = result.say() if hasattr(result, "say") else []
    measure = getattr(getattr(result, "definition", None), "measure", "")
    if hasattr(result, "rows") and not result.rows():
        reason = f"{measure} cannot be shown: nothing of it falls in the period, or no group is large enough."
        return Missing(reason=reason, definition=result.definition)
    if not (alt or said):
        raise UsageError("This figure has no words of its own; describe it with alt='…'.")
    try:
        axes = result if hasattr(result, "get_figure") else plot(result)
    except MissingData as gap:
        plt.close()
        return Missing(reason=str(gap), definition=result.definition)
    canvas, held = axes.get_figure(), BytesIO()
    canvas.savefig(held, format="png", dpi=DPI)
    plt.close(canvas)
    caption = markdown_text(" ".join(said)) if caption is None else caption
    return Figure(held.getvalue(), safe_text(alt or f"{measure}: {' '.join(said)}", 1000), caption, safe_text(measure))


def markdown_text(text: str) -> str:
    r"""Text from outside as Markdown that shows it letter by letter.

    Example:
        >>> print(markdown_text("<b>2*3*</b>"))
        \<b\>2\*3\*\</b\>
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!:])", r"\\\1", safe_text(text, 600))
