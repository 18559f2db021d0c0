"""Hypothesis strategies: request bodies that are malformed anywhere, from the bytes to a single value."""

import copy
import json

from hypothesis import strategies as st

FIELDS = ["station", "units", "observations", "sequence", "end_date", "guidance", "levels", "thresholds", "id"]
COLUMNS = ["date", "tmax", "tmin", "rain", "guidance", "guidance_spread", "next_wind"]

# Without the backtick, by which the decoder's messages delimit names.
TEXT = st.text(max_size=5)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.floats(-100, 100)
    | TEXT
    | st.dates().map(str)
    | st.sampled_from([1e308, -1e308, 5e-324, "hill", "../hill", "us", "2018-04-14", "\ud800", "a/b~c"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, *COLUMNS]) | TEXT, inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def changed(draw, question):
    """A question with up to two values set, in a field or a day, to anything."""
    body = copy.deepcopy(question)
    days = body["observations"]
    for _ in range(draw(st.integers(1, 2))):
        place, names = (draw(st.sampled_from(days)), COLUMNS) if draw(st.booleans()) else (body, FIELDS)
        place[draw(st.sampled_from(names) | TEXT)] = draw(VALUES)
    return body


def bodies(question):
    """Bytes that are hardly ever a question that can be answered."""
    values = changed(question) | VALUES
    batches = st.lists(values, max_size=3).map(lambda asked: {"sequences": [*asked, question]})
    whole = (values | batches).map(lambda value: json.dumps(value).encode())
    return whole | st.binary(max_size=100) | st.tuples(whole, st.integers(0, 50)).map(lambda cut: cut[0][: cut[1]])
