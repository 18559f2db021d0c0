"""`scripts.predict`: it forecasts as the service does, from what its model uses, and says what was missing."""

import numpy as np
import pytest

from app.readers import Record
from app.settings import Settings
from app.store import Store
from app.training.train import train_station
from app.web import create_app
from models.record.columns import COLUMNS
from models.record.days import StationDays
from tests.damage import flip_a_byte, model_file
from tests.processes import call_script, run_script
from tests.stations import QUICK, observations, synthetic_days, write_csv

HEADER = "issued,date,tmax,low_80,high_80,low_90,high_90"


def test_forecasts_are_those_of_the_service(store, record, days, rows):
    """By a real process: nothing but the CSV is on standard output."""
    done = run_script("predict", "--data", record, "--store", store.root)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = rows(done.stdout)
    assert ",".join(row) == HEADER
    client = create_app(Settings(store=store.root)).test_client()
    answer = client.post("/predict", json={"observations": observations(days, QUICK.recommended_days)}).json
    assert answer["flags"] == []
    assert (row["issued"], row["date"]) == (answer["issued"], answer["date"])
    numbers = [answer["tmax"], *(interval[end] for interval in answer["intervals"] for end in ("low", "high"))]
    assert [float(number) for number in list(row.values())[2:]] == numbers


def test_every_day_with_enough_days_before_it_is_forecast(tmp_path, store, rows, fails):
    days = synthetic_days(100, seed=3)
    days.values[40:60, 0] = np.nan
    out = tmp_path / "out.csv"
    given = ("--station", "hill", "--every-day", "--out", out, "--store", store.root)
    done = call_script("predict", "--data", write_csv(tmp_path / "new.csv", days), *given)
    assert done.returncode == 0, done.stderr
    # From the 7th day on; not in the gap; after it again once 7 days have been seen.
    forecast = [*days.dates[6:40], *days.dates[66:]]
    assert [row["issued"] for row in rows(out.read_text())] == [*map(str, forecast)]
    assert done.stderr.startswith(f"{len(forecast)} forecasts; none from {100 - len(forecast)} days: ")
    before = out.read_text()
    done = call_script("predict", "--data", write_csv(tmp_path / "new.csv", days.part(0, 5)), *given)
    fails(done, 1, "new.csv: too few days for a forecast")
    assert out.read_text() == before


def slipped(days, **last):
    """The days with values of the last one changed."""
    values = days.values.copy()
    for name, value in last.items():
        values[-1, COLUMNS.index(name)] = value
    return StationDays(days.first, values)


def test_an_unbelievable_last_tmax_is_an_error_unless_it_is_accepted(tmp_path, store, days, rows, fails):
    file = write_csv(tmp_path / "hill.csv", slipped(days, tmax=51.8))
    given = ("--data", file, "--store", store.root)
    done = call_script("predict", *given)
    fails(done, 1, f"{file}: 51.8 degC is ")
    fails(done, 1, f"the normal of 14 April, 16.9; if it is real, add --accept {days.last}")
    assert done.stdout == ""
    done = call_script("predict", *given, "--accept", days.last)
    assert done.stderr.startswith(f"accepted {days.last} tmax 51.8: ")
    assert [row["issued"] for row in rows(done.stdout)] == [str(days.last)]
    fails(call_script("predict", *given, "--accept", days.last + 1), 1, f"{days.last + 1} is not a day of the record")
    fails(call_script("predict", *given, "--accept", "yesterday"), 2, "does not match the format")
    impossible = write_csv(tmp_path / "hill.csv", slipped(days, tmax=75))
    fails(call_script("predict", *given, "--accept", days.last), 1, f"75.0 degC on {days.last}: ")
    assert impossible == file


