"""Journeys, surveys and experiments of an invented webshop, with a known truth."""

from toolkit.simulate.make import Simulation, make_data, write_data
from toolkit.simulate.world import Truth, persona_codes

__all__ = ["Simulation", "Truth", "make_data", "persona_codes", "write_data"]
