"""Results in, Axes out; one theme."""

from toolkit.figures.show import Figure, plot, show
from toolkit.figures.theme import colour, themed

__all__ = ["Figure", "colour", "plot", "show", "themed"]
