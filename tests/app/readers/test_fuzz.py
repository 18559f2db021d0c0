"""A short run of the fuzzer; `tests/app/readers/fuzz.py` is the long one."""

from tests.app.readers.fuzz import DAYS, REFUSED, chunk


def test_mutated_files_give_station_days_or_an_error_of_one_line():
    counts, failures, _ = chunk(seed=0, start=0, stop=300)
    assert failures == []
    assert counts[DAYS] > 30
    assert counts[REFUSED] > 30
