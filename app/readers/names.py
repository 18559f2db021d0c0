"""What the name of a column says: its quantity and its unit, in the usual spellings and languages."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from app.readers import vocabulary
from app.readers.units import Unit, unit_of
from models.record.columns import AT_HOUR, COLUMNS, QUANTITIES, Column, quantity

# Letters that are no letter with an accent.
LETTERS = str.maketrans({"ł": "l", "Ł": "L", "ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae"})

IN_BRACKETS = re.compile(r"^(.*?)\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]\s*(.*)$")
AFTER_DASH = re.compile(r"^(.*\S)\s*(?: - |, | / )\s*(\S[^-]*)$")
ZONE = re.compile(r"\s*[(\[][^()\[\]]*[)\]]$|, gmt[-+]\d\d:\d\d$|[ _](utc|gmt|lst|local)$")
PERIODS = vocabulary.words("dogn day daily 24h 24hr 24hours diario diaria aut 1d")
LAST_WORD = re.compile(r"^(.*[^\W_].*?)[ _]+(\S+)$")
JOINED = re.compile(r"(?i)^(.*?)(deg[cf]|[cf]|mm|in|inches|hpa|mb|inhg|mph|kmh|kph|percent)$")
LOWER_TO_UPPER = re.compile(r"(?<=[a-z])(?=[A-Z])")

MAX_NAME = 200  # characters; a longer text is no name
WHOLE, BESIDE_UNIT, OF_WORDS, EXTREME = 0, 1, 2, 3  # ranks, the surest first
A_MEAN = -1  # of a further quantity: "Mean Dew Point" is taken rather than "Dew Point" beside it
A_NORMAL = 4  # "average_max_temp" beside "actual_max_temp" is that of many years


class Meaning(NamedTuple):
    """The quantity of a column, its unit where the name says it, and how sure the name is (least is surest)."""

    quantity: str
    unit: Unit | None
    rank: int


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """Return a name in lower case, without accents, tags, padding and double blanks."""
    letters = unicodedata.normalize("NFKD", untagged(name).translate(LETTERS))
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    return " ".join(unicodedata.normalize("NFC", bare).lower().split())


def untagged(name: str) -> str:
    """Return a name without tags, and with the sign of degrees where its two bytes were read as two letters."""
    return re.sub(r"<[^>]*>", "", name).replace("\u00c2\u00b0", "\u00b0")


def is_date(name: str) -> bool:
    """Whether a column may hold the dates."""
    name = plain(name)
    bare = without_zone(name)
    known = bool({name, name.replace(" ", "_"), bare, bare.replace(" ", "_")} & vocabulary.DATE)
    return known or bool(re.match(r"(date|datum|fecha|time)\b(?! of)", name))


def without_zone(name: str) -> str:
    """Return a plain name without the zone or the form of its dates: "data (yyyy-mm-dd)", "dt_utc", "hora utc"."""
    return ZONE.sub("", name)


@lru_cache(maxsize=4096)
def meaning(name: str) -> Meaning | None:
    """Return what the name of a column says of a quantity, None where it says nothing."""
    if len(name) > MAX_NAME:
        return None
    readings = _readings(untagged(name))
    for kind, rank in ((_whole, BESIDE_UNIT), (_extreme, EXTREME), (_of_words, OF_WORDS)):
        for bare, unit in readings:
            found = kind(bare)
            stated = unit_of(unit, column_of(found)) if found and unit else None
            if found and (stated or not unit):
                return Meaning(found, stated, _rank(name, found, WHOLE if kind is _whole and not unit else rank))
    return None


def _rank(name: str, found: str, rank: int) -> int:
    further = found not in {*COLUMNS, "rain_today", "temperature"}
    if vocabulary.MEANS & set(_words(name)):
        return A_MEAN if further else A_NORMAL
    return rank


def column_of(name: str) -> Column:
    """Return the definition of a quantity of a `Series`."""
    return QUANTITIES["rain"] if name == "rain_today" else quantity(name) or QUANTITIES[name]


def _readings(name: str) -> list[tuple[str, str]]:
    """Return the ways to read a name as (name, unit): without one, in brackets, after a dash, as the last word."""
    found = [(name, "")]
    if match := IN_BRACKETS.match(name):
        bare = f"{match[1]} {match[3]}".strip()
        if plain(match[2]).replace(" ", "") in PERIODS:
            return _readings(bare)
        found.append((bare, match[2]))
    # A name and a number of the instrument around the quantity: "Hill - Temperature - 51436 (degC)".
    bare, unit = found[-1]
    parts = bare.split(" - ")
    if beside := AFTER_DASH.match(bare):  # "Temp, °C (LGR S/N: 12345)"
        found.append((beside[1], beside[2]))
    for pattern, text in ((AFTER_DASH, name), (LAST_WORD, LOWER_TO_UPPER.sub(" ", name)), (JOINED, name)):
        if match := pattern.match(text):
            found.append((match[1], match[2]))
    return found + [(part, unit) for part in parts if len(parts) > 1]


def _whole(name: str) -> str | None:
    bare = plain(name)
    if bare in QUANTITIES or (AT_HOUR.fullmatch(bare) and quantity(bare)):
        return bare
    joined = re.sub(r"[\s_.\-]+", "", bare)
    return "rain_today" if joined in vocabulary.TODAY else vocabulary.QUANTITY_OF.get(joined)


def _extreme(name: str) -> str | None:
    """Return tmax for "high" and tmin for "low", alone, as in the tables of newspapers."""
    bare = plain(name)
    if bare in vocabulary.HIGH:
        return "tmax"
    return "tmin" if bare in vocabulary.LOW else None


def words_of(name: str) -> set[str]:
    """Return the words of the name of a column."""
    return set(_words(untagged(name)))


def is_rain(name: str) -> bool:
    """Whether a name has a word for rain."""
    return bool(words_of(name) & vocabulary.RAIN_WORDS)


def is_only_rain(name: str) -> bool:
    """Whether a name says rain, and not precipitation of any kind."""
    return bool(words_of(name) & vocabulary.ONLY_RAIN)


def is_total_rain(name: str) -> bool:
    """Whether a name says total rain, which beside sums of weeks or months is a counter that goes on."""
    return is_rain(name) and bool(words_of(name) & vocabulary.TOTAL)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", plain(LOWER_TO_UPPER.sub(" ", name))) if word and not word.isdigit()]


def _of_words(name: str) -> str | None:
    """Return the quantity whose words make up the whole name, as in "Maximum air temperature"."""
    found = set(_words(name))
    v = vocabulary
    if (
        found & v.TEMPERATURE_WORDS
        and "water" not in found
        and found <= v.TEMPERATURE_WORDS | v.HIGH | v.LOW | v.OTHER_WORDS
    ):
        high, low = bool(found & v.HIGH), bool(found & v.LOW)
        if high != low:
            return "tmax" if high else "tmin"
        if high or not found & (v.TEMPERATURE_WORDS - {"t", "air"}):
            return None
        return "tmean" if found & v.MEANS else "temperature"
    if found & v.RAIN_WORDS and found <= v.RAIN_WORDS | v.OTHER_WORDS:
        return "rain_today" if found & v.DAILY else "rain"
    bare = "".join(word for word in _words(name) if word not in v.OTHER_WORDS)
    if v.QUANTITY_OF.get(bare) in COLUMNS:  # "tmax_daily"
        return v.QUANTITY_OF[bare]
    return next(
        (
            further
            for further, own in v.FURTHER_WORDS.items()
            if found & own and found <= own | v.OTHER_WORDS | v.ALSO.get(further, frozenset())
        ),
        None,
    )
