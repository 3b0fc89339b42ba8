"""UNet and DiT against the same nets written in torch, with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import networks

SHAPE = (8, 12, 2)
UNET = {"width": (8, 16), "depth": 2, "attention": (4,), "heads": 2}
DIT = {"patch": 2, "width": 16, "depth": 2, "heads": 2}


@pytest.mark.bench
@pytest.mark.parametrize("name", ["UNet", "DiT"])
def test_the_same_function_as_in_torch(name):
    """To 1e-5 of its size, at random weights everywhere.

    Fails for another epsilon, form of gelu, order of q, k, v, of rows and columns, or of modulations.
    """
    torch = pytest.importorskip("torch")
    from experiments.benchmark import torch_images

    make, settings = {"UNet": (networks.unet, UNET), "DiT": (networks.dit, DIT)}[name]
    network, generator = make(SHAPE, inject=None, **settings), np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32) * 0.2, shapes)
    x_t, t = generator.normal(size=(3, *SHAPE)).astype(np.float32), np.array([0.1, 0.5, 0.9], np.float32)
    module = torch_images.copied(getattr(torch_images, name)(SHAPE, *settings.values()), params)
    with torch.no_grad():
        theirs = module(torch.from_numpy(x_t), torch.from_numpy(t)).numpy()
    found = jax.jit(network.apply)(params, jnp.asarray(x_t), jnp.asarray(t), None, None)
    close(found, theirs, atol=1e-5 * np.abs(theirs).max())
    assert theirs.std() > 0.1
