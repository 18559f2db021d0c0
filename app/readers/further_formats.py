"""Formats of weather services, further to those of `app.readers.formats`: the same table, continued."""

from app.readers.format import Field, Format, flagged
from app.readers.vocabulary import words

_GSOD = {
    "max": Field("tmax", "°F"), "min": Field("tmin", "°F"), "prcp": Field("rain", "inch", missing=99.99),
    "temp": Field("tmean", "°F"), "dewp": Field("dew_point", "°F"), "slp": Field("pressure", "hPa"),
    "wdsp": Field("wind_speed", "knots"), "gust": Field("wind_gust", "knots"), "sndp": Field("snow_depth", "inch"),
}  # fmt: skip
_CRN = (
    "wbanno date crx_vn lon lat tmax tmin tmean tavg rain radiation sur sur_max sur_min sur_avg rh_max rh_min humidity"
)
_INMET = {
    "precipitacao total, horario (mm)": Field("rain", "mm"),
    "temperatura do ar - bulbo seco, horaria (°c)": Field("temperature", "°C"),
    "temperatura maxima na hora ant. (aut) (°c)": Field("tmax", "°C"),
    "temperatura minima na hora ant. (aut) (°c)": Field("tmin", "°C"),
    "temperatura do ponto de orvalho (°c)": Field("dew_point", "°C"),
    "umidade relativa do ar, horaria (%)": Field("humidity", "%"),
    "pressao atmosferica ao nivel da estacao, horaria (mb)": Field("station_pressure", "hPa"),
    "vento, velocidade horaria (m/s)": Field("wind_speed", "m/s"),
    "vento, rajada maxima (m/s)": Field("wind_gust", "m/s"),
}
_HKO = frozenset({"年/year", "月/month", "日/day", "數值/value"})

FURTHER: tuple[Format, ...] = (
    Format(
        "gsod", "NOAA Global Summary of the Day", words("station date max min temp prcp"), _GSOD, station="station",
        missing=(9999.9, 999.9),
    ),
    Format(
        "uscrn", "NOAA Climate Reference Network, daily", fields={
            "tmax": Field("tmax", "°C"), "tmin": Field("tmin", "°C"), "rain": Field("rain", "mm"),
            "tavg": Field("tmean", "°C"), "radiation": Field("radiation", "MJ/m2"), "humidity": Field("humidity", "%"),
        },
        station="wbanno", missing=(-9999, -99), unnamed=tuple(_CRN.split()),
        shape=(r"\d{4,5}", r"\d{8}", r"\S+", r"-?\d+\.\d+", r"-?\d+\.\d+", *[r"-?\d+\.\d"] * 5),
    ),
    Format(
        "dwd", "DWD hourly temperature (TU)", words("stations_id mess_datum tt_tu"), {
            "tt_tu": Field("temperature", "°C"), "rf_tu": Field("humidity", "%"),
        },
        station="stations_id", missing=(-999,), utc=True,
    ),
    Format(
        "knmi", "KNMI hourly values", words("stn yyyymmdd hh t"), {
            "t": Field("temperature", "0.1 °C"), "rh": Field("rain", "0.1 mm", trace=-1),
            "td": Field("dew_point", "0.1 °C"), "p": Field("pressure", "0.1 hPa"), "u": Field("humidity", "%"),
            "fh": Field("wind_speed", "0.1 m/s"), "fx": Field("wind_gust", "0.1 m/s"),
        },
        station="stn", utc=True,
    ),
    Format(
        "meteo-france", "Meteo-France hourly data", words("num_poste aaaammjjhh t"), flagged({
            "t": ("temperature", "°C"), "tx": ("tmax", "°C"), "tn": ("tmin", "°C"), "rr1": ("rain", "mm"),
            "td": ("dew_point", "°C"), "u": ("humidity", "%"), "pmer": ("pressure", "hPa"), "ff": ("wind_speed", "m/s"),
        }, "q", "2"),
        date="aaaammjjhh", station="num_poste", utc=True,
    ),
    Format(
        "meteoswiss", "MeteoSwiss hourly data", words("tre200h0"), {
            "tre200h0": Field("temperature", "°C"), "tre200hx": Field("tmax", "°C"), "tre200hn": Field("tmin", "°C"),
            "rre150h0": Field("rain", "mm"), "ure200h0": Field("humidity", "%"), "tde200h0": Field("dew_point", "°C"),
            "fkl010h0": Field("wind_speed", "m/s"), "prestah0": Field("station_pressure", "hPa"),
        },
        utc=True,
    ),
    Format(
        "meteoswiss", "MeteoSwiss ten-minute data", words("tre200s0"), {
            "tre200s0": Field("temperature", "°C"), "rre150z0": Field("rain", "mm"), "ure200s0": Field("humidity", "%"),
            "tde200s0": Field("dew_point", "°C"), "prestas0": Field("station_pressure", "hPa"),
        },
        utc=True,
    ),
    Format(
        "inmet", "INMET (Brazil) hourly data",
        frozenset({"precipitacao total, horario (mm)", "temperatura do ar - bulbo seco, horaria (°c)"}), _INMET,
        station_above=r"CODIGO \(WMO\):;\s*(\w+)", missing=(-9999,),
    ),
    Format(
        "geosphere", "GeoSphere Austria daily data", words("time station tlmax"), {
            "tlmax": Field("tmax", "°C"), "tlmin": Field("tmin", "°C"), "rr": Field("rain", "mm", trace=-1),
            "tl_mittel": Field("tmean", "°C"), "rf_mittel": Field("humidity", "%"),
            "p_mittel": Field("station_pressure", "hPa"),
            "so_h": Field("sunshine", "h"), "sh": Field("snow_depth", "cm", trace=-1),
            "vv_mittel": Field("wind_speed", "m/s"), "ffx": Field("wind_gust", "m/s"),
        },
        station="station",
    ),
    Format(
        "geosphere", "GeoSphere Austria daily data", words("time station tmax nied"), {
            "tmax": Field("tmax", "°C"), "tmin": Field("tmin", "°C"), "nied": Field("rain", "mm", trace=-1),
            "t": Field("tmean", "°C"), "rel": Field("humidity", "%"),
        },
        station="station",
    ),
    *(
        Format(
            "hko", "Hong Kong Observatory, one element a file", _HKO, {"數值/value": Field(quantity, unit)}, says=says,
            family=r"^(?:daily_|CLM(?:MAXT|MINT)_)([A-Z0-9]+)_",
        )
        for says, quantity, unit in (
            ("最高氣溫|Maximum Temperature", "tmax", "°C"), ("最低氣溫|Minimum Temperature", "tmin", "°C"),
            ("總雨量|Rainfall", "rain", "mm"), ("氣溫|Temperature", "tmean", "°C"),
        )
    ),
    Format("fmi", "FMI (Finland)", words("vuosi kk pv klo aikavyohyke"), utc=True),
    Format(
        "wunderground", "Weather Underground, hourly", words("datetime_utc _tempm"), {
            "_tempm": Field("temperature", "°C"), "_hum": Field("humidity", "%"), "_dewptm": Field("dew_point", "°C"),
        },
        utc=True, missing=(-9999, -999),
    ),
)  # fmt: skip
