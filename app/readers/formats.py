"""The table of formats: how each source is recognised, and what its columns, codes and flags mean.

A format is data. What a source has in common with others (encoding, delimiter, dates, units in names, words for
missing) is not repeated here; the names of a plain CSV are understood by `app.readers.names`.
"""

import re
from collections.abc import Sequence

from app.readers.format import Field, Format, flagged
from app.readers.further_formats import FURTHER
from app.readers.names import plain
from app.readers.vocabulary import words

NUMBER = r"-?\d*[.,]?\d*"
CLOCK = r"\d{1,2}[:.]\d{2}"

# Second item of NOAA's attributes "measurement,quality,source": not blank where the value failed quality control.
FAILED = r"[^,]*,\s*[^\s,].*"
# Units of GHCN-Daily: tenths in its own files; degC and mm, or degF and inch, in orders of Climate Data Online.
_NOAA = {
    "tmax": ("tmax", "0.1 °C|°C|°F"),
    "tmin": ("tmin", "0.1 °C|°C|°F"),
    "prcp": ("rain", "0.1 mm|mm|inch"),
    "tavg": ("tmean", "0.1 °C|°C|°F"),
    "snwd": ("snow_depth", "mm|mm|inch"),
    "awnd": ("wind_speed", "0.1 m/s|m/s|mph"),
    "wsfg": ("wind_gust", "0.1 m/s|m/s|mph"),
    "wdfg": ("wind_gust_direction", "degrees"),
    "tsun": ("sunshine", "minutes"),
    "adpt": ("dew_point", "0.1 °C|°C|°F"),
    "aslp": ("pressure", "0.1 hPa|hPa|inHg"),
    "rhav": ("humidity", "%"),
}
NOAA = {name: Field(quantity, unit, f"{name}_attributes", FAILED) for name, (quantity, unit) in _NOAA.items()}
GHCN = {name: Field(quantity, unit.split("|")[0], "q_flag", r"\S+") for name, (quantity, unit) in _NOAA.items()}

_SMHI_STATION = r"(?:Klimat|Stations)nummer[^\n]*\n[^;\n]*;(\d+)"
_IMGW = "station name year month day tmax tmax_s tmin tmin_s tmean tmean_s gmin gmin_s rain rain_s kind snow snow_s"
_CUMULUS = (
    "date wind_gust bearing gust_at tmin tmin_at tmax tmax_at pressure_min t3 pressure_max t4 rate t5 rain tmean run "
    "wind_max t6 humidity_min t7 humidity_max t8 evaporation sunshine"
)

