"""What operators and machines ask: is it alive, is it ready, what does it serve."""

from typing import Any

import msgspec
from flask import Blueprint, Response

from app.store import StoreError
from app.web.errors import Problem
from app.web.shelf import NoModel, Shelf
from models.predictors import unit
from models.station_days import COLUMNS, UNIT_NAMES


def blueprint(shelf: Shelf) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("operations", __name__)

    @routes.get("/livez")
    def livez() -> Response:
        # Touches no model and no lock: whoever can answer at all is alive.
        return _json({"status": "alive"})

    @routes.get("/readyz")
    def readyz() -> Response:
        stations, missing, degraded = shelf.stations(), [], {}
        for station in stations:
            try:
                loaded = shelf.get(station)
                loaded.warm()
            except NoModel as error:
                missing.append(f"{error}: {error.reason}")
            except ValueError as error:  # it is gone, or cannot forecast
                missing.append(str(error))
            else:
                if loaded.refused:
                    degraded[station] = f"serves {loaded.version}: {loaded.refused}"
        if missing or not stations:
            raise Problem(503, "; ".join(missing) or "no model has been trained yet")
        return _json({"status": "ready", "stations": len(stations), "degraded": degraded})

    @routes.get("/models")
    def models() -> Response:
        rows = []
        for station in shelf.stations():
            try:
                loaded = shelf.get(station)
            except (NoModel, StoreError):
                continue  # /readyz says why
            rows.append(
                {
                    "station": station,
                    "version": loaded.version,
                    "trained_through": str(loaded.forecaster.trained_through),
                }
            )
        return _json({"models": rows})

    @routes.get("/models/<station>")
    def model(station: str) -> Response:
        loaded = shelf.get(station)
        manifest, forecaster = loaded.manifest, loaded.forecaster
        return _json(
            {
                "station": station,
                "version": loaded.version,
                "digest": manifest.sha256,
                "created": manifest.created,
                "span": manifest.span,
                "trained_through": str(forecaster.trained_through),
                "rows": manifest.rows,
                "scores": manifest.scores,
                "window": {
                    "min_days": forecaster.recipe.min_days,
                    "recommended_days": forecaster.recommended_days,
                },
                "columns": COLUMNS + forecaster.predictors,
                "columns_used": forecaster.columns + forecaster.predictors,
                "units": UNIT_NAMES["metric"] | {name: unit(name, "metric") for name in forecaster.predictors},
                "recipe": forecaster.recipe,
            }
        )

    return routes


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), content_type="application/json")
