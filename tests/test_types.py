"""The two doors that numbers come in by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal as same

from ddjax.types import nan_unless_finite, precise, standard_normal


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.bool_, np.float16, jnp.bfloat16, np.float32, np.float64])
def test_numbers_become_float32(dtype):
    """Also from NumPy and under jit. Mutation: integers left as they are."""
    array = np.array([0, 1, 1]).astype(dtype)
    for found in (precise(array), jax.jit(precise)(jnp.asarray(array))):
        assert found.dtype == jnp.float32
        same(found, [0, 1, 1])


def test_double_precision_stays(x64):
    assert precise(np.array([1 / 3])).dtype == jnp.float64
    assert precise(jnp.ones(2, jnp.float32)).dtype == jnp.float32


def test_what_is_no_real_number_is_refused(unchecked):
    for array in (np.array([1j]), jax.random.key(0)):
        with pytest.raises(ValueError, match="need real numbers, got"):
            precise(array)


def test_infinite_numbers_are_marked():
    """Mutation: `nan_to_num`, or one sign alone."""
    same(nan_unless_finite(jnp.array([1.0, jnp.inf, -jnp.inf, jnp.nan])), [1.0, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("shape", [(), (5,), (3, 0), (2, 3, 4, 1)])
def test_a_draw_in_a_row_is_the_draw(shape):
    """Bit for bit, in each precision. Mutation: the axes folded in another order; a fixed dtype."""
    for dtype in (jnp.float32, jnp.bfloat16):
        found = standard_normal(jax.random.key(3), shape, dtype)
        assert found.dtype == dtype
        same(found, jax.random.normal(jax.random.key(3), shape, dtype))
