"""One look for every figure: colour by role, quiet axes, text large enough for a page."""

from __future__ import annotations

from contextlib import contextmanager

from toolkit.errors import one_of

ROLES = {  # Okabe and Ito's colours, told apart by colour-blind readers and in grey
    "control": "#56646f",
    "treatment": "#0072b2",
    "accent": "#0072b2",
    "muted": "#b4bcc5",
    "warning": "#d55e00",
    "good": "#009e73",
}
SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#1c2430")
INK, SOFT, LINE = "#1c2430", "#56606e", "#dfe3e8"
COLUMN, STEP = 7.0, 9.2  # inches: as wide as the page's text column, or a step wider
DPI = 144
RC = {
    "figure.figsize": (COLUMN, 3.9),
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["Noto Sans", "Segoe UI", "Helvetica Neue", "Liberation Sans", "Arial", "DejaVu Sans"],
    "font.size": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "legend.fontsize": 10.5,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "axes.edgecolor": "#aab2bd",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "ytick.major.pad": 6,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "axes.titlesize": 11,
}


def colour(role: str) -> str:
    """The colour of a role; one that is unknown is an error, so that no figure invents its own.

    Example:
        >>> colour("treatment")
        '#0072b2'
    """
    if role not in ROLES:
        raise one_of("role", role, ROLES)
    return ROLES[role]


def font() -> str:
    """The first of the theme's fonts that this machine has; "" when it has none."""
    from matplotlib import font_manager

    there = {one.name for one in font_manager.fontManager.ttflist}
    return next((name for name in RC["font.sans-serif"] if name in there), "")


@contextmanager
def themed():
    """Draw inside it with the house's look; what the notebook set for its own figures is back afterwards."""
    import matplotlib as mpl

    with mpl.rc_context(RC | {"axes.prop_cycle": mpl.cycler(color=SERIES)}):
        yield
