"""weewx's SQLite archive: unit systems, versions of the summaries, days, and files that are not to be trusted."""

import sqlite3
from datetime import date, datetime, timedelta
from math import nan
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from app.readers import sqlite_tables, weewx_archive
from app.readers.record import RecordError
from app.readers.series import Options
from app.readers.source import Source

BERLIN = Options(timezone="Europe/Berlin")
SCALAR = (
    "dateTime INTEGER NOT NULL PRIMARY KEY, min REAL, mintime INTEGER, max REAL, maxtime INTEGER, "
    "sum REAL, count INTEGER"
)
VERSIONS = {  # the tables of a scalar and of the wind
    1: (SCALAR, f"{SCALAR}, gustdir REAL, xsum REAL, ysum REAL, squaresum REAL, squarecount INTEGER"),
    4: (
        f"{SCALAR}, wsum REAL, sumtime INTEGER",
        f"{SCALAR}, wsum REAL, sumtime INTEGER, max_dir REAL, xsum REAL, ysum REAL, dirsumtime INTEGER",
    ),
}
# What a day of each unit system holds, and the same in metric.
OBSERVED = {
    1: {
        "outTemp": (50.0, 68.0, 59.0),
        "rain": (0, 0.1, 0.5),
        "barometer": (29, 31, 29.92),
        "wind": (0, 22.369, 11.185),
    },
    16: {"outTemp": (10.0, 20.0, 15.0), "rain": (0, 0.2, 1.27), "barometer": (9, 9, 1013.21), "wind": (0, 36.0, 18.0)},
    17: {"outTemp": (10.0, 20.0, 15.0), "rain": (0, 2, 12.7), "barometer": (9, 9, 1013.21), "wind": (0, 10.0, 5.0)},
}
METRIC = {
    "tmax": 20.0,
    "tmin": 10.0,
    "rain": 12.7,
    "tmean": 15.0,
    "pressure": 1013.21,
    "wind_speed": 5.0,
    "wind_direction": 270.0,
    "wind_gust": 10.0,
    "wind_gust_direction": 280.0,
}


def midnight(day, zone):
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp())


def archive(path, units=17, version=4, days=4, first="2019-03-29", zone="Europe/Berlin", records=288, table="archive"):
    """Write an archive, by default across the change to summer time on 31 March 2019."""
    start = date.fromisoformat(first)
    with sqlite3.connect(path) as db:
        db.execute(
            f"CREATE TABLE {table} (dateTime INTEGER NOT NULL UNIQUE PRIMARY KEY, usUnits INTEGER NOT NULL, "
            "interval INTEGER NOT NULL, outTemp REAL, rain REAL)"
        )
        for observation in OBSERVED[units]:
            columns = VERSIONS[version][observation == "wind"]
            db.execute(f"CREATE TABLE archive_day_{observation} ({columns})")
        for n in range(days):
            instant = midnight(start + timedelta(n), zone)
            db.execute(
                f"INSERT INTO {table} VALUES (?, ?, 5, ?, 0.0)", (instant + 300, units, OBSERVED[units]["outTemp"][2])
            )
            for observation, (low, high, value) in OBSERVED[units].items():
                total = value if observation == "rain" else value * records
                row = [instant, low, instant, high, instant, total, records]
                if version > 1:
                    row += [total * 300, records * 300]
                if observation == "wind":
                    row += [280.0, -900.0, 0.0, 1] if version > 1 else [280.0, -900.0, 0.0, 1, 1]
                db.execute(f"INSERT INTO archive_day_{observation} VALUES ({','.join('?' * len(row))})", row)
    db.close()
    return path


def change(path, *statements):
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()
    return path


def read(path, options=BERLIN):
    (series,) = weewx_archive.read(path, "weewx.sdb", options)
    assert len(series.times) == len(series.places) == len(next(iter(series.columns.values())))
    return series


def refused(path, options=BERLIN):
    with pytest.raises(RecordError) as refusal:
        weewx_archive.read(path, "weewx.sdb", options)
    assert str(refusal.value).startswith("weewx.sdb: ")
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("units", OBSERVED)
def test_every_unit_system_and_version_gives_the_same_metric_days(tmp_path, units, version):
    path = archive(tmp_path / "weewx.sdb", units, version)
    before = path.read_bytes()
    assert Source("weewx.sdb", path).is_sqlite
    series = read(path)
    assert series.times.astype("M8[D]").astype(str).tolist() == ["2019-03-29", "2019-03-30", "2019-03-31", "2019-04-01"]
    assert set(series.columns) == set(METRIC)
    for quantity, value in METRIC.items():
        np.testing.assert_allclose(series.columns[quantity], value, rtol=1e-4, err_msg=quantity)
    assert series.notes == ()
    assert series.places[0] == f"archive_day_outTemp dateTime {midnight(date(2019, 3, 29), 'Europe/Berlin')}"
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["weewx.sdb"]


