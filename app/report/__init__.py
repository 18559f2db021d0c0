"""Reports: HTML pages of a backtest and of a retraining, and a retraining as JSON and Prometheus metrics."""
