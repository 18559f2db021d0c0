"""Progress: a bar on a terminal, plain lines elsewhere."""

import time
from typing import Self

from rich import progress as bars

from app.training.outcomes import Outcome
from models.nn import Epoch
from scripts.cli.console import messages


class _Bar:
    """A bar that is shown during a block, on a terminal only."""

    def __init__(self, description: str, total: float, *columns: bars.ProgressColumn) -> None:
        shown = (bars.TextColumn("{task.description}"), bars.BarColumn(), *columns)
        self.progress = bars.Progress(*shown, console=messages, transient=True, disable=not messages.is_terminal)
        self.task = self.progress.add_task(description, total=total, now="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


class TrainingProgress(_Bar):
    """Shows each epoch on a terminal; elsewhere prints a line after every ``every`` networks."""

    def __init__(self, label: str, n_networks: int, every: int = 1) -> None:
        columns = bars.TextColumn("{task.fields[now]}"), bars.TimeElapsedColumn()
        super().__init__(f"training {label}", n_networks, *columns)
        self.label, self.n_networks, self.every, self.network = label, n_networks, every, 0

    def show(self, epoch: Epoch) -> None:
        """Show an epoch that has ended."""
        self.network += epoch.number == 1
        place = f"network {self.network}/{self.n_networks}, epoch {epoch.number}/{epoch.of}"
        now = f"{place}, loss {epoch.training_loss:.4f}"
        self.progress.update(self.task, advance=1 / epoch.of, now=now)
        if not messages.is_terminal and epoch.number == epoch.of and self.network % self.every == 0:
            messages.print(f"{self.label}: {now}")


class StationProgress(_Bar):
    """Collects the outcomes of stations, and shows their number and the time left.

    Failures are printed; without a terminal everything but "unchanged" is.
    """

    def __init__(self, total: int) -> None:
        left = bars.TimeElapsedColumn(), bars.TextColumn("left:"), bars.TimeRemainingColumn()
        super().__init__("retraining", total, bars.MofNCompleteColumn(), *left)
        self.began, self.total = time.monotonic(), total
        self.outcomes: list[Outcome] = []

    def show(self, outcome: Outcome) -> None:
        """Show a station that is done."""
        self.outcomes.append(outcome)
        done = len(self.outcomes)
        self.total = max(self.total, done)  # a file may hold several stations
        self.progress.update(self.task, completed=done, description=outcome.station)
        if outcome.decision == "failed" or (not messages.is_terminal and outcome.decision != "unchanged"):
            left = (time.monotonic() - self.began) / done * (self.total - done)
            place = f"{done} of {self.total}, {left / 60:.0f} min left"
            messages.print(f"{outcome.station}: {outcome.decision}: {outcome.reason} ({place})")
