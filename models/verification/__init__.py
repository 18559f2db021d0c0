"""Verification: scores, baselines, backtests, and the challenge of a champion."""