@pytest.mark.parametrize(
    ("zone", "span"),
    [
        ("Europe/Berlin", "UTC+1 to UTC+2"),
        ("Asia/Kolkata", "UTC+5.5:"),
        ("Pacific/Honolulu", "UTC-10:"),
        ("Asia/Kamchatka", "UTC+12:"),
    ],
)
def test_midnights_show_the_offset(tmp_path, zone, span):
    series = read(archive(tmp_path / "w.sdb", zone=zone), Options())
    assert series.times.astype(str).tolist() == [
        f"{day}T00:00:00" for day in np.arange("2019-03-29", "2019-04-02", dtype="M8[D]")
    ]
    (note,) = series.notes
    assert span.rstrip(":") in note
    assert "--timezone" in note


def test_offsets_beyond_twelve_hours_need_the_time_zone(tmp_path):
    path = archive(tmp_path / "w.sdb", zone="Pacific/Auckland", days=20)  # from UTC+13 to UTC+12
    assert "--timezone" in refused(path, Options())
    dates = read(path, Options(timezone="Pacific/Auckland")).times.astype("M8[D]")
    assert (dates == np.datetime64("2019-03-29") + np.arange(20)).all()


def test_a_wrong_or_unknown_time_zone_is_refused(tmp_path):
    path = archive(tmp_path / "w.sdb", zone="America/Denver")
    assert "not a midnight in Europe/Berlin" in refused(path)
    for unknown in ("Mars/Olympus", "../../etc/passwd", "", "America"):
        assert "Europe/Berlin" in refused(path, Options(timezone=unknown))


def test_a_day_that_begins_at_one_o_clock_and_a_few_wrong_midnights(tmp_path):
    """In Brazil the clock was put forward at midnight; a computer that starts without a clock writes a wrong day."""
    path = archive(tmp_path / "w.sdb", zone="America/Sao_Paulo", first="2018-11-03", days=150)
    start = midnight(date(2018, 11, 3), "America/Sao_Paulo")
    change(path, f"UPDATE archive_day_outTemp SET dateTime = dateTime - 20000 WHERE dateTime = {start}")
    series = read(path, Options(timezone="America/Sao_Paulo"))
    assert series.times[:2].astype("M8[D]").astype(str).tolist() == ["2018-11-04", "2018-11-05"]
    assert series.notes == ("1 days do not begin at midnight and are not read",)


@pytest.mark.parametrize("version", VERSIONS)
def test_days_with_few_hours_are_missing(tmp_path, version):
    path = archive(tmp_path / "w.sdb", version=version)
    last = "dateTime = (SELECT max(dateTime) FROM archive_day_outTemp)"
    part = "count = 239" + (", sumtime = 239 * 300" if version > 1 else "")
    change(path, f"UPDATE archive_day_outTemp SET {part} WHERE {last}")
    series = read(path)
    for quantity in METRIC:
        assert np.isfinite(series.columns[quantity]).tolist() == [True, True, True, False], quantity
    assert series.notes == ("1 of 4 days have fewer than 20 hours of outTemp and are missing",)


def test_a_summary_without_a_day_or_a_number_is_missing(tmp_path):
    path = archive(tmp_path / "w.sdb", units=1)
    first = "dateTime = (SELECT min(dateTime) FROM archive_day_outTemp)"
    change(
        path,
        f"DELETE FROM archive_day_rain WHERE {first}",
        f"UPDATE archive_day_outTemp SET max = 'hot', min = 9e999 WHERE {first}",
        f"UPDATE archive_day_barometer SET count = 0, wsum = 0, sumtime = 0, sum = 0 WHERE {first}",
        f"UPDATE archive_day_wind SET xsum = 0, ysum = 0, max = 1e308 WHERE {first}",
    )
    columns = read(path).columns
    for quantity in ("tmax", "tmin", "rain", "pressure", "wind_direction", "wind_gust"):
        assert np.isfinite(columns[quantity]).tolist() == [False, True, True, True], quantity
    assert np.isfinite(columns["tmean"]).all()


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE archive_day_rain",
        "DELETE FROM archive_day_rain",
        "ALTER TABLE archive_day_rain RENAME dateTime TO x",
    ],
)
def test_some_summaries_are_enough(tmp_path, damage):
    assert set(read(change(archive(tmp_path / "w.sdb"), damage)).columns) == set(METRIC) - {"rain"}


