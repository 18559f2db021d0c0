"""Golden files: what each source looks like, and the station-days that a person reads off it.

Beside each file of ``golden/`` lies ``FILE.expected.csv``, written by hand from the documentation of the source: never
write it with the readers. ``golden/cases.toml`` holds the options of a file, and what the message must say where a file
is refused.
"""

import csv
import gzip
import io
import math
import re
import shutil
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.readers import RecordError, read_content, read_record

GOLDEN = Path(__file__).parent / "golden"
SUFFIX = ".expected.csv"
CASES = tomllib.loads((GOLDEN / "cases.toml").read_text())
MEASURED = ("tmax", "tmin", "rain")
TOLERANCE = 2e-3  # of any quantity; the expected values have four decimals

FILES = sorted(
    path.relative_to(GOLDEN).as_posix()
    for path in GOLDEN.glob("*/*")
    if path.is_file() and not path.name.endswith(SUFFIX)
)
JOINED = {name for case in CASES.values() for name in case.get("files", [])}
NAMES = [*FILES, *(name for name in CASES if name not in FILES)]
REFUSED = [name for name in NAMES if "error" in CASES.get(name, {})]
READ = [name for name in NAMES if name not in REFUSED]
ALONE = [name for name in READ if not {"files", "folder"} & CASES.get(name, {}).keys()]


def file_of(name):
    return GOLDEN / CASES.get(name, {}).get("file", name)


def options_of(name):
    case = CASES.get(name, {})
    return {key: case[key] for key in ("units", "station", "timezone") if key in case}


def read(name, folder):
    """Read a case: the content of a file, the files of a station, or a file whose neighbours lie beside it."""
    case = CASES.get(name, {})
    if "files" in case:
        return read_record([GOLDEN / file for file in case["files"]], **options_of(name))
    if "folder" in case:
        first, *_ = [shutil.copy(GOLDEN / file, folder) for file in case["folder"]]
        return read_record(Path(first), **options_of(name))
    return read_content(file_of(name).read_bytes(), file_of(name).name, **options_of(name))


def expected_of(name):
    """Return quantity -> date -> value, ``nan`` where missing."""
    case = CASES.get(name, {})
    with (GOLDEN / f"{case.get('expected', name)}{SUFFIX}").open() as file:
        rows = [row for row in csv.DictReader(file) if row["date"] >= str(case.get("from", ""))]
    quantities = [quantity for quantity in rows[0] if quantity != "date"]
    return {q: {row["date"]: float(row[q] or "nan") for row in rows} for q in quantities}


def found_in(record):
    """Return quantity -> date -> value."""
    dates = np.datetime_as_string(record.days.dates, "D")
    columns = dict(zip(MEASURED, record.days.values.T, strict=True)) | record.days.further
    return {name: dict(zip(dates.tolist(), values.tolist(), strict=True)) for name, values in columns.items()}


def differences(expected, found):
    """Return one line for each value that differs; a day that is absent is a day without values."""
    for quantity, days in expected.items():
        others = found.get(quantity, {})
        for date in sorted(days.keys() | others.keys()):
            ours, theirs = days.get(date, math.nan), others.get(date, math.nan)
            if math.isnan(ours) != math.isnan(theirs) or abs(ours - theirs) > TOLERANCE:
                yield f"{quantity} on {date}: expected {ours:g}, read {theirs:g}"


def check(name, record):
    expected, found = expected_of(name), found_in(record)
    assert list(differences(expected, found)) == []
    for quantity in set(MEASURED) - expected.keys():
        assert not np.isfinite(list(found[quantity].values())).any(), f"{quantity} is not in the file"
    assert not set(CASES.get(name, {}).get("absent", ())) & found.keys()


def test_every_file_is_a_case():
    """A file is read alone, is refused, or is one of the files of a record; no case and no expectation is left over."""
    for name in ALONE:
        assert file_of(name).exists(), name
        assert (GOLDEN / f"{CASES.get(name, {}).get('expected', name)}{SUFFIX}").exists(), name
    assert set(FILES) >= JOINED
    used = {f"{CASES.get(name, {}).get('expected', name)}{SUFFIX}" for name in READ}
    assert {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob(f"*/*{SUFFIX}")} <= used | {
        f"{CASES[name].get('file')}{SUFFIX}" for name in REFUSED
    }


@pytest.mark.parametrize("name", READ)
def test_a_golden_file_gives_the_station_days_that_a_person_reads_off_it(name, tmp_path):
    check(name, read(name, tmp_path))


