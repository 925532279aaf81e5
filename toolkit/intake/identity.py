"""Who was on a device: events without a customer find one by the device they came from."""

from __future__ import annotations

from pathlib import Path

from toolkit.intake.sources import quoted

RULES = {
    "": "events without a customer are left out",
    "live": "the customer seen last on the device before the event, else the device stands for itself",
    "replay": "as live, and events before the first customer of a device are given to that customer",
}
DEVICE = "device "  # begins the id of a device that stands for itself
NAMELESS = "\ue001"  # begins the id of an event whose device is known and whose customer is still to be found


def forgotten(customer: str, device: str | None, forget: tuple[str, ...]) -> str:
    """SQL of the customer where those to be forgotten are nobody, or the device they used."""
    if not forget:
        return customer
    instead = f"{quoted(DEVICE)} || ({device})::varchar" if device else "null"
    return f"(case when {among(customer, forget)} then {instead} else {customer} end)"


def among(customer: str, names: tuple[str, ...]) -> str:
    """SQL of whether the customer is one of some; compared as text, for a name need not be a number where ids are."""
    return f"({customer})::varchar in ({', '.join(map(quoted, names))})"


def by_device(customer: str, device: str) -> str:
    """SQL of the customer, or of the device marked as nameless."""
    return f"coalesce({customer}, {quoted(NAMELESS)} || ({device})::varchar)"


def stitch(con, sql: str, rule: str, folder: Path) -> tuple[str, int]:
    """Gives nameless events their customer by the rule.

    Args:
        con: DuckDB connection.
        sql: select of events with row, customer, timestamp and device_id.
        rule: "live" or "replay".
        folder: where the stitched events are kept.

    Returns:
        A select of the same rows, and how many of them were given a customer.

    Method:
        A search backwards (replay: then forwards) among the events of the device, by time and input row. A device
        used by somebody forgotten stands for itself from then on.
    """
    person = f"case when not starts_with(customer, {quoted(NAMELESS)}) then customer end"
    order = "partition by device_id order by timestamp, row rows between"
    found = [f"last_value({person} ignore nulls) over ({order} unbounded preceding and current row)"]
    if rule == "replay":
        found.append(f"first_value({person} ignore nulls) over ({order} current row and unbounded following)")
    itself = f"{quoted(DEVICE)} || substr(customer, 2)"
    nameless = f"starts_with(customer, {quoted(NAMELESS)})"
    file = quoted(folder / "stitched.parquet")
    con.execute(
        f"copy (select * replace (case when {nameless} then coalesce({', '.join(found)}, {itself}) else customer end "
        f"as customer), {nameless} as nameless from ({sql})) to {file} (format parquet)"
    ).fetchall()
    read = f"read_parquet({file})"
    given = f"select count(*) from {read} where nameless and not starts_with(customer, {quoted(DEVICE)})"
    return f"select * exclude (nameless) from {read}", con.execute(given).fetchall()[0][0]


def devices_of(con, sql: str) -> dict[str, int]:
    """How many devices the events name, and how many of them several customers used."""
    people = (
        f"select count(distinct customer) filter (not starts_with(customer::varchar, {quoted(DEVICE)})) as people "
        f"from ({sql}) where device_id is not null group by device_id"
    )
    asked = f"select count(*), count(*) filter (people > 1) from ({people})"
    return dict(zip(("devices", "shared"), con.execute(asked).fetchall()[0], strict=True))
