"""A backtest as one HTML page: tables and figures of what was forecast, what came, and how good the odds were."""

from app.report.page import backtest_report

__all__ = ["backtest_report"]
