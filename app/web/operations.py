"""Routes for operators: liveness, readiness and the served models."""

from flask import Blueprint, Response

from app.serving.champions import NoModel
from app.store import StoreError
from app.web.errors import Problem
from app.web.responses import champions, json_response
from models.nn.compiled import steps
from models.record.columns import COLUMNS, units_of

routes = Blueprint("operations", __name__)


@routes.get("/livez")
def livez() -> Response:
    """Report that the process answers; this uses no model and no lock."""
    return json_response({"status": "alive"})


@routes.get("/readyz")
def readyz() -> Response:
    """Report whether the champion of every station can forecast now."""
    stations, missing, degraded = champions().stations(), [], {}
    for station in stations:
        try:
            served = champions().get(station)
            served.warm()
        except NoModel as error:
            missing.append(f"{error}: {error.reason}")
        except ValueError as error:  # no longer served, or it cannot forecast
            missing.append(str(error))
        else:
            if served.refused:
                degraded[station] = f"serves {served.version}: {served.refused}"
    if missing or not stations:
        raise Problem(503, "; ".join(missing) or "no model has been trained yet")
    return json_response({"status": "ready", "stations": len(stations), "degraded": degraded})


@routes.get("/models")
def models() -> Response:
    """List the served models."""
    rows = []
    for station in champions().stations():
        try:
            served = champions().get(station)
        except (NoModel, StoreError):
            continue  # /readyz reports the reason
        through = str(served.model.trained_through)
        rows.append({"station": station, "version": served.version, "trained_through": through})
    return json_response({"models": rows})


@routes.get("/models/<station>")
def model(station: str) -> Response:
    """Describe the model of a station."""
    served = champions().get(station)
    manifest, forecaster = served.manifest, served.model
    columns = (*COLUMNS, *served.further)
    return json_response(
        {
            "station": station,
            "version": served.version,
            "digest": manifest.sha256,
            "created": manifest.created,
            "span": manifest.span,
            "trained_through": str(forecaster.trained_through),
            "rows": manifest.rows,
            "model": manifest.model,
            "scores": manifest.scores,
            "window": {"min_days": forecaster.recipe.min_days, "recommended_days": forecaster.recommended_days},
            "columns": columns,
            "columns_used": forecaster.columns,
            "neighbours": list(forecaster.neighbours),
            "neighbour_columns": forecaster.neighbours,
            "units": units_of(columns),
            "recipe": forecaster.recipe,
            "steps": steps(),
        }
    )
