"""Gaps are filled by what the days around them lead to expect."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast.filling import bridged


def autoregression(anomalies, r):
    """The conditional expectation of each step given all that are known, by the covariance r^|s - t|."""
    steps = np.arange(len(anomalies))
    covariance = r ** np.abs(steps[:, None] - steps)
    known = ~np.isnan(anomalies)
    return covariance[:, known] @ np.linalg.solve(covariance[np.ix_(known, known)], anomalies[known])


@settings(max_examples=100)
@given(
    st.lists(st.lists(st.none() | st.floats(-4, 4), min_size=9, max_size=9), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.2, 0.7, 0.95, 0.98]),
)
def test_gaps_are_bridged_by_the_expectation_of_an_autoregression(rows, persistence):
    anomalies = np.array(rows, dtype=float)
    before = anomalies.copy()
    filled = bridged(anomalies, persistence)
    np.testing.assert_array_equal(anomalies, before)
    for window, found in zip(anomalies, filled, strict=True):  # each on its own
        np.testing.assert_allclose(found, autoregression(window, persistence), atol=1e-8)
        np.testing.assert_array_equal(found[~np.isnan(window)], window[~np.isnan(window)])
