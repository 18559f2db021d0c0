"""HTML pages that need no network: a backtest, with how good its odds were, and a round of retraining."""

from app.report.page import backtest_report
from app.report.retraining import retraining_report

__all__ = ["backtest_report", "retraining_report"]