@pytest.mark.parametrize("name", REFUSED)
def test_an_error_names_the_file_and_what_to_do(name):
    with pytest.raises(RecordError) as refused:
        read_content(file_of(name).read_bytes(), file_of(name).name, **options_of(name))
    message = str(refused.value)
    assert file_of(name).name in message
    assert message.isprintable(), "one line, without control characters"
    for pattern in CASES[name]["error"]:
        assert re.search(pattern, message, re.IGNORECASE), f"{pattern!r} is not in {message!r}"


def zipped(content, name, *others):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        for other in others:
            archive.writestr(other, "What the columns mean, and whom to thank for them.\n")
    return packed.getvalue()


DECLARED = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def text_of(content):
    """Return the text of a golden file in UTF-8 without a byte order mark; None of the others."""
    if content.startswith(DECLARED):
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def line_ends(end):
    return lambda text: text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", end).encode()


DISGUISES = {
    "crlf": line_ends("\r\n"),
    "cr": line_ends("\r"),
    "no end of the last line": lambda text: text.rstrip("\r\n").encode(),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
}


@pytest.mark.parametrize("name", ALONE)
def test_the_same_days_in_any_disguise(name):
    """Another encoding, other line ends: the same values."""
    text = text_of(file_of(name).read_bytes())
    if text is None:
        pytest.skip("has an encoding of its own")
    for disguise, disguised in DISGUISES.items():
        record = read_content(disguised(text), file_of(name).name, **options_of(name))
        assert list(differences(expected_of(name), found_in(record))) == [], disguise


@pytest.mark.parametrize("name", [name for name in ALONE if file_of(name).suffix != ".zip"])
def test_the_same_days_packed(name):
    """Gz, a zip of one table, and a zip with a readme beside the table."""
    content, file = file_of(name).read_bytes(), file_of(name).name
    packed = {
        f"{file}.gz": gzip.compress(content, mtime=0),
        f"{file}.zip": zipped(content, file),
        "with_readme.zip": zipped(content, f"data/{file}", "readme.txt", "LICENSE"),
    }
    for packed_name, packed_content in packed.items():
        record = read_content(packed_content, packed_name, **options_of(name))
        assert list(differences(expected_of(name), found_in(record))) == [], packed_name


ROWS = "".join(f"2021-06-{day:02},{20 + day / 10},{10 + day / 10},0.0\n" for day in range(1, 31)).encode()
TABLE = b"date,tmax,tmin,rain\n" + ROWS


@pytest.mark.parametrize(
    ("content", "name", "pattern"),
    [
        (gzip.compress(TABLE, mtime=0)[:-20], "cut.csv.gz", "gz|cut|incomplete|damaged"),
        (zipped(TABLE, "a.csv")[:-30], "cut.zip", "zip|damaged"),
        (b"\x1f\x8b" + bytes(200), "not.csv.gz", "gz|damaged"),
        (b",".join(b"c%d" % column for column in range(100_000)) + b"\n" + b"1," * 99_999 + b"1\n", "wide.csv", "col"),
        (b"1" * 5_000_000, "one_long_line.csv", "one_long_line"),
        (TABLE.replace(b"2021-06-07", b"2021-06-07\0"), "nul.csv", "nul|line 8"),
        (gzip.compress(gzip.compress(TABLE, mtime=0), mtime=0), "twice.csv.gz", "twice"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_damaged_or_absurd_file_is_refused(content, name, pattern):
    with pytest.raises(RecordError, match=f"(?i){pattern}") as refused:
        read_content(content, name)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize("pack", [lambda content: zipped(content, "a.csv"), gzip.compress], ids=["zip", "gz"])
def test_a_small_file_that_unpacks_to_much_is_refused(pack):
    bomb = pack(TABLE + bytes(600_000_000))
    with pytest.raises(RecordError, match="bomb"):
        read_content(bomb, "bomb.packed")


def test_twenty_hours_make_a_day():
    """A day of 20 hours has a tmax and a tmin; one of 19 hours has none."""
    hours = [
        f"2021-06-{day:02} {hour:02}:00" for day, n in ((20, 24), (21, 20), (22, 19), (23, 24)) for hour in range(n)
    ]
    content = "time,temperature (°C)\n" + "".join(f"{hour},{12 + int(hour[11:13]) / 2}\n" for hour in hours)
    record = read_content(content.encode(), "hours.csv")
    days = {"2021-06-20": (23.5, 12.0), "2021-06-21": (21.5, 12.0), "2021-06-23": (23.5, 12.0)}
    expected = {
        "tmax": {day: tmax for day, (tmax, _) in days.items()},
        "tmin": {day: tmin for day, (_, tmin) in days.items()},
    }
    assert list(differences(expected, found_in(record))) == []
