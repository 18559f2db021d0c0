"""Habits of tables: the names, dates, numbers, delimiters and codes for missing that people write."""

import datetime

import numpy as np
import pytest

from app.readers import read_content

FIRST = datetime.date(2021, 6, 20)
DAYS = [FIRST + datetime.timedelta(day) for day in range(16)]  # 20 June to 5 July
VALUES = [(20.5 + day % 5, 10.25 + day % 3, 1.5 * (day % 4)) for day in range(16)]


def table(names="date,tmax,tmin,rain", dates=str, delimiter=",", decimal=".", values=VALUES):
    """Return a file; ``values`` may be numbers, or text as it is to stand there."""
    written = [[str(cell).replace(".", decimal) for cell in row] for row in values]
    rows = [delimiter.join([dates(day), *row]) for day, row in zip(DAYS, written, strict=True)]
    return "\n".join([names, *rows, ""])


def check(text, values=VALUES, name="habit.csv", **options):
    days = read_content(text if isinstance(text, bytes) else text.encode(), name, **options).days
    assert days.dates.tolist() == DAYS
    np.testing.assert_allclose(days.values, np.array(values, float), atol=1e-9)


NAMES = """
date,tmax,tmin,rain
DATE,TMAX,TMIN,PRCP
date,TX,TN,RR
Date,Tmax (°C),Tmin (°C),Rain (mm)
Date,T max [degC],T min [degC],Precip [mm]
date,t_max,t_min,precipitation_mm
date,temp_max,temp_min,precipitation
date,max_temp,min_temp,rainfall
date,maxTemp,minTemp,precip
date,temperature_max,temperature_min,precipitation_sum
date,temperature_2m_max,temperature_2m_min,precipitation_sum
Date,High,Low,Precip
date,max_temperature,min_temperature,total_precipitation
Date,Maximum temperature,Minimum temperature,Rainfall
Day,Max temp °C,Min temp °C,Rainfall mm
datetime,tempmax,tempmin,precip
time,tasmax,tasmin,pr
Datum,Höchsttemperatur,Tiefsttemperatur,Regen
Datum,Tageshöchsttemperatur,Tagestiefsttemperatur,Niederschlagshöhe
Datum,TXK,TNK,RSK
Datum,Temperatur max,Temperatur min,Niederschlagsmenge
Date,Tmax,Tmin,Précipitations
Date,Température max,Température min,Pluie
Jour,T° max,T° min,Pluie (mm)
Fecha,Tmax,Tmin,Lluvia
Fecha,Temperatura máxima (°C),Temperatura mínima (°C),Precipitación (mm)
fecha,tmax,tmin,prec
Data,Tmax,Tmin,Pioggia
Data,Temperatura massima,Temperatura minima,Precipitazioni
Datum,Max temperatuur,Min temperatuur,Neerslag
Data,Temp. máxima,Temp. mínima,Chuva
Data,Temperatura maksymalna,Temperatura minimalna,Opady
Data,Tmax,Tmin,Opad
Datum,Högsta temperatur,Lägsta temperatur,Nederbörd
Dato,Maksimumstemperatur,Minimumstemperatur,Nedbør
"""


@pytest.mark.parametrize("names", NAMES.strip().splitlines())
def test_names_in_the_usual_spellings(names):
    check(table(names))


MONTHS = ("Jun", "Jul")
DATES = {
    "YYYY-MM-DD": str,
    "YYYY/M/D": lambda day: f"{day.year}/{day.month}/{day.day}",
    "YYYY.MM.DD": lambda day: f"{day:%Y.%m.%d}",
    "YYYYMMDD": lambda day: f"{day:%Y%m%d}",
    "DD.MM.YYYY": lambda day: f"{day:%d.%m.%Y}",
    "D.M.YYYY": lambda day: f"{day.day}.{day.month}.{day.year}",
    "DD.MM.YY": lambda day: f"{day:%d.%m.%y}",
    "DD-MM-YYYY": lambda day: f"{day:%d-%m-%Y}",
    "DD/MM/YYYY": lambda day: f"{day:%d/%m/%Y}",
    "DD/MM/YYYY 00:00": lambda day: f"{day:%d/%m/%Y} 00:00",
    "M/D/YYYY": lambda day: f"{day.month}/{day.day}/{day.year}",
    "M/D/YYYY 12:00:00 AM": lambda day: f"{day.month}/{day.day}/{day.year} 12:00:00 AM",
    "MM-DD-YYYY": lambda day: f"{day:%m-%d-%Y}",
    "DD-Mon-YY": lambda day: f"{day.day}-{MONTHS[day.month - 6]}-{day:%y}",
    "DD-MON-YYYY": lambda day: f"{day.day:02}-{MONTHS[day.month - 6].upper()}-{day.year}",
    "D Mon YYYY": lambda day: f"{day.day} {MONTHS[day.month - 6]} {day.year}",
    "Mon D, YYYY": lambda day: f'"{MONTHS[day.month - 6]} {day.day}, {day.year}"',
    "T00:00": lambda day: f"{day}T00:00",
    "T00:00:00Z": lambda day: f"{day}T00:00:00Z",
    " 00:00:00": lambda day: f"{day} 00:00:00",
    " 12:00": lambda day: f"{day} 12:00",
    "YYYYMMDD0000": lambda day: f"{day:%Y%m%d}0000",
}


