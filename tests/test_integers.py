"""Whole numbers are read as what they are: the figure is that of the same numbers as floats, or a ValueError says what is wanted.

Over the rows of `test_not_finite`, everything public of samples and states. A state keeps its dtype, to which a result would be
rounded: it is refused (`types.floating`). Mutations: `floating` left out anywhere; a result in the dtype of what came.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_not_finite import ROWS, figures

CASES = {f"{name} {i}": row for name, rows in ROWS.items() for i, row in enumerate(rows)}


@pytest.mark.sampled(4)
@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("case", CASES)
def test_whole_numbers_are_not_rounded_to(case, unchecked):
    """Without the type checker, as for users."""
    function, arrays = CASES[case]
    whole = {name: np.ceil(np.asarray(array)) for name, array in arrays.items()}
    expected = figures(function(*cast(whole, arrays, np.float32).values()))
    with jax.numpy_dtype_promotion("standard"):
        try:
            found = figures(function(*cast(whole, arrays, np.int32).values()))
        except ValueError as error:
            assert "int32" in str(error) or case == "couplings.conditional 0", error  # whole numbers are labels there
            return
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def cast(whole, arrays, dtype):
    """Each array as it was given, by NumPy or by JAX."""
    return {
        name: array.astype(dtype) if isinstance(arrays[name], np.ndarray) else jnp.asarray(array, dtype)
        for name, array in whole.items()
    }