def test_doubtful_values_in_the_window_are_reported(tmp_path, store, days):
    """Those that the reader set aside, and those that the model does."""
    changed = slipped(days, tmin=-31.5, rain=-1.0)
    done = call_script("predict", "--data", write_csv(tmp_path / "hill.csv", changed), "--store", store.root)
    assert done.returncode == 0
    rain, tmin, *filled = done.stderr.splitlines()
    assert rain.startswith(f"set aside {days.last} rain -1.0: ")
    assert tmin.startswith(f"set aside {days.last} tmin -31.5: ")
    assert filled == [f"filled {days.last} tmin", f"filled {days.last} rain"]


def test_too_few_days_are_an_error_that_names_the_first_doubt(tmp_path, store, days, fails):
    part = StationDays(days.first, days.values[:20].copy())
    part.values[8:16, 0] = 51.8
    done = call_script("predict", "--data", write_csv(tmp_path / "hill.csv", part), "--store", store.root)
    fails(done, 1, "hill.csv: tmax is missing on more than 5 consecutive days")
    fails(done, 1, f"; set aside {part.dates[8]} tmax 51.8: ")


def test_empty_days_at_the_end_are_left_out_and_said(tmp_path, store, record, days):
    padded = tmp_path / "hill.csv"
    padded.write_text(record.read_text() + "".join(f"{days.last + ago},,,\n" for ago in range(1, 40)))
    done = call_script("predict", "--data", padded, "--store", store.root)
    expected = call_script("predict", "--data", record, "--store", store.root)
    assert (done.returncode, done.stdout) == (0, expected.stdout)
    (said,) = done.stderr.splitlines()
    assert str(days.last) in said


def test_days_that_are_not_believed_are_counted(tmp_path, store, days, rows):
    part = days.part(0, 60)
    part = StationDays(part.first, part.values.copy())
    part.values[30, 0] = 51.8
    given = ("--data", write_csv(tmp_path / "hill.csv", part), "--store", store.root, "--every-day")
    done = call_script("predict", *given)
    issued = [row["issued"] for row in rows(done.stdout)]
    assert issued == [str(date) for date in part.dates[6:] if date != part.dates[30]]
    assert "53 forecasts; none from 7 days: tmax is missing, or not believed (1 days)" in done.stderr
    accepted = call_script("predict", *given, "--accept", part.dates[30])
    assert len(rows(accepted.stdout)) == 54


def test_filled_values_and_an_earlier_champion_are_reported(tmp_path, store, days, retrained):
    earlier = store.station("hill").champion()
    damaged = retrained.promote_in(store, "test")
    flip_a_byte(model_file(store))
    incomplete = days.part(0, 60)
    incomplete.values[50, 1] = np.nan
    done = call_script("predict", "--data", write_csv(tmp_path / "hill.csv", incomplete), "--store", store.root)
    assert done.returncode == 0, done.stderr
    refused, *filled = done.stderr.splitlines()
    because = f"because the present one was refused: model of hill {damaged} does not match"
    assert refused.startswith(f"forecast by the earlier champion {earlier}, {because}")
    assert filled == [f"filled {incomplete.dates[50]} tmin"]


@pytest.fixture(scope="module")
def windy(days):
    """The model, its days, and the guidance of each row, up to that for the day after the last."""
    rng = np.random.default_rng(1)
    guidance = np.append(days.next_tmax[:-1] + rng.normal(1, 1.5, len(days) - 1), 20).round(1)
    further = {"guidance": guidance, "next_wind": np.arange(len(days)) % 7.0}
    days = StationDays(days.first, days.values, further)
    training = train_station("hill", Record("hill", days), QUICK)
    assert training.model.columns == (*COLUMNS, "next_wind", "guidance")
    return training, days


@pytest.fixture
def predict(tmp_path, windy, rows):
    """Call the command on a record; return its row and messages."""
    training, _ = windy
    training.promote_in(Store(tmp_path / "store"), "test")

    def call(days, *arguments):
        record = write_csv(tmp_path / "hill.csv", days)
        done = call_script("predict", "--data", record, "--store", tmp_path / "store", *arguments)
        assert done.returncode == 0, done.stderr
        return rows(done.stdout)[-1], done.stderr

    return call