@pytest.mark.parametrize("form", DATES)
def test_dates_in_the_usual_forms(form):
    check(table(dates=DATES[form]))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "  ", " , "], ids=repr)
@pytest.mark.parametrize("decimal", [".", ","], ids=repr)
def test_delimiters_and_decimal_marks(delimiter, decimal):
    if delimiter.strip() == decimal == ",":
        pytest.skip("no one can tell them apart")
    check(table(delimiter.join(("date", "tmax", "tmin", "rain")), str, delimiter, decimal))


def test_a_decimal_comma_in_quotes():
    check(table(values=[[f'"{cell:.2f}"'.replace(".", ",") for cell in row] for row in VALUES]))


def test_the_first_line_of_a_spreadsheet_names_the_delimiter():
    check("sep=;\n" + table("date;tmax;tmin;rain", str, ";", ","))


def test_an_hour_of_observation_beside_the_date_makes_no_hourly_record():
    check(table("date,time,tmax,tmin,rain", lambda day: f"{day},07:00"))


MISSING = (
    "", " ", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "-", "--", "---", "M", "*", ".", "#N/A",
    "-999", "-9999", "-999.0", "-99.9", "999.9", "9999", "-99.99",
)  # fmt: skip


@pytest.mark.parametrize("code", MISSING, ids=repr)
def test_codes_for_missing(code):
    """On a sixth of the days; elsewhere the values are believable."""
    written = [(tmax, code if day % 6 == 1 else tmin, rain) for day, (tmax, tmin, rain) in enumerate(VALUES)]
    expected = [(tmax, np.nan if day % 6 == 1 else tmin, rain) for day, (tmax, tmin, rain) in enumerate(VALUES)]
    check(table(values=written), expected)


@pytest.mark.parametrize("trace", ["T", "t", "Trace", "trace", "tr"])
def test_a_trace_of_rain_is_no_rain(trace):
    check(table(values=[(tmax, tmin, rain or trace) for tmax, tmin, rain in VALUES]))


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1252", "Datum;Höchsttemperatur (°C);Tiefsttemperatur (°C);Niederschlag (mm)"),
        ("cp1250", "Data;Najwyższa temperatura (°C);Najniższa temperatura (°C);Opad (mm)"),
        ("cp932", "年月日;最高気温(℃);最低気温(℃);降水量の合計(mm)"),
        ("utf-16", "Datum;Höchsttemperatur;Tiefsttemperatur;Niederschlag"),
        ("utf-8-sig", "Date;Température maximale;Température minimale;Précipitations"),
    ],
)
def test_encodings(encoding, names):
    check(table(names, str, ";", ",").encode(encoding))


@pytest.mark.parametrize(
    "names", ["date,tmax (°F),tmin (°F),rain (in)", "date,tmax_f,tmin_f,rain_in", "date,tmax,tmin,rain"]
)
def test_degrees_fahrenheit_give_the_same_days(names):
    """To a tenth of a degree, which is what the file holds."""
    values = [(f"{x * 1.8 + 32:.1f}", f"{n * 1.8 + 32:.1f}", f"{r / 25.4:.2f}") for x, n, r in VALUES]
    expected = [((float(x) - 32) / 1.8, (float(n) - 32) / 1.8, float(r) * 25.4) for x, n, r in values]
    check(table(names, values=values), expected, units="us")


def test_units_that_the_file_states_win_over_those_of_the_user():
    check(table("date,tmax (°C),tmin (°C),rain (mm)"), units="us")


def test_the_order_of_columns_and_unknown_columns_change_nothing():
    rows = [f"{rain},calm,{tmin},{day},7,{tmax}" for day, (tmax, tmin, rain) in zip(DAYS, VALUES, strict=True)]
    check("\n".join(["rain,remark,tmin,date,observer,tmax", *rows, ""]))


def test_the_last_rows_without_values_are_no_days():
    later = [FIRST + datetime.timedelta(16 + day) for day in range(30)]
    check(table() + "".join(f"{day},,,\n" for day in later))
