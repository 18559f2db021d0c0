"""Comparison of trained models by their state."""

import numpy as np

from models.forecast.saved import to_state


def assert_same_model(one, other):
    """Compare every value of two models."""
    np.testing.assert_equal(_plain(to_state(one)), _plain(to_state(other)))


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return (value.mean_, value.scale_) if hasattr(value, "scale_") else value