def test_records_are_read_where_there_are_no_summaries(tmp_path):
    """The record of midnight, of the five minutes before, is the last of its day."""
    path = archive(tmp_path / "w.sdb", days=0)
    end = midnight(date(2019, 7, 2), "Europe/Berlin")
    change(
        path,
        *(f"DROP TABLE archive_day_{observation}" for observation in OBSERVED[17]),
        f"INSERT INTO archive VALUES ({end}, 1, 5, 68.0, 0.1), ({end + 300}, 1, 5, NULL, 0.0)",
    )
    series = read(path)
    assert series.times.astype(str).tolist() == ["2019-07-01T23:55:00", "2019-07-02T00:00:00"]
    np.testing.assert_allclose(series.columns["temperature"], [20.0, nan])
    np.testing.assert_allclose(series.columns["rain"], [2.54, 0.0])
    assert set(series.columns) == {"temperature", "rain"}
    assert series.places.tolist() == [f"dateTime {end}", f"dateTime {end + 300}"]
    assert "--timezone Europe/Berlin" in refused(path, Options())


def test_unit_systems(tmp_path):
    path = archive(tmp_path / "w.sdb")
    change(path, "UPDATE archive SET usUnits = 1 WHERE dateTime = (SELECT min(dateTime) FROM archive)")
    assert "several unit systems" in refused(path)
    for wrong in ("99", "'us'", "x'00'"):
        change(path, f"UPDATE archive SET usUnits = {wrong}")
        assert "usUnits is" in refused(path)
    change(path, "DELETE FROM archive")
    assert "empty" in refused(path)


def test_other_databases_and_hostile_ones_are_refused(tmp_path, monkeypatch):
    assert "not weewx's" in refused(archive(tmp_path / "other.db", table="states"))
    path = archive(tmp_path / "view.sdb")
    change(path, "ALTER TABLE archive_day_rain RENAME TO x", "CREATE VIEW archive_day_rain AS SELECT * FROM x")
    assert "'archive_day_rain' is a view" in refused(path)
    path = change(archive(tmp_path / "far.sdb"), "UPDATE archive_day_outTemp SET dateTime = -dateTime")
    assert "not an instant" in refused(path)
    path = archive(tmp_path / "long.sdb")
    monkeypatch.setattr(weewx_archive, "MAX_DAYS", 3)
    assert "'archive_day_outTemp' has 4 rows" in refused(path)
    monkeypatch.setattr(weewx_archive, "MAX_DAYS", 4)
    monkeypatch.setattr(sqlite_tables, "MAX_SECONDS", -1.0)
    change(path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 199999) "
                 "INSERT INTO archive SELECT i, 17, 5, 1.0, 0.0 FROM n")  # fmt: skip
    assert "takes more than" in refused(path)


def test_a_huge_value_is_refused(tmp_path):
    path = change(archive(tmp_path / "w.sdb"), "UPDATE archive SET usUnits = zeroblob(2000000)")
    assert "cannot be read" in refused(path)


def test_damaged_missing_and_locked_files(tmp_path):
    path = archive(tmp_path / "w.sdb", days=200)
    assert "cannot be read" in refused(tmp_path / "none.sdb")
    assert not (tmp_path / "none.sdb").exists()
    whole = path.read_bytes()
    (tmp_path / "cut.sdb").write_bytes(whole[: len(whole) // 3])
    assert ".backup" in refused(tmp_path / "cut.sdb")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert "locked" in refused(path)
    writer.close()
    assert len(read(path).times) == 200


def test_a_live_database_with_a_write_ahead_log(tmp_path):
    """The newest days may be in the log alone. A closed database in this mode has no log and is left alone."""
    path = archive(tmp_path / "w.sdb", days=2)
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    with writer:
        later = midnight(date(2019, 3, 31), "Europe/Berlin")
        writer.execute(f"INSERT INTO archive_day_outTemp SELECT {later}, min, 0, 30.0, 0, sum, count, wsum, sumtime "
                       "FROM archive_day_outTemp LIMIT 1")  # fmt: skip
    (tmp_path / "link").symlink_to(path)
    for name in (path, tmp_path / "link"):
        assert read(name).columns["tmax"].tolist() == [20.0, 20.0, 30.0]
    (tmp_path / "link").unlink()
    writer.close()
    assert not list(tmp_path.glob("*-wal"))
    tmp_path.chmod(0o500)
    try:
        assert read(path).columns["tmax"].tolist() == [20.0, 20.0, 30.0]
    finally:
        tmp_path.chmod(0o700)
    assert [file.name for file in tmp_path.iterdir()] == ["w.sdb"]