FORMATS: tuple[Format, ...] = (
    *FURTHER,
    Format(
        "ghcn-csv", "NOAA GHCN-Daily or Climate Data Online, CSV", words("station date prcp"), NOAA, station="station",
        station_is=r"(?:GHCND:)?[A-Z]{2}[A-Z0-9_-]{9}", systems="noaa", missing=(-9999, 9999),
    ),
    Format(
        "ghcn-csv", "NOAA GHCN-Daily or Climate Data Online, CSV", words("station date tmax"), NOAA, station="station",
        station_is=r"(?:GHCND:)?[A-Z]{2}[A-Z0-9_-]{9}", systems="noaa", missing=(-9999, 9999),
    ),
    Format(
        "ghcn-rows", "NOAA GHCN-Daily by year, one value a row", words("id date element data_value"), GHCN,
        station="id", element="element", value="data_value", missing=(-9999,),
    ),
    Format(
        "ghcn-rows", "NOAA GHCN-Daily by year, one value a row", words("date attr value"),
        {name: f._replace(flag="b") for name, f in GHCN.items()}, element="attr", value="value", missing=(-9999,),
    ),
    Format(
        "ghcn-rows", "NOAA GHCN-Daily by year, one value a row", fields=GHCN, station="id", element="element",
        value="data_value", missing=(-9999,),
        unnamed=("id", "date", "element", "data_value", "m_flag", "q_flag", "s_flag", "obs_time"),
        shape=(r"[A-Z]{2}[A-Z0-9_-]{9}", r"\d{8}", r"[A-Z0-9]{4}", r"-?\d+"),
    ),
    Format(
        "meteostat", "Meteostat bulk data", fields={
            "tmax": Field("tmax", "°C"), "tmin": Field("tmin", "°C"), "prcp": Field("rain", "mm"),
            "tavg": Field("tmean", "°C"), "snow": Field("snow_depth", "mm"), "wdir": Field("wind_direction", "°"),
            "wspd": Field("wind_speed", "km/h"), "wpgt": Field("wind_gust", "km/h"), "pres": Field("pressure", "hPa"),
            "tsun": Field("sunshine", "min"),
        },
        unnamed=("date", "tavg", "tmin", "tmax", "prcp", "snow", "wdir", "wspd", "wpgt", "pres", "tsun"),
        shape=(r"\d{4}-\d{2}-\d{2}", *[NUMBER] * 10),
    ),
    Format(
        "meteostat", "Meteostat", words("tmax tmin prcp wspd"), {
            "tmax": Field("tmax", "°C"), "tmin": Field("tmin", "°C"), "prcp": Field("rain", "mm"),
            "tavg": Field("tmean", "°C"), "temp": Field("tmean", "°C"), "snow": Field("snow_depth", "mm"),
            "snwd": Field("snow_depth", "cm"), "wdir": Field("wind_direction", "°"), "rhum": Field("humidity", "%"),
            "wspd": Field("wind_speed", "km/h"), "wpgt": Field("wind_gust", "km/h"), "pres": Field("pressure", "hPa"),
            "tsun": Field("sunshine", "min"), "cldc": Field("cloud", "oktas"),
        },
    ),
    Format("open-meteo", "Open-Meteo", frozenset({"time"}), says=r"(?i)^\s*(latitude|location_id),"),
    Format(
        "ecad", "ECA&D", words("souid date"), flagged({
            "tx": ("tmax", "0.1 °C"), "tn": ("tmin", "0.1 °C"), "rr": ("rain", "0.1 mm"), "tg": ("tmean", "0.1 °C"),
            "pp": ("pressure", "0.1 hPa"), "hu": ("humidity", "%"), "ss": ("sunshine", "0.1 h"),
            "sd": ("snow_depth", "cm"), "fg": ("wind_speed", "0.1 m/s"), "fx": ("wind_gust", "0.1 m/s"),
            "dd": ("wind_direction", "°"), "cc": ("cloud", "oktas"), "qq": ("radiation", "W/m2"),
        }, "q_", "[19]"),
        station="staid", missing=(-9999,),
        family=r"(?:^|_)(?:TX|TN|RR|TG|PP|HU|SS|SD|FG|FX|DD|CC|QQ)_(STAID\d+)\.(?:txt|gz|zip)$",
        station_above=r"STAID:\s*(\d+)",
    ),
    Format(
        "dwd", "DWD daily climate (KL)", words("stations_id mess_datum txk"), {
            "txk": Field("tmax", "°C"), "tnk": Field("tmin", "°C"), "rsk": Field("rain", "mm"),
            "tmk": Field("tmean", "°C"), "pm": Field("pressure", "hPa"), "upm": Field("humidity", "%"),
            "vpm": Field("vapour_pressure", "hPa"), "fm": Field("wind_speed", "m/s"), "fx": Field("wind_gust", "m/s"),
            "sdk": Field("sunshine", "h"), "nm": Field("cloud", "oktas"), "shk_tag": Field("snow_depth", "cm"),
        },
        station="stations_id", missing=(-999,),
        family=r"^tageswerte_KL_(\d{5})_.*(?:hist|akt)\.zip$",
    ),
    Format(
        "knmi", "KNMI daily values", words("stn yyyymmdd tx"), {
            "tx": Field("tmax", "0.1 °C"), "tn": Field("tmin", "0.1 °C"), "rh": Field("rain", "0.1 mm", trace=-1),
            "tg": Field("tmean", "0.1 °C"), "pg": Field("pressure", "0.1 hPa"), "ug": Field("humidity", "%"),
            "fg": Field("wind_speed", "0.1 m/s"), "fxx": Field("wind_gust", "0.1 m/s"),
            "ddvec": Field("wind_direction", "°", missing=0), "sq": Field("sunshine", "0.1 h", trace=-1),
            "q": Field("radiation", "J/cm2"), "ng": Field("cloud", "oktas"),
        },
        station="stn",
    ),
    Format(
        "environment-canada", "Environment Canada daily data",
        frozenset({"date/time", "max temp (°c)", "min temp (°c)"}), {
            "max temp (°c)": Field("tmax", "°C"), "min temp (°c)": Field("tmin", "°C"),
            "mean temp (°c)": Field("tmean", "°C"), "total precip (mm)": Field("rain", "mm"),
            "snow on grnd (cm)": Field("snow_depth", "cm"), "spd of max gust (km/h)": Field("wind_gust", "km/h"),
            "dir of max gust (10s deg)": Field("wind_gust_direction", "10s deg"),
        },
        date="date/time", station="climate id", station_above=r'"?Climate Identifier"?,"?(\w+)',
    ),
    Format(
        "environment-canada", "Environment Canada daily data, in French",
        frozenset({"date/heure", "temp max.(°c)", "temp min.(°c)"}), {
            "temp max.(°c)": Field("tmax", "°C"), "temp min.(°c)": Field("tmin", "°C"),
            "temp moy.(°c)": Field("tmean", "°C"), "precip. tot. (mm)": Field("rain", "mm"),
            "neige au sol (cm)": Field("snow_depth", "cm"), "vit. raf. max. (km/h)": Field("wind_gust", "km/h"),
            "dir. raf. max. (10s deg)": Field("wind_gust_direction", "10s deg"),
        },
        date="date/heure", station="id climatologique",
    ),
    Format(
        "bom", "Australia's Bureau of Meteorology, one element a file",
        frozenset({"product code", "year", "month", "day"}), {
            "maximum temperature (degree c)": Field(
                "tmax", "°C", "days of accumulation of maximum temperature", r"0*([2-9]|[1-9]\d+)"
            ),
            "minimum temperature (degree c)": Field(
                "tmin", "°C", "days of accumulation of minimum temperature", r"0*([2-9]|[1-9]\d+)"
            ),
            "rainfall amount (millimetres)": Field(
                "rain", "mm", "period over which rainfall was measured (days)", r"0*([2-9]|[1-9]\d+)"
            ),
            "daily global solar exposure (mj/m*m)": Field("radiation", "MJ/m2"),
        },
        station="bureau of meteorology station number", family=r"IDCJAC00\d{2}_(\d{6})\w*\.(?:csv|zip)$",
    ),
    Format(
        "meteo-france", "Meteo-France daily data", words("num_poste aaaammjj"), flagged({
            "tx": ("tmax", "°C"), "tn": ("tmin", "°C"), "rr": ("rain", "mm"), "tm": ("tmean", "°C"),
            "ffm": ("wind_speed", "m/s"), "fxi": ("wind_gust", "m/s"), "dxi": ("wind_gust_direction", "°"),
            "um": ("humidity", "%"), "pmerm": ("pressure", "hPa"), "inst": ("sunshine", "min"),
            "glot": ("radiation", "J/cm2"), "neigetot06": ("snow_depth", "cm"),
        }, "q", "2"),
        date="aaaammjj", station="num_poste", station_is=r"\d{7,8}",
    ),
    Format(
        "met-eireann", "Met Eireann daily data", words("date maxtp mintp"), {
            "maxtp": Field("tmax", "°C"), "mintp": Field("tmin", "°C"), "rain": Field("rain", "mm"),
            "cbl": Field("pressure", "hPa"), "wdsp": Field("wind_speed", "knots"), "hg": Field("wind_gust", "knots"),
            "sun": Field("sunshine", "h"), "g_rad": Field("radiation", "J/cm2"),
        },
    ),
    Format(
        "meteoswiss", "MeteoSwiss daily data", words("tre200dx"), {
            "tre200dx": Field("tmax", "°C"), "tre200dn": Field("tmin", "°C"), "rre150d0": Field("rain", "mm"),
            "rka150d0": Field("rain", "mm"), "tre200d0": Field("tmean", "°C"), "pp0qffd0": Field("pressure", "hPa"),
            "prestad0": Field("station_pressure", "hPa"), "tde200d0": Field("dew_point", "°C"),
            "ure200d0": Field("humidity", "%"),
            "pva200d0": Field("vapour_pressure", "hPa"), "sre000d0": Field("sunshine", "min"),
            "gre000d0": Field("radiation", "W/m2"), "nto000d0": Field("cloud", "%"),
            "fkl010d0": Field("wind_speed", "m/s"), "fkl010d1": Field("wind_gust", "m/s"),
            "dkl010d0": Field("wind_direction", "°"), "hto000d0": Field("snow_depth", "cm"),
        },
    ),
    *(
        Format(
            "smhi", "SMHI observations", words(f"{column} kvalitet"), {column: Field(quantity, unit)}, says=says,
            station_above=_SMHI_STATION, family=r"^smhi-opendata_(?:\d+_)+(\d+)_", utc=quantity == "temperature",
        )
        for column, says, quantity, unit in (
            ("lufttemperatur", r"(?i)Lufttemperatur;\s*max", "tmax", "°C"),
            ("lufttemperatur", r"(?i)Lufttemperatur;\s*min", "tmin", "°C"),
            ("lufttemperatur", r"(?i)Lufttemperatur;\s*medel", "tmean", "°C"),
            ("lufttemperatur", "", "temperature", "°C"),
            ("nederbordsmangd", "", "rain", "mm"),
        )
    ),
    Format(
        "nasa-power", "NASA POWER", words("year t2m_max t2m_min"), {
            "t2m_max": Field("tmax", "°C"), "t2m_min": Field("tmin", "°C"), "prectotcorr": Field("rain", "mm"),
            "prectot": Field("rain", "mm"), "t2m": Field("tmean", "°C"), "t2mdew": Field("dew_point", "°C"),
            "rh2m": Field("humidity", "%"), "ps": Field("station_pressure", "kPa"), "ws10m": Field("wind_speed", "m/s"),
            "wd10m": Field("wind_direction", "°"), "allsky_sfc_sw_dwn": Field("radiation", "kWh/m2/day"),
            "snodp": Field("snow_depth", "cm"),
        },
        missing=(-999, -99),
    ),
    Format(
        "visual-crossing", "Visual Crossing", words("datetime tempmax tempmin"), {
            "tempmax": Field("tmax", "°C|°C|°F"), "tempmin": Field("tmin", "°C|°C|°F"),
            "temp": Field("tmean", "°C|°C|°F"), "dew": Field("dew_point", "°C|°C|°F"),
            "humidity": Field("humidity", "%"), "precip": Field("rain", "mm|mm|inch"),
            "snowdepth": Field("snow_depth", "cm|cm|inch"), "windspeed": Field("wind_speed", "km/h|km/h|mph"),
            "windgust": Field("wind_gust", "km/h|km/h|mph"), "winddir": Field("wind_direction", "°"),
            "sealevelpressure": Field("pressure", "hPa"), "cloudcover": Field("cloud", "%"),
            "solarradiation": Field("radiation", "W/m2"),
        },
        station="name", systems="dew point",
    ),
    Format("wunderground", "Weather Underground", words("date temphighf templowf")),
    Format(
        "jma", "Japan Meteorological Agency", frozenset({"年月日"}), {
            name: Field(quantity, unit, f"{name} 品質情報", "[0-4]")
            for name, quantity, unit in (
                ("最高気温(°c)", "tmax", "°C"), ("最低気温(°c)", "tmin", "°C"), ("平均気温(°c)", "tmean", "°C"),
                ("降水量の合計(mm)", "rain", "mm"), ("日照時間(時間)", "sunshine", "h"),
                ("平均風速(m/s)", "wind_speed", "m/s"),
            )
        },
        places_above=True,
    ),
    Format(
        "imgw", "IMGW (Poland) daily climate", fields={
            "tmax": Field("tmax", "°C", "tmax_s", "8"), "tmin": Field("tmin", "°C", "tmin_s", "8"),
            "tmean": Field("tmean", "°C", "tmean_s", "8"), "rain": Field("rain", "mm", "rain_s", "8"),
            "snow": Field("snow_depth", "cm", "snow_s", "8"),
        },
        station="station", unnamed=tuple(_IMGW.split()),
        shape=(r"\d{9}", r".*", r"\d{4}", r"\d{1,2}", r"\d{1,2}", NUMBER, "[89]?", NUMBER, "[89]?"),
    ),
    Format(
        "cumulus", "Cumulus dayfile", fields={
            "tmax": Field("tmax"), "tmin": Field("tmin"), "rain": Field("rain"), "tmean": Field("tmean"),
        },
        unnamed=tuple(_CUMULUS.split()),
        shape=(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}", NUMBER, NUMBER, CLOCK, NUMBER, CLOCK, NUMBER, CLOCK),
    ),
    Format("csv", "CSV with a line of names"),
)  # fmt: skip

PLAIN = FORMATS[-1]
NAMES = tuple(dict.fromkeys(known.name for known in FORMATS))


def by_names(names: Sequence[str], above: str | None, chosen: str) -> Format | None:
    """Return the first format whose names these are.

    ``above`` is the text above the names, None if unknown; ``chosen`` is the name of a format, or "auto".
    """
    have = {plain(name) for name in names}
    for known in FORMATS:
        if (
            chosen in {"auto", known.name}
            and known.needs
            and known.needs <= have
            and (not known.says or above is None or re.search(known.says, above))
        ):
            return known
    return None


def by_rows(rows: Sequence[Sequence[str]], chosen: str) -> Format | None:
    """Return the format of the rows of a table without names."""
    for known in FORMATS:
        if chosen in {"auto", known.name} and known.shape:
            fits = [len(row) >= len(known.shape) and all(map(re.fullmatch, known.shape, row)) for row in rows]
            if sum(fits) >= 0.9 * len(rows) and fits[0]:
                return known
    return None
