"""Store a small model of the present format with its forecast: ``python -m tests.artefacts``."""

import shutil
from pathlib import Path

import msgspec

from app.readers import Record
from app.store import Store
from app.training.train import train_station
from tests.stations import QUICK, guided_days

FOLDER = Path(__file__).parent


def main() -> None:
    """Replace the stored model."""
    shutil.rmtree(FOLDER / "store", ignore_errors=True)
    days = guided_days()
    training = train_station("hill", Record("hill", days), QUICK, seed=0)
    training.promote_in(Store(FOLDER / "store"), "stored for the tests")
    (FOLDER / "store" / "hill" / ".lock").unlink()
    recent = days.part(len(days) - 14, len(days))
    forecast = training.model.predict(recent)
    expected = {
        "dates": [str(date) for date in recent.dates],
        "values": recent.values.tolist(),
        "further": {name: series.tolist() for name, series in recent.further.items()},
        "tmax": forecast.tmax,
        "interval_90": forecast.interval(0.9),
    }
    (FOLDER / "expected.json").write_bytes(msgspec.json.format(msgspec.json.encode(expected), indent=1) + b"\n")


if __name__ == "__main__":
    main()