@pytest.fixture
def file(tmp_path, windy):
    """The guidance by valid date."""
    _, days = windy
    lines = (f"{date + 1},{value}\n" for date, value in zip(days.dates, days.further["guidance"], strict=True))
    (tmp_path / "forecasts.csv").write_text("valid,guidance\n" + "".join(lines))
    return tmp_path / "forecasts.csv"


def test_the_model_gets_its_columns_from_the_record_and_the_file(windy, predict, file):
    training, days = windy
    wind = StationDays(days.first, days.values, {"next_wind": days.further["next_wind"]})
    row, messages = predict(wind, "--guidance", file)
    forecast = training.model.predict(days)
    numbers = [forecast.tmax, *forecast.interval(0.8), *forecast.interval(0.9)]
    assert list(row.values())[2:] == [f"{number:.2f}" for number in numbers]
    assert messages == ""
    assert (row, messages) == predict(days)
    assert predict(wind, "--guidance", file, "--every-day")[0] == row


def test_missing_columns_are_reported(tmp_path, windy, predict):
    training, days = windy
    plain = StationDays(days.first, days.values)
    forecast = training.model.predict(plain)
    row, messages = predict(plain)
    assert row["tmax"] == f"{forecast.tmax:.2f}"
    assert messages.splitlines() == [*forecast.notes]
    assert "no guidance for" in messages
    (tmp_path / "other.csv").write_text(f"date,guidance_wrf\n{days.last},3\n")
    assert predict(plain, "--guidance", tmp_path / "other.csv") == (
        row,
        f"{tmp_path / 'other.csv'} is not used by the model of hill: it uses guidance\n{messages}",
    )


def test_a_model_without_guidance_ignores_it(store, record, file):
    plain = call_script("predict", "--data", record, "--store", store.root)
    guided = call_script("predict", "--data", record, "--store", store.root, "--guidance", file)
    assert guided.stdout == plain.stdout
    assert guided.stderr == f"{file} is not used by the model of hill: it was trained without guidance\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("", 2, "Missing option '--data'"),
        ("--data FOLDER/hill.csv --out FOLDER/../FOLDER_NAME/hill.csv", 2, "an output would overwrite the input"),
        (
            "--data FOLDER/hill.csv --guidance FOLDER/f.csv --out FOLDER/f.csv",
            2,
            "f.csv: name another file",
        ),
        ("--data FOLDER/hill.csv --guidance FOLDER/hill.csv", 2, "--guidance is the record itself"),
        ("--data FOLDER/hill.csv", 1, "no model has been trained yet"),
    ],
)
def test_failures_are_one_line_and_overwrite_nothing(tmp_path, record, fails, arguments, status, message):
    (tmp_path / "hill.csv").write_bytes(record.read_bytes())
    (tmp_path / "f.csv").write_text("valid,guidance\n2018-01-01,3\n")
    given = arguments.replace("FOLDER_NAME", tmp_path.name).replace("FOLDER", str(tmp_path)).split()
    done = call_script("predict", *given, TMAX_STORE=str(tmp_path / "store"))
    fails(done, status, message)
    assert done.stdout == ""
    assert (tmp_path / "hill.csv").read_bytes() == record.read_bytes()
    assert (tmp_path / "f.csv").read_text() == "valid,guidance\n2018-01-01,3\n"


def test_a_station_without_a_model_is_reported_with_the_reason(store, record, fails):
    def predict(station):
        return call_script("predict", "--data", record, "--station", station, "--store", store.root)

    fails(predict("../x"), 1, "'../x' is not a station name")
    fails(predict("dale"), 1, f"no model of station 'dale' in {store.root}; python -m scripts.store list --store")
    flip_a_byte(model_file(store))
    damaged = predict("hill")
    fails(damaged, 1, f"at present: model of hill {store.station('hill').champion()} does not match its manifest")
    assert len(damaged.stderr.splitlines()) == 1
