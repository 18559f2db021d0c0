"""The words of the names of columns, in the usual spellings and languages, without accents (`app.readers.names`)."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


# Names of columns with the date, the time of day, and the parts of a date.
DATE = words(
    """
    date datum data fecha day day_date dia jour tag pvm dato dt datetime date_time timestamp time valid_date
    local_date obs_date observation_date dateobs yyyymmdd aaaammjj yearmoda mess_datum reference_timestamp
    orario zeit zeitstempel zeitpunkt datumzeit messzeit data_ora data_hora dataora datahora datetime_local
    date_heure fecha_hora datum_tid obstime date_local period_start localtime giorno giorno_ora tiempo
    yyyy-mm-dd dt_iso dh tid zeit data_medicao created_at last_changed last_updated start valid 일시 날짜
    """
) | {"date & time", "date time", "date-time", "date/time", "datum/zeit", "ημερομηνια", "дата", "年月日", "日付", "日期"}
TIME = words(
    """
    time tid hour hours hora heure uhrzeit zeit ora godzina tijd hh klo hhmm hr time_utc aika
    """
) | {"tid (utc)", "time (local)", "time (lst)", "time (utc)", "time_local", "timestamp_time"}
YEAR = words(
    """
    year yr yyyy jahr annee ano anno rok jaar ar aasta vuosi yy iyear 年/year
    """
)
MONTH = words(
    """
    month mo mm mon monat mois mes mese miesiac maand manad m kk kuukausi imonth mnth 月/month
    """
)
DAY = words(
    """
    day dy dd d tag jour dia giorno dzien dag da mday iday day_of_month pv paiva 日/day
    """
)
DAY_OF_YEAR = words("doy yday jday julian dayofyear day_of_year julian_day jd")

# Names of columns that tell stations apart.
STATION = words(
    """
    station stationid station_id stationname station_name stn staid stations_id stnid station_abbr site siteid
    site_id site_name num_poste wmo wmo_id usaf estacion stazione standort location locationid location_id idema
    lugar place stasjon indicativo 지점
    """
) | {"climate id", "site id", "stanice", "station id", "station name", "station number", "station/location"}

# Whole names, without blanks, '_', '-' and '.', by the quantity that they mean.
WHOLE = {
    "tmax": """
        tmax tx txk tempmax maxtemp maxtp tmx tasmax temphigh hightemp maxt maxtemperature tempmaxima
        temperaturemax temperaturemaxima temperaturemaximale temperature2mmax tmaximum maximumtemperature
        tmaxima t2mmax hochsttemperatur tageshochsttemperatur hoechsttemperatur lufttemperaturmax
        tempmaximum temperaturamaxima temperaturahigh tempmaxi maximaltemperatur temperaturehigh
        hightemperature tmaxi outtempmax airtemperaturemax maxairtemp 最高気温 tmaks maksimumstemperatur
        maxtemperatur temperaturamassima tmassima dagmax hoogstetemperatuur maximumtemperatuur
        최고기온 最高气温 最高温 最高氣溫 hojeste
    """,
    "tmin": """
        tmin tn tnk tempmin mintemp mintp tmn tasmin templow lowtemp mint mintemperature tempminima
        temperaturemin temperatureminima temperatureminimale temperature2mmin tminimum minimumtemperature
        tminima t2mmin tiefsttemperatur tagestiefsttemperatur lufttemperaturmin tempminimum
        temperaturaminima temperaturalow tempmini minimaltemperatur temperaturelow lowtemperature tmini
        outtempmin airtemperaturemin minairtemp 最低気温 mintemperatur minimumstemperatur tminimi dagmin
        laagstetemperatuur minimumtemperatuur 최저기온 最低气温 最低温 最低氣溫 laveste
    """,
    "rain": """
        rain rr prcp prec precip precipitation rainfall rsk niederschlag niederschlagsmenge nederbord
        neerslag pluie precipitations precipitacion precipitaciones lluvia pioggia precipitazione
        precipitazioni chuva precipitacao opad opady regen nedbor sademaara precipitationsum totalprecip
        raintotal totalrain dailyrain prectotcorr rainsum raindaily precipitationtotal rainfallamount pr
        pp24 nederbordsmangd regenmenge hauteurdeprecipitations rainfalltotal 降水量 降水量の合計 neerslagsom
        niederschlagshohe niederschlagshoehe sumaopadow srazky dagsumma dailyrainfall precipitationheight
        csapadek осадки 강수량 일강수량 降雨量
    """,
    "tmean": """
        tmean tavg tempavg avgtemp meantemp tempmean temperatureavg temperaturemean
        temperature2mmean averagetemperature meantemperature mitteltemperatur temperaturemoyenne
        temperaturamedia 平均気温 srednia temperaturasrednia gemiddeldetemperatuur medeltemperatur
        temperatureaverage middeltemperatur 평균기온 平均气温 平均氣溫
    """,
    "temperature": """
        temperature temp temperatur temperatura outtemp outdoortemperature tempout airtemp airtemperature
        lufttemperatur temperature2m outsidetemperature t ta tair temperaturaaria outdoortemp drybulb 気温
        temperatuur t2m aussentemperatur 기온 气温 氣溫
    """,
    "humidity": """
        humidity hum rhum relativehumidity rhavg outhumidity outdoorhumidity humidityavg
        luftfeuchtigkeit luftfeuchte relativeluftfeuchtigkeit humedad umidita umiditarelativa humidite
        humiditerelative um humout relativehumidity2m relativehumidity2mmean outhum avghumidity humiditymean
        luchtvochtigheid aussenfeuchte aussenluftfeuchtigkeit 습도 相対湿度
    """,
    "dew_point": """
        dewpoint dew dewpt dewpointavg dewptavg taupunkt dewpoint2m dewpoint2mmean dewpointmean puntoderocio
        pointderosee outdewpoint outdoordewpoint tdmean
    """,
    "vapour_pressure": """
        vapourpressure vaporpressure dampfdruck
    """,
    "pressure": """
        pressure slp barometer baro pres mslp sealevelpressure pressuremsl
        pressuremslmean sealevelpressureavg relativepressure luftdruck pression presion pressione
        barometricpressure seapressure msl pressurerelative baromrel 海面気圧 meansealevelpressure
        luchtdruk
    """,
    "station_pressure": """
        stationpressure surfacepressure surfacepressuremean absolutepressure baromabs pressureabsolute
    """,
    "wind_speed": """
        windspeed wind windspeedavg avgwindspeed windspeed10m windspeed10mmean windspeedmean
        windgeschwindigkeit meanwindspeed averagewindspeed wdspavg windavg vitesseduvent velviento
    """,
    "wind_gust": """
        windgust gust windgustmax maxgust windgusts windgusts10mmax gustspeed highwindgust maxwindgust
        peakgust spdofmaxgust maxwindgustspeed windgustspeed hiwindspeed
    """,
    "wind_direction": """
        winddirection winddirdegrees winddir windrichtung winddirection10m winddirectionavg avgwinddirection
        winddirection10mdominant
    """,
    "wind_gust_direction": """
        windgustdirection gustdirection dirofmaxgust windgustdir
    """,
    "sunshine": """
        sunshine sunshineduration sunshinehours sonnenscheindauer sonnenschein zonneschijn insolation
        sunhours 日照時間
    """,
    "radiation": """
        radiation solarradiation solar globalradiation srad globalstrahlung
        shortwaveradiationsum solarradiationavg shortwaveradiation glo
    """,
    "cloud": """
        cloud cloudcover clouds cloudcoveravg cloudcovermean bewolkung nebulosite totalcloudcover
    """,
    "snow_depth": """
        snowdepth snowonground snowongrnd schneehohe
    """,
}
QUANTITY_OF = {name: quantity for quantity, names in WHOLE.items() for name in names.split()}

# Totals since midnight: within a day, their maximum is the rain of the day.
TODAY = words(
    """
    dailyrain raindaily todayrain raintoday daily dailyrainfall precipitationtoday raindailytotal dailyprecip
    pioggiagiornaliera tagesregen rainfalltoday dayrain cumulativerain dailyraintotal precipaccum precipitationaccum
    """
)

# Words of longer names, by the part of the meaning that they carry.
TEMPERATURE_WORDS = words(
    """
    temp temps temperature temperatures temperatur temperatura temperaturas t air lufttemperatur temperaturen
    teplota temperatuur lampotila tmp thermometer temperatury температура
    """
)
RAIN_WORDS = words(
    """
    rain rainfall precip precipitation precipitations prcp niederschlag niederschlagsmenge pluie lluvia
    precipitacion precipitaciones pioggia precipitazione precipitazioni neerslag regen chuva precipitacao opad
    opadow opady nederbord nedbor srazky rr precipitationsum nederbordsmangd sademaara осадки
    """
)
# Of those, the words that do not mean snow and hail as well.
ONLY_RAIN = words("rain rainfall pluie lluvia pioggia regen chuva")
# A total beside sums of longer times is a counter that goes on.
LONGER = words("week weekly month monthly year yearly annual woche monat jahr")
TOTAL = words("total totale")
HIGH = words(
    """
    max maximum maximal maximale maxima maximo maximaux massima massimo maks high hi highest hoch hochst hochste
    hochsttemperatur alta haute najwyzsza maksymalna hogst hogsta hogste hoyeste hojeste hoogste maksimum ylin maxi
    макс максимум максимальная
    """
)
LOW = words(
    """
    min minimum minimal minimale minima minimo minimaux low lo lowest tief tiefst tiefste baja basse najnizsza
    minimalna lagst lagsta lagste laveste laagste alin mini мин минимум минимальная
    """
)
MEANS = words("avg average mean mittel moyenne media promedio medel srednia")
# Words that change nothing.
OTHER_WORDS = words(
    """
    avg average mean mittel mittelwert mittlere moyenne moyen media medio promedio srednia gemiddelde medel
    daily day air outdoor outside aussen exterior esterna esterno exterieure ext out relative relativa relativ
    sea level luft 2m dry bulb of the total sum amount totale suma summe daglig tages giornaliera giornaliero
    diaria quotidienne cumulata dobowy dobowa dobowe aria de del di des der dell liquid equivalent water 24h
    24hr station 10m a ilman actual observed tot diario ins
    """
)
DAILY = words("daily today day giornaliera")
# Words that mean a quantity that no model needs, unless others stand beside them.
FURTHER_WORDS = {
    "humidity": words("humidity hum humedad umidita humidite luftfeuchte luftfeuchtigkeit vochtigheid rh wilgotnosc"),
    "pressure": words("pressure barometer baro luftdruck pression presion pressione luchtdruk cisnienie"),
    "wind_gust": words("gust gusts raffica rafale boe windbo racha"),
    "radiation": words("radiation solar strahlung radiazione rayonnement radiacion"),
    "dew_point": words("dewpoint dew taupunkt rugiada"),
    "wind_speed": words("wind vento viento vent"),
    "sunshine": words("sunshine sonnenschein"),
}
# Words that may stand beside those.
ALSO = {
    "dew_point": words("point punkt punto"),
    "wind_speed": words("speed velocita velocidad vitesse"),
    "wind_gust": words("wind speed max maximum high vento vent viento"),
    "pressure": words("rel"),
    "sunshine": words("duration"),
    "radiation": words("irradiance global shortwave"),
}

# The first letters of the months, without accents, that tell them apart in English, German, French, Spanish, Italian,
# Dutch, the Nordic languages, Polish, Czech and Portuguese; the longest that fits counts.
MONTHS = (
    "jan gen ene sty led tam",
    "feb fev lut uno hel",
    "mar mrz mae maa bre",
    "apr avr abr kwi dub huh",
    "may mai mag maj mei maio kve tou",
    "jun juin giu cze cerven kes",
    "jul juil lug lip cervenec hei",
    "aug aou ago sie srp elo",
    "sep set wrz zar syy",
    "oct okt ott out paz rij lok",
    "nov lis marr",
    "dec dez dic des gru pro jou",
)
MONTH_OF = {letters: month for month, names in enumerate(MONTHS, start=1) for letters in names.split()}
