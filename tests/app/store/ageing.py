"""A store whose changes were made at chosen times."""

from datetime import UTC, datetime, timedelta

from app.store import Store
from models.forecast.saved import to_state

NOW = datetime.now(UTC)


def days(number):
    return timedelta(days=number)


def set_clock(monkeypatch, time):
    """Let the store take the time from a function."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return time().astimezone(tz)

    for module in ("station", "pruning"):
        monkeypatch.setattr(f"app.store.{module}.datetime", Clock)


class Aged:
    """A store with a station ``hill`` that is published, promoted and rolled back as if days ago, from two models."""

    def __init__(self, root, models, monkeypatch):
        self.store, self.time = Store(root), NOW
        self.hill = self.store.station("hill")
        self.models = [(to_state(training.model), training.manifest) for training in models]
        set_clock(monkeypatch, lambda: self.time)

    @property
    def history_file(self):
        return self.hill.folder / "history.jsonl"

    def at(self, days_ago):
        self.time = NOW - days(days_ago)

    def publish(self, days_ago, which=0):
        self.at(days_ago)
        version = self.hill.publish(*self.models[which])
        self.at(0)
        return version

    def promote(self, *days_ago):
        """Publish and promote, alternately, the one model and the other; return the versions."""
        versions = []
        for number, ago in enumerate(days_ago):
            versions.append(self.publish(ago, number % 2))
            self.at(ago)
            self.hill.promote(versions[-1], f"{ago} days ago")
        self.at(0)
        return versions

    def rollback(self, days_ago):
        self.at(days_ago)
        self.hill.rollback("it was worse")
        self.at(0)
