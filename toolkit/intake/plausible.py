"""What can be read and still looks wrong: values out of range, unknown words, ids that meet nobody."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.intake.finding import Finding, counted, many
from toolkit.intake.normal import OWN, Normal
from toolkit.intake.sources import named, quoted
from toolkit.schema import TABLES


def improbable(con, normal: Normal) -> list[Finding]:
    """Values beyond what the schema calls sensible, in one pass over the table.

    Args:
        con: DuckDB connection.
        normal: the table.

    Returns:
        One finding per column that has such values; the rows are kept.
    """
    wrong = {}
    for name, column in TABLES[normal.table].items():
        value = named(name)
        if name not in normal.kinds:
            continue
        if column.low is not None:
            wrong[name, f"below {column.low:g}"] = f"{value} < {column.low}"
        if column.high is not None:
            wrong[name, f"above {column.high:g}"] = f"{value} > {column.high}"
        if column.others:
            listed = ", ".join(quoted(word) for word in column.others)
            wrong[name, f"none of {', '.join(column.others)}"] = f"{value} not in ({listed})"
    if not wrong:
        return []
    asked = ", ".join(
        f"count(*) filter ({bad}), any_value({named(name)}) filter ({bad})" for (name, _), bad in wrong.items()
    )
    answers = con.execute(f"select {asked} from ({normal.sql})").fetchall()[0]
    return [
        Finding(normal.table, f"has {many(n, 'row')} whose {name} is {what} (such as {example!r:.60})", n)
        for (name, what), n, example in zip(wrong, answers[::2], answers[1::2], strict=True)
        if n
    ]


def unknown_currencies(con, normal: Normal) -> list[Finding]:
    """Codes that are no currency: their minor unit is taken as a hundredth."""
    from babel.numbers import list_currencies

    if "currency" not in normal.kinds:
        return []
    sql = f"select currency, count(*) from ({normal.sql}) where currency is not null group by 1 order by 1"
    known = list_currencies()
    odd = {code: n for code, n in con.execute(sql).fetchall() if code not in known}
    if not odd:
        return []
    listed, n = ", ".join(map(repr, list(odd)[:6])), sum(odd.values())
    return [Finding(normal.table, f"has {many(n, 'row')} in a currency nobody knows ({listed}); write DKK, EUR …", n)]


def strangers(con, bits: Mapping[str, int]) -> list[Finding]:
    """Tables whose customers do not, or not all, occur among the events as they came.

    Args:
        con: DuckDB connection with the table `cust` and its column `tables`, a sum of bits.
        bits: table → its bit.
    """
    found = []
    for table, bit in bits.items():
        if table == "events":
            continue
        all_, met = con.execute(
            f"select count(*), count(*) filter (tables & {bits['events']} > 0) from cust "
            f"where tables & {bit} > 0 and not starts_with(customer::varchar, {quoted(OWN)})"
        ).fetchall()[0]
        if all_ and not met:
            text = f"shares no customer_id with events (of {counted(all_)}); write the ids alike in both (007 is not 7)"
            found.append(Finding(table, text, all_))
        elif met < all_:
            text = f"has {counted(all_ - met)} of {counted(all_)} customers who do not occur in events"
            found.append(Finding(table, text, all_ - met, "note"))
    return found
