"""What every test shares: no window system, property tests without a clock, a simulated shop."""

import os

import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, settings

import toolkit as tk

os.environ.setdefault("MPLBACKEND", "Agg")

# Time limits would make a busy machine fail a true law; in CI the examples are the same every time.
settings.register_profile(
    "house", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def simulated():
    return tk.make_data(1_500, rng=3)


@pytest.fixture(scope="session", params=["fine clock", "coarse clock"])
def shop(simulated, request):
    """Events and customers alone: with orders, the study would put their purchases among the events."""
    events = simulated["events"]
    if request.param == "coarse clock":
        at = events.column_names.index("timestamp")
        events = events.set_column(at, "timestamp", pc.floor_temporal(events["timestamp"], unit="hour"))
    tables = {"events": events, "customers": simulated["customers"]}
    return tk.open_data(tables, tz="Europe/Copenhagen", small_cells=0)


@pytest.fixture(scope="session")
def events(shop):
    """Customers one after the other, each in order of time, then of the input."""
    return shop.frame("events").sort_values(["customer_id", "timestamp"], kind="stable", ignore_index=True)


@pytest.fixture(scope="session")
def till(simulated):
    """The shop with all its tables."""
    return tk.open_data(simulated, tz="Europe/Copenhagen", small_cells=0)
