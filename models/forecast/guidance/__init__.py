"""External forecasts of the next day's tmax, corrected for the station."""
