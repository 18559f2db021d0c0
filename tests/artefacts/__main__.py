"""Keep a model of the present format for ever: ``python -m tests.artefacts`` (once, when the format is new)."""

from pathlib import Path

import msgspec

from app.readers import Record
from app.store import Store
from app.training import train_station
from models.guided import FORMAT
from tests.conftest import QUICK, guided_days

folder = Path(__file__).parent / f"format-{FORMAT}"
days = guided_days()
trained = train_station("hill", Record("hill", days), QUICK, seed=0)
trained.publish_and_promote(Store(folder / "store"), "kept for ever")
recent = days.part(len(days) - 14, len(days))
forecast = trained.learned.forecaster.predict(recent)
(folder / "expected.json").write_bytes(
    msgspec.json.encode(
        {
            "dates": [str(date) for date in recent.dates],
            "values": recent.values.tolist(),
            "predictors": {name: column.tolist() for name, column in recent.predictors.items()},
            "tmax": forecast.tmax,
            "interval_90": forecast.interval(0.9),
        }
    )
)
