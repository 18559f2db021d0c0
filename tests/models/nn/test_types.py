"""Aligned arrays."""

from hypothesis import given
from hypothesis import strategies as st

from models.nn.types import CACHE_LINE, SMALL, aligned_empty
from tests.models.nn.cases import by_dtype


@by_dtype
@given(shape=st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(1, 40)))
def test_large_arrays_begin_at_a_cache_line(dtype, shape):
    array = aligned_empty(shape, dtype)
    array[...] = 1
    assert (array.shape, array.dtype, array.flags.c_contiguous) == (shape, dtype, True)
    assert array.nbytes < SMALL or array.ctypes.data % CACHE_LINE == 0
