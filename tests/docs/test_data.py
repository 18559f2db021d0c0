"""docs/data.md agrees with the readers: its commands read files like those of each source, its messages are theirs."""

import csv
import gzip
import io
import re
import shlex
import sqlite3
import zipfile
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from app.readers import FORMAT_NAMES, RecordError, read_content
from app.readers.cells import MAX_COLUMNS
from app.readers.days import MIN_HOURS
from app.readers.source import MAX_BYTES
from models.record.columns import FURTHER
from tests.processes import call_script
from tests.stations import ROOT, synthetic_days, write_csv

DATA = (ROOT / "docs" / "data.md").read_text()
GOLDEN = ROOT / "tests" / "app" / "readers" / "golden"
COMMANDS = re.findall(r"^\.venv/bin/python -m scripts\.(.*)$", DATA, re.MULTILINE)
READ = [command for command in COMMANDS if command.startswith("read ")]
TOGETHER = {"ecad", "dwd", "smhi", "bom"}  # whose files lie side by side

# The name of a file in the document -> a golden file of the same source.
FILES = {
    "USW00094728.csv": "ghcn/access_plain.csv",
    "USW00094728.csv.gz": "ghcn/by_year.csv",
    "72503014732.csv": "gsod/99999099999.csv",
    "CRND0103-2025-CA_Yosemite_Village_12_W.txt": "uscrn/CRND0103-2021-XX_Nowhere_1_N.txt",
    "Tagesdaten_v2.csv": "geosphere/Tagesdaten_v2.csv",
    "havainnot.csv": "fmi/havainnot.csv",
    "CLMMAXT_HKO_.csv": "hko/CLMMAXT_XYZ_.csv",
    "INMET_CO_DF_A001_BRASILIA.CSV": "inmet/INMET_SE_SP_A999_NENHURES.CSV",
    "central-park.csv": "cdo/metric.csv",
    "order.csv": "cdo/two_stations.csv",
    "frankfurt.csv": "meteostat/yearly.csv",
    "vineyard.json": "open_meteo/daily.json",
    "open-meteo-47.21N7.54E420m.csv": "open_meteo/daily.csv",
    "field.csv": "nasa_power/month_day.csv",
    "TX_STAID000162.txt": "ecad/TX_STAID099011.txt",
    "TN_STAID000162.txt": "ecad/TN_STAID099011.txt",
    "RR_STAID000162.txt": "ecad/RR_STAID099011.txt",
    "tageswerte_KL_00433_akt.zip": "dwd/tageswerte_KL_99012_akt.zip",
    "tageswerte_KL_00433_19480101_20251231_hist.zip": "dwd/tageswerte_KL_99012_20210620_20210705_hist.zip",
    "etmgeg_260.zip": "knmi/etmgeg_901.txt",
    "Q_77_latest-2025-2026_RR-T-Vent.csv.gz": "meteo_france/Q_77_two_stations.csv",
    "dly532.csv": "met_eireann/dly9914.csv",
    "ogd-smn_ber_d_historical.csv": "meteoswiss/ogd-smn_hgb_d_recent.csv",
    "smhi-opendata_20_98230_all.csv": "smhi/max_99150.csv",
    "smhi-opendata_19_98230_all.csv": "smhi/min_99150.csv",
    "k_d_11_1984.csv": "imgw/k_d_11_1984.csv",
    "ottawa.csv": "environment_canada/en_climate_daily_ON_6109999_2021_P1D.csv",
    "IDCJAC0010_066062_1800_Data.csv": "bom/IDCJAC0010_099013_2021_Data.csv",
    "IDCJAC0011_066062_1800_Data.csv": "bom/IDCJAC0011_099013_2021_Data.csv",
    "data.csv": "jma/data.csv",
    "mill-bay.csv": "visual_crossing/metric.csv",
    "wunderground.csv": "wunderground/daily_f.csv",
    "dayfile.txt": "cumulus/dayfile.txt",
    "202106A.CSV": "ecowitt/202106A.CSV",
    "AWN-export.csv": "ambient/AWN-export.csv",
    "weatherlink.txt": "davis/weatherlink_us.txt",
}
STATIONS = {b"USW00099904": b"USW00094728", b"77999001": b"77306001"}  # of the golden files -> of the document
REPORT = """\
                   MONTHLY CLIMATOLOGICAL SUMMARY for JAN 2018


NAME: Hill Farm
ELEV: 650 meters    LAT: 33-00.00 S    LONG: 026-00.00 E


                   TEMPERATURE (C), RAIN (mm), WIND SPEED (kph)

                                         HEAT   COOL         AVG
      MEAN                               DEG    DEG          WIND                   DOM
DAY   TEMP   HIGH   TIME    LOW   TIME   DAYS   DAYS   RAIN  SPEED   HIGH   TIME    DIR
---------------------------------------------------------------------------------------
 01   15.5   20.0  14:10   10.0  23:35    2.9    0.0    1.5   36.0   72.0  21:05    224
 02   15.5   20.0  14:10   10.0  23:35    2.9    0.0    1.5   36.0   72.0  21:05    224
---------------------------------------------------------------------------------------
      15.5   20.0     01   10.0     01    2.9    0.0    1.5   36.0   72.0     01    224
"""
BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2024, 3, 30, tzinfo=BERLIN)  # the clock is put forward on the next day
RECORDER = """
CREATE TABLE statistics_meta (id INTEGER PRIMARY KEY, statistic_id VARCHAR(255), source VARCHAR(32),
  unit_of_measurement VARCHAR(255), has_mean BOOLEAN, has_sum BOOLEAN, name VARCHAR(255));
CREATE TABLE statistics (id INTEGER PRIMARY KEY, created DATETIME, created_ts FLOAT, metadata_id INTEGER,
  start DATETIME, start_ts FLOAT, mean DOUBLE, min DOUBLE, max DOUBLE, last_reset DATETIME, last_reset_ts FLOAT,
  state DOUBLE, sum DOUBLE);
INSERT INTO statistics_meta VALUES (1, 'sensor.kitchen_temperature', 'recorder', '°C', 1, 0, NULL),
  (2, 'sensor.garden_temperature', 'recorder', '°C', 1, 0, NULL),
  (3, 'sensor.garden_rain', 'recorder', 'mm', 0, 1, NULL);
"""  # as Home Assistant's recorder has them (homeassistant/components/recorder/db_schema.py)


