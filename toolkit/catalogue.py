"""Touchpoints by name: the stage, phase, kind and role of each, and the figure it lives by."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import DataError, raise_all

STAGES = ("awareness", "consideration", "purchase", "onboarding", "service", "retention", "loyalty", "advocacy")
ROLES = ("view", "cart", "checkout", "purchase")
KINDS = ("digital", "physical", "both")
_BEFORE = {"awareness": "TOFU", "consideration": "MOFU"}
_FIELDS = {"family": str, "stage": str, "kind": str, "role": str, "lives_by": list, "aliases": list}
_OURS = Path(__file__).with_suffix(".toml")
DEVICES = {  # what exports call the two devices that are compared
    "mobile": "mobile, mobil, mobiltelefon, phone, smartphone, mobil enhet, mobilgerät, handy",
    "desktop": "desktop, computer, pc, laptop, stationær, bærbar, dator, rechner",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a touchpoint stands in the journey.

    `family` is one of the field's touchpoints (a chat and a phone call are both "customer service"); `role` is "view",
    "cart", "checkout", "purchase" or "" (none); `lives_by` names the figures that tell how it does.

    Example:
        >>> Catalogue.load().place("add_to_cart").role
        'cart'
    """

    name: str
    family: str
    stage: str
    kind: str = "digital"
    role: str = ""
    lives_by: tuple[str, ...] = ()

    @property
    def phase(self) -> str:
        """`before`, `during` or `after` the purchase.

        Example:
            >>> Catalogue.load().place("chat").phase
            'after'
        """
        return "before" if self.stage in _BEFORE else "during" if self.stage == "purchase" else "after"

    @property
    def funnel(self) -> str:
        """`TOFU`, `MOFU` or `BOFU`; empty after the purchase, where that funnel has ended.

        Example:
            >>> Catalogue.load().place("webinar").funnel
            'MOFU'
        """
        return _BEFORE.get(self.stage, "BOFU" if self.stage == "purchase" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which names of a vocabulary the catalogue places, and which families of touchpoints it never meets.

    Example:
        >>> Catalogue.load().coverage(["cart", "moonwalk"]).share
        0.5
    """

    placed: tuple[str, ...]
    unplaced: tuple[str, ...]
    families_missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the names that are placed; NaN for an empty vocabulary.

        Example:
            >>> Coverage(placed=("cart",), unplaced=(), families_missing=()).share
            1.0
        """
        n = len(self.placed) + len(self.unplaced)
        return len(self.placed) / n if n else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Touchpoint names with their places; a name is matched whole, whatever its case and separators.

    Example:
        >>> catalogue = Catalogue.load()
        >>> catalogue.place("Læg i kurv").name, catalogue.place("Läg-i-kurv")
        ('cart', None)
    """

    places: tuple[Place, ...]
    stages: Mapping[str, str]
    keys: Mapping[str, Place] = field(repr=False)

    @classmethod
    def load(cls, user_path: str | Path | None = None) -> Catalogue:
        """Our touchpoints, extended and overridden by the tables of a catalogue.toml of the user's.

        Raises:
            DataError: the file cannot be read, or says something impossible; all problems at once.

        Example:
            >>> Catalogue.load().stages["service"]
            'service'
        """
        problems: list[str] = []
        files = {path: _read(Path(path), problems) for path in (_OURS, user_path) if path is not None}
        families: dict[str, dict] = {}
        keys: dict[str, dict] = {}
        for path, tables in files.items():
            for name, settings in tables.get("families", {}).items():
                families[name] = families.get(name, {}) | settings
            keys |= _claims(tables.get("touchpoints", {}), keys, f"{path}: ", problems)
        places = {id(entry): _place(entry, families, problems) for entry in keys.values()}
        stages = {stage: stage for stage in STAGES} | files[user_path or _OURS].get("stages", {})
        raise_all(DataError, problems)
        return cls(
            places=tuple(places.values()), stages=stages, keys={key: places[id(entry)] for key, entry in keys.items()}
        )

    def place(self, name: str) -> Place | None:
        """The place of a touchpoint, or None where the catalogue does not know the name.

        Example:
            >>> Catalogue.load().place("In den Warenkorb").stage
            'purchase'
        """
        return self.keys.get(normalise(name))

    def role_of(self, name: str) -> str:
        """The role of a touchpoint in the funnel, "" for none.

        Example:
            >>> Catalogue.load().role_of("begin_checkout")
            'checkout'
        """
        place = self.place(name)
        return place.role if place else ""

    def stage_of(self, name: str) -> str:
        """The stage of a touchpoint as it is shown (renamed where the user says so), "" where it has no place.

        Example:
            >>> Catalogue.load().stage_of("nyhedsbrev")
            'retention'
        """
        place = self.place(name)
        return self.stages[place.stage] if place else ""

    def stage_codes(self, vocabulary: Iterable[str]) -> tuple[int, ...]:
        """For each name the number of its stage in `STAGES`, −1 where it has no place.

        Example:
            >>> Catalogue.load().stage_codes(["social post", "purchase", "moonwalk"])
            (0, 2, -1)
        """
        found = (self.place(name) for name in vocabulary)
        return tuple(STAGES.index(place.stage) if place else -1 for place in found)

    def names_with_role(self, role: str, vocabulary: Iterable[str]) -> list[str]:
        """The names with a role: the catalogue's own names first, then in the order of the vocabulary.

        Example:
            >>> Catalogue.load().names_with_role("cart", ["basket", "læg i kurv", "Cart", "checkout"])
            ['Cart', 'basket', 'læg i kurv']
        """
        names = [name for name in vocabulary if self.role_of(name) == role]
        return sorted(names, key=lambda name: normalise(name) != normalise(self.place(name).name))

    def steps(self, vocabulary: Iterable[str]) -> tuple[str, ...]:
        """The funnel's steps found by role, in the order view, cart, checkout, purchase; a role nobody has is left out.

        Example:
            >>> Catalogue.load().steps(["purchase", "view_item", "add_to_cart", "blog"])
            ('view_item', 'add_to_cart', 'purchase')
        """
        return tuple(names[0] for names in self._by_role(vocabulary))

    def other_steps(self, vocabulary: Iterable[str]) -> tuple[str, ...]:
        """The names that share a role with a step of `steps` and were passed over; worth a note beside the funnel.

        Example:
            >>> Catalogue.load().other_steps(["cart", "add_to_cart", "purchase"])
            ('add_to_cart',)
        """
        return tuple(name for names in self._by_role(vocabulary) for name in names[1:])

    def coverage(self, vocabulary: Iterable[str]) -> Coverage:
        """What the catalogue knows of a vocabulary, and which of its families the vocabulary never meets.

        Example:
            >>> Catalogue.load().coverage(["cart", "moonwalk"]).unplaced
            ('moonwalk',)
        """
        found = {name: self.place(name) for name in vocabulary}
        met = {place.family for place in found.values() if place}
        return Coverage(
            placed=tuple(name for name, place in found.items() if place),
            unplaced=tuple(name for name, place in found.items() if not place),
            families_missing=tuple(dict.fromkeys(p.family for p in self.places if p.family not in met)),
        )

    def _by_role(self, vocabulary: Iterable[str]) -> list[list[str]]:
        vocabulary = tuple(vocabulary)
        return [names for role in ROLES if (names := self.names_with_role(role, vocabulary))]


def device_of(word: str) -> str:
    """What kind of device a word stands for: "mobile", "desktop", or "" for another.

    Example:
        >>> device_of("Mobil"), device_of("computer"), device_of("tablet")
        ('mobile', 'desktop', '')
    """
    return next((kind for kind, words in DEVICES.items() if normalise(word) in words.split(", ")), "")


def normalise(name: str) -> str:
    """The key a touchpoint is matched by: NFKC, folded case, `_ - / .` as spaces, spaces collapsed.

    Example:
        >>> normalise(" Add_To-Cart ")
        'add to cart'
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", str(name)).casefold())
    return " ".join(re.sub(r"[_\-/.]", " ", folded).split())


def _read(path: Path, problems: list[str]) -> dict:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        problems.append(f"{path} cannot be read as a catalogue: {error}.")
        return {}
    if unknown := sorted(set(tables) - {"stages", "families", "touchpoints"}):
        problems.append(f"{path} has {', '.join(unknown)}; a catalogue has only [stages], [families], [touchpoints].")
    for kind in ("stages", "families", "touchpoints"):
        if not isinstance(tables.setdefault(kind, {}), dict):
            problems.append(f"{path}: {kind} is not a table; write [{kind}] and one line for each name below it.")
            tables[kind] = {}
    for stage, shown in tables["stages"].items():
        if stage not in STAGES:
            problems.append(f"{path}: [stages] renames {stage!r}, which is none of {', '.join(STAGES)}.")
        if not isinstance(shown, str) or not shown.strip():
            problems.append(f"{path}: [stages] {stage} must be a name in quotes, not {shown!r}.")
    for kind in ("families", "touchpoints"):
        for name, settings in list(tables[kind].items()):
            wrong = _wrong(settings)
            problems += [f"{path}: {kind} {name!r} {what}." for what in wrong]
            if wrong:
                del tables[kind][name]
    return tables


def _wrong(settings: object) -> list[str]:
    if not isinstance(settings, dict):
        return [f"is {settings!r}, not a table of {', '.join(_FIELDS)}"]
    wrong = [f"has {key!r}, which is none of {', '.join(_FIELDS)}" for key in settings if key not in _FIELDS]
    for key, value in settings.items():
        words = value if isinstance(value, list) else [value]
        if not isinstance(value, _FIELDS.get(key, object)) or not all(isinstance(word, str) for word in words):
            wrong.append(f"has {key} = {value!r}, not {'a list of texts' if _FIELDS.get(key) is list else 'a text'}")
    for key, options in {"stage": STAGES, "kind": KINDS, "role": ("", *ROLES)}.items():
        if isinstance(settings.get(key), str) and settings[key] not in options:
            wrong.append(f"has {key} {settings[key]!r}, which is none of {', '.join(filter(None, options))}")
    return wrong


def _claims(touchpoints: dict, ours: dict[str, dict], where: str, problems: list[str]) -> dict[str, dict]:
    """The keys one file claims; a name we know already starts from what we say of it."""
    claims: dict[str, dict] = {}
    for name, settings in touchpoints.items():
        known = ours.get(normalise(name), {})
        same = normalise(known.get("name", "")) == normalise(name)
        entry = known | settings | {"name": known["name"] if same else name, "where": where}
        kept = [key for key, value in ours.items() if same and value is known]
        for key in dict.fromkeys([normalise(name), *kept, *map(normalise, settings.get("aliases", []))]):
            if key in claims:
                problems.append(f"{where}{key!r} is claimed by both {claims[key]['name']!r} and {name!r}.")
            claims[key] = entry
    return claims


def _place(entry: dict, families: dict[str, dict], problems: list[str]) -> Place | None:
    name, family = entry["name"], entry.get("family", entry["name"])
    if "family" in entry and family not in families:
        problems.append(f"{entry['where']}touchpoint {name!r} has family {family!r}, which no line of [families] has.")
        return None
    said = families.get(family, {}) | entry
    if "stage" not in said:
        problems.append(f"{entry['where']}touchpoint {name!r} has neither a stage nor a family; give one of them.")
        return None
    given = {key: said[key] for key in ("stage", "kind", "role") if key in said}
    return Place(name=name, family=family, lives_by=tuple(said.get("lives_by", ())), **given)
