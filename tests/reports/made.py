"""Small notebooks and results for the report's tests; the notebooks import this file too."""

import json
from dataclasses import dataclass
from pathlib import Path

from toolkit.results import Definition, Result

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
PARAMETERS = """source = "../data/samples/webshop"  # folder of canonical tables
as_of = None  # the last moment to be seen, ISO
locale = "en"  # how numbers are shown
within = "7d"  # the time a customer has from the first step to the last
weeks = 4  # whole weeks, > 0
"""
IMPORTS = "from tests.reports.made import Shop, Steps\nfrom toolkit.reports import record as tk"


@dataclass(frozen=True)
class Shop:
    """What `tk.about` asks of a study."""

    until: str = "2026-05-31T21:59:00+00:00"

    def provenance(self):
        return {
            "study": "webshop",
            "fingerprint": "9f86d081884c7d659a2f",
            "customers": 20_000,
            "rows": {"events": 204_118, "orders": 5_310, "responses": 1_877},
            "period": f"2026-03-01 to before 2026-06-01; observed until {self.until[:10]}",
            "observed_until": self.until,
            "tz": "Europe/Copenhagen",
            "tz_assumed": False,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps(Result):
    """A funnel as small as can be."""

    n_customers: int = 12_480
    n_bought: int = 524
    place: str = "checkout"
    notes: tuple = ()

    @property
    def definition(self):
        return Definition(
            measure=f"Conversion by {self.place}",
            unit="customers",
            window="7 days",
            denominator="customers who saw a product",
            rules="first entry, strict order",
            notes=self.notes,
        )

    def rows(self):
        rate, shares = (
            self.n_bought / self.n_customers,
            {"product page": 1.0, "cart": 0.21, self.place: 0.09, "purchase": 0},
        )
        last = {
            "step": "purchase",
            "n_customers": self.n_bought,
            "buy_rate": rate,
            "buy_rate_low": rate * 0.92,
            "buy_rate_high": rate * 1.08,
        }
        return [
            *(
                {"step": step, "n_customers": round(self.n_customers * share), "buy_rate": share}
                for step, share in shares.items()
                if share
            ),
            last,
        ]

    @property
    def headline(self):
        return self.rows()[-1]

    def say(self):
        return [
            f"{self.headline['buy_rate']:.1%} of customers who see a product buy within seven days.",
            f"Most of the others leave at {self.place}.",
        ]


def code(source, *tags):
    return {
        "cell_type": "code",
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def prose(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def write_notebook(folder, name, *cells):
    folder.mkdir(parents=True, exist_ok=True)
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    cells = [cell | {"id": f"cell-{place}"} for place, cell in enumerate(cells)]
    path = Path(folder) / f"{name}.ipynb"
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}), encoding="utf-8"
    )
    return path


def tiny(folder, name, *sources, about="Shop()"):
    """A notebook of few steps and no heavy imports."""
    last = [code(f"{IMPORTS}\ntk.about({about})")] if about else []
    return write_notebook(
        folder,
        name,
        prose(f"# {name}?"),
        code(PARAMETERS, "parameters"),
        prose("## The step"),
        *map(code, sources),
        *last,
    )


DRAW = """import matplotlib.pyplot as plt
from toolkit.figures import colour, show, themed
with themed():
    figure, axes = plt.subplots()
bars = axes.barh(["purchase", "checkout", "cart", "product page"], [4.2, 9, 21, 100], color=colour("treatment"))
axes.bar_label(bars, ["4.2 %", "9 %", "21 %", "100 %"], padding=6)
axes.set_xlabel("share of customers who saw a product, %")
axes.grid(visible=False, axis="y")
alt = "Bars: 100 % see a product, 21 % fill a cart, 9 % reach checkout, 4.2 % buy."
show(axes, alt=alt, caption="Half of those who fill a cart never reach **checkout**.")"""
WIDE = (
    "import pandas as pd\npd.DataFrame({f'week {n}': [n * 1234.5, n * 99] for n in range(1, 16)}, index=['app', 'web'])"
)


LEAD = """# Where do we lose them?

The people of the shop ask this before they change the checkout. What would change: next quarter's order of work."""
FUNNEL = """## From product to purchase

Of all who see a product, how many buy within the window, and where do the others leave? Customers who have not yet had
the whole window are *pending*, not lost."""
DOUBTS = """## What could make this wrong

- A tracking gap in the app looks like people leaving.
- Look next at [device](#s4) and payment."""
NOTE = "213 customers have not had the whole window yet and are left out."
LOSS = "The largest loss is between cart and checkout: 12 of 100 customers."


def full(folder, name="04-conversion", bought=524, until="2026-05-31T21:59:00+00:00"):
    """Everything a page can hold, hostile text included."""
    cells = [
        prose(LEAD),
        prose("## In short\n\nThe page shows the answer here."),
        code(PARAMETERS, "parameters"),
        code(IMPORTS),
        prose(FUNNEL),
        code(f"steps = Steps(n_bought={bought}, notes=({NOTE!r},))\nsteps"),
        code("tk.record('conversion rate', steps)"),
        code("tk.record('orders', 5310, kind='count')"),
        code(DRAW),
        prose("## By week\n\nThe same week by week, for the two places where people buy.\n\n" + HOSTILE),
        code(WIDE),
        code(f"Steps(place={HOSTILE!r})"),
        code(f"from IPython.display import HTML\nHTML({HOSTILE!r} + '<b onclick=1>bold</b>')"),
        code(f"print({HOSTILE!r}, source)"),
        code("import sys\n_ = sys.stderr.write('a warning nobody should see')"),
        code("import ipywidgets\nipywidgets.IntSlider()"),
        code(f"tk.in_short(steps, {LOSS!r}, Steps(place={HOSTILE!r}).say()[1])", "in-short"),
        prose(DOUBTS),
        code(f"tk.about(Shop(until={until!r}))"),
    ]
    return write_notebook(folder, name, *cells)