def write_golden(path, golden):
    content = (GOLDEN / golden).read_bytes()
    for given, shown in STATIONS.items():
        content = content.replace(given, shown)
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zip" and not golden.endswith(".zip"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(path.with_suffix(".txt").name, content)
        content = packed.getvalue()
    path.write_bytes(content)


def write_dly(path):
    lines = (
        f"USW00094728202401{element}" + "".join(f"{value + day:5}   " for day in range(31))
        for element, value in (("TMAX", 20), ("TMIN", -50), ("PRCP", 0))
    )
    path.write_text("\n".join([*lines, ""]))


def write_weewx(path):
    scalar = "dateTime INTEGER PRIMARY KEY, min REAL, max REAL, sum REAL, count INTEGER, wsum REAL, sumtime INTEGER"
    instants = [int((MIDNIGHT + timedelta(days=day)).timestamp()) for day in range(3)]
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE archive (dateTime INTEGER, usUnits INTEGER, interval INTEGER, outTemp REAL)")
        database.execute(f"CREATE TABLE archive_day_outTemp ({scalar})")
        database.executemany("INSERT INTO archive VALUES (?, 17, 5, 10)", [(at + 300,) for at in instants])
        summary = [(at, 5, 15, 2880, 288, 864_000, 86_400) for at in instants]
        database.executemany("INSERT INTO archive_day_outTemp VALUES (?, ?, ?, ?, ?, ?, ?)", summary)
    database.close()


