"""`open_data`: from files or frames to a study."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from toolkit.catalogue import Catalogue
from toolkit.errors import UsageError, one_of, raise_all, several
from toolkit.intake.identity import RULES
from toolkit.intake.normal import Reading
from toolkit.intake.sources import find_sources, unread_files
from toolkit.shown import known_locale
from toolkit.study.cache import fingerprint, kept, temporary
from toolkit.study.clock import moment_of, zone
from toolkit.study.data import Data
from toolkit.study.store import VERSION, Store, build

SETTINGS = "study.toml"
KNOWN = ("tz", "locale", "currency", "small_cells", "name", "columns", "identity", "forget")


def open_data(
    source: Any,
    *,
    tz: str | None = None,
    locale: str | None = None,
    as_of: str | None = None,
    currency: str | None = None,
    columns: Mapping[str, str] | None = None,
    small_cells: int | None = None,
    catalogue: str | Path | None = None,
    cache: bool = True,
    name: str | None = None,
    identity: str | None = None,
    forget: Sequence[str] = (),
) -> Data:
    """Opens a study: reads, checks, sorts and encodes the tables once, and keeps the result for next time.

    Args:
        source: folder of tables (`events.parquet`, `orders.csv` …), one file, a mapping of table name to frame
            (pandas, polars, pyarrow), or one frame of events or orders.
        tz: IANA zone of moments written without one, and of days; UTC is assumed (and said) when left out.
        locale: language of numbers and dates, such as "da" or "de_DE"; English when left out.
        as_of: ISO day or moment up to which to look; a day means its end. The last moment seen when left out.
        currency: three-letter code where the tables give none.
        columns: their column name → ours.
        small_cells: groups of fewer customers are not shown, ≥ 0; 5 when left out.
        catalogue: a catalogue.toml of your own, over ours.
        cache: whether to keep the store for next time.
        name: what the study is called; the folder's name when left out.
        identity: how events without a customer find one by their `device_id`: "live" (the customer seen last on the
            device, else the device stands for itself), "replay" (also backwards, to the first customer of the device);
            when left out they are not used.
        forget: customers whose rows become nobody's; their events fall back to the device.

    Returns:
        The study. Two files beside the tables are read too: `study.toml` (tz, locale, currency, small_cells, name,
        identity, forget and a table [columns]; what is given here wins) and `catalogue.toml`.

    Raises:
        DataError: the input cannot be used; `error.problems` has every reason.
        UsageError: a setting is wrong.

    Example:
        >>> import toolkit as tk
        >>> data = tk.open_data(tk.make_data(50, rng=1), tz="Europe/Copenhagen")
        >>> data.customers
        50
    """
    again = partial(open_data, **locals())
    is_file = isinstance(source, str | Path)
    beside = _beside(Path(source)) if is_file else {}
    reading = _reading(beside, tz=tz, currency=currency, columns=columns, identity=identity, forget=forget)
    places = Catalogue.load(catalogue or beside.get("catalogue"))
    sources = find_sources(source, reading.renamed)

    bought = sorted((key, place.name) for key, place in places.keys.items() if place.role == "purchase")
    print_ = fingerprint(sources, VERSION, reading, bought)
    make = partial(build, sources, reading, places)
    store = kept(print_, make) if cache and is_file else temporary(make)
    store.manifest["unread"] = unread_files(source, sources)
    store.manifest["fingerprint"] = print_ if is_file else "in memory"
    return Data(
        name=name or beside.get("name") or (Path(source).resolve().name.split(".")[0] if is_file else "data in memory"),
        store=store,
        tz=reading.tz.key,
        locale=str(known_locale(locale or beside.get("locale") or "en")),
        observed_until=_until(store, as_of, reading.tz),
        small_cells=beside.get("small_cells", 5) if small_cells is None else small_cells,
        catalogue=places,
        tz_given=bool(tz or beside.get("tz")),
        again=again,
    )


def _reading(beside: Mapping[str, Any], **given: Any) -> Reading:
    """How the tables are read: what is given wins over what lies beside them."""
    tz, currency, forget = (given[name] or beside.get(name) or "" for name in ("tz", "currency", "forget"))
    identity = beside.get("identity", "") if given["identity"] is None else given["identity"]
    if identity not in RULES:
        raise one_of("identity", identity, RULES)
    columns = beside.get("columns", {}) | dict(given["columns"] or {})
    return Reading(
        zone(tz or "UTC"), _known_currency(currency or None), columns, identity, tuple(map(str, several(forget or ())))
    )


def _beside(path: Path) -> dict[str, Any]:
    """The settings that lie beside the tables."""
    folder = path.expanduser() if path.is_dir() else path.expanduser().parent
    found: dict[str, Any] = {}
    if (folder / SETTINGS).is_file():
        try:
            found = tomllib.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(
                f'{SETTINGS} cannot be read: {error}. Write lines such as tz = "Europe/Copenhagen".'
            ) from None
        raise_all(UsageError, [one_of(SETTINGS, key, KNOWN).problems[0] for key in found if key not in KNOWN])
    if (folder / "catalogue.toml").is_file():
        found["catalogue"] = folder / "catalogue.toml"
    return found


def _known_currency(code: str | None) -> str | None:
    from babel.numbers import list_currencies

    if code is not None and code.upper() not in list_currencies():
        raise UsageError(f"There is no currency {code!r}. Give its three-letter code, such as DKK or EUR.")
    return code and code.upper()


def _until(store: Store, as_of: str | None, tz: ZoneInfo) -> int:
    """The end of observation: as told, else the last moment that is not in the future."""
    if as_of:
        moment = moment_of(as_of, tz)  # a day that is none is said as it was written
        return moment_of(f"{as_of}T23:59:59.999999", tz) if len(as_of) == 10 else moment
    tables = store.manifest["tables"]
    seen = [facts["high"] for facts in tables.values() if facts["high"] is not None]
    if not seen:
        raise UsageError("Every moment lies in the future. Give as_of= to look at it from a later day.")
    return seen[0] if tables["events"]["high"] is None else tables["events"]["high"]
