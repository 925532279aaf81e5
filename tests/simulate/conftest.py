"""One simulated shop with everything planted, and one with nothing, behind SQL."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from toolkit.simulate import Truth, make_data, persona_codes

N, SEED = 40_000, 11


class Shop:
    """The tables of a simulation behind SQL, and its truth."""

    def __init__(self, data):
        self.data, self.truth, self.db = data, data.truth, duckdb.connect()
        self.db.sql("set timezone = 'UTC'")
        self.customers, self.personas = len(data["customers"]), persona_codes(np.arange(N), SEED)
        ids = data["customers"]["customer_id"].to_pylist()
        self.db.register("personas", pd.DataFrame({"customer_id": ids, "persona": self.personas}))
        for name, table in data.items():
            self.db.register(name, table)

    def all(self, sql):
        return self.db.sql(sql).fetchall()

    def one(self, sql):
        return self.all(sql)[0]

    def expected(self, name, *path):
        value = self.truth["planted"][name]["expected"]
        for key in path:
            value = value[key]
        return value


@pytest.fixture(scope="session")
def shop():
    return Shop(make_data(N, rng=SEED))


@pytest.fixture(scope="session")
def plain():
    return Shop(make_data(N, rng=SEED, truth=Truth.nothing()))