def home_assistant(query):
    """Return what ``sqlite3 -header -csv`` prints for a query of three days and one hour of a garden in Berlin."""
    database = sqlite3.connect(":memory:")
    database.executescript(RECORDER)
    first = int(MIDNIGHT.timestamp())
    total = 100.0
    for hour in range(24 + 23 + 24 + 1):
        at = float(first + 3600 * hour)
        local = datetime.fromtimestamp(at, UTC).astimezone(BERLIN)
        total += local.day / 10 if local.hour == 12 else 0
        low, high = local.day - 5 + local.hour / 10, local.day + local.hour / 10
        values = [(1, at, 20, 20, 20, None), (2, at, low, low, high, None), (3, at, None, None, None, total)]
        insert = "INSERT INTO statistics (metadata_id, start_ts, mean, min, max, sum) VALUES (?, ?, ?, ?, ?, ?)"
        database.executemany(insert, values)
    found = database.execute(query)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[name for name, *_ in found.description], *found])
    database.close()
    return text.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with every file that the document reads."""
    folder = tmp_path_factory.mktemp("downloads")
    for name, golden in FILES.items():
        write_golden(folder / name, golden)
    write_dly(folder / "USW00094728.dly")
    write_weewx(folder / "weewx.sdb")
    (folder / "reports.txt").write_text(REPORT)
    (query,) = re.findall(r"^```sql\n(.*?)^```", DATA, re.MULTILINE | re.DOTALL)
    (folder / "garden.csv").write_text(home_assistant(query))
    write_csv(folder / "my-station.csv", synthetic_days(200))
    return folder


def run(command, folder, monkeypatch):
    """Run a command in the folder as printed, but in this process and with a store of its own."""
    monkeypatch.chdir(folder)
    name, *arguments = shlex.split(command.split(" > ")[0], comments=True)
    done = call_script(name, *arguments, TMAX_STORE=str(folder / "store"))
    assert done.returncode == 0, done.stderr
    if target := re.search(r" > (\S+)", command):
        (folder / target[1]).write_text(done.stdout)
    return done


@pytest.mark.parametrize("command", READ)
def test_each_command_reads_its_file_in_the_format_that_it_names(command, folder, monkeypatch):
    done = run(command, folder, monkeypatch)
    named = command.split("# ")[1]
    assert f"format: {named};" in done.stderr
    assert done.stdout.startswith("date,tmax,tmin,rain")
    assert ("read together: " in done.stderr) == (named in TOGETHER)


def test_what_is_read_can_be_trained(folder, monkeypatch):
    train = [command for command in COMMANDS if command.startswith("train ")]
    assert train
    run(READ[0], folder, monkeypatch)
    for command in train:
        assert "persistence" in run(f"{command} --quick --force", folder, monkeypatch).stdout


def test_every_format_has_a_command_and_a_source():
    assert {command.split("# ")[1] for command in READ} == set(FORMAT_NAMES)
    sources = DATA.split("## Where to get a record")[1].split("\n\n## ")[0]
    for name in FORMAT_NAMES:
        assert re.search(rf"^\|[^|]+\|[^|]*`{name}`", sources, re.MULTILINE), name


def test_the_query_of_home_assistant_gives_whole_local_days(folder):
    record = read_content((folder / "garden.csv").read_bytes(), "garden.csv", timezone="Europe/Berlin")
    assert np.datetime_as_string(record.days.dates, "D").tolist() == ["2024-03-30", "2024-03-31", "2024-04-01"]
    # The first row tells no rain, as the total before it is unknown; the hour of 2 April is no day.
    np.testing.assert_allclose(record.days.values, [[32.3, 25.0, 3.0], [33.3, 26.0, 3.1], [3.3, -4.0, 0.1]])


def refusal(name, content):
    with pytest.raises(RecordError) as refused:
        read_content(content, name)
    return str(refused.value)


def test_the_messages_are_those_of_the_readers():
    refused = [*(GOLDEN / "errors").iterdir(), GOLDEN / "plain" / "two_stations.csv", GOLDEN / "jma" / "two_places.csv"]
    messages = [refusal(path.name, path.read_bytes()) for path in refused]
    messages.append(refusal("x.csv", b"date,tmax\n42369,5\n42370,6\n"))
    messages.append(refusal("x.csv", b"time,temp\n2015-12-31 08:00,5\n2015-12-31 20:00,4\n"))
    table = DATA.split("| message | what to do |\n| --- | --- |\n")[1].split("\n\n")[0]
    documented = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(documented) == len(table.splitlines())
    for part in documented:
        assert any(part in message for message in messages), part
    days = "".join(f"2015-12-{day};5\n" for day in range(26, 31))
    example = refusal("hill.csv", f"date;tmax\n{days}2015-12-31;12,5,1\n".encode())
    assert f"\nError: {example}\n" in DATA


def listed_in(row):
    """Return what a row of the table of plain CSV lists in code."""
    (line,) = re.findall(rf"^\| {row} \|(.*)\|$", DATA, re.MULTILINE)
    return re.findall(r"`([^`]+)`", line)


def test_plain_csv_may_look_as_the_document_says():
    dates, names, missing = (listed_in(row) for row in ("dates", "names", "missing"))
    assert len(dates) > 5
    for date in dates:
        assert str(read_content(f'date;tmax\n"{date}";5\n'.encode(), "x.csv").days.first) == "2015-12-31", date
    dates_end = names.index("tmax")
    assert dates_end > 3
    for name in names[:dates_end]:
        read_content(f"{name},tmax\n2015-12-30,5\n2015-12-31,5\n".encode(), "x.csv")
    for name in names[dates_end:-1]:
        read_content(f"date,{name}\n2015-12-30,41\n2015-12-31,41\n".encode(), "x.csv")
    assert len(missing) > 5
    for word in missing:
        record = read_content(f"date,tmax\n2015-12-29,5\n2015-12-30,{word}\n2015-12-31,5\n".encode(), "x.csv")
        np.testing.assert_array_equal(record.days.tmax, [5, np.nan, 5])


def test_limits_and_further_columns_are_those_of_the_program():
    assert f"{MAX_BYTES // 2**20} MiB" in DATA
    assert f"{MAX_COLUMNS:,} columns" in DATA
    assert f"{MIN_HOURS} different hours" in DATA
    rows = DATA.split("## Further columns")[1]
    for column in FURTHER:
        assert f"| `{column.name}` | {column.unit('metric')} | {column.unit('us')} |" in rows
    assert len(re.findall(r"^\| `", rows, re.MULTILINE)) == len(FURTHER)
