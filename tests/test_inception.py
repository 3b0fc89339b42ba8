"""The FID's InceptionV3: what can be known without weights, and parity with torch on random ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from numpy.testing import assert_allclose as close

from ddjax.networks import inception, weights


def test_parameters_are_those_of_the_published_network():
    """21,785,568 weights of convolutions and normalisations up to the pooled features, 94 convolutions.

    The published InceptionV3 has 23,834,568 parameters without its auxiliary head and with a classifier of 1,000:
    2,049,000 less are 21,785,568; the stored means and variances come on top. Fails for a width changed anywhere.
    """
    shapes = weights._named(jax.eval_shape(inception.init, jax.random.key(0)))
    counts = {name: np.prod(leaf.shape) for name, leaf in shapes}
    stored = sum(count for name, count in counts.items() if "running" in name)
    assert sum(counts.values()) - stored == 21_785_568
    assert sum(name.endswith("kernel") for name in counts) == 94


def test_files_of_other_networks_are_refused(tmp_path):
    """Fails where the first missing tensor is not named."""
    first = {"Conv2d_1a_3x3.conv.weight": np.zeros((32, 3, 3, 3))}
    safetensors.numpy.save_file(first, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"'Conv2d_1a_3x3\.bn\.bias' is missing"):
        inception.load(tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="grey or colour"):
        inception.features({}, jnp.zeros((1, 8, 8, 2)))


@pytest.mark.bench
def test_features_are_torchs(tmp_path):
    """To 1e-4 relative, for images smaller and larger than 299.

    Fails for averages that count the padding, the mean in the last pool, corners aligned or smoothing on the way down.
    """
    torch = pytest.importorskip("torch")
    from torch_inception import Inception

    torch.manual_seed(0)
    module = Inception().eval()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if "running_mean" in name or name.endswith("bn.bias"):
                value.normal_(0, 0.1)
            elif "running_var" in name or name.endswith("bn.weight"):
                value.uniform_(0.8, 1.25)
            elif value.ndim == 4:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)  # keeps the signal through all layers
    state = {name: value.numpy() for name, value in module.state_dict().items() if "tracked" not in name}
    safetensors.numpy.save_file(state, tmp_path / "x.safetensors")
    params = inception.load(tmp_path / "x.safetensors")
    for shape in ((2, 32, 40, 3), (1, 320, 350, 3)):
        images = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
        with torch.no_grad():
            theirs = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
        found = np.asarray(inception.features(params, jnp.asarray(images)))
        close(found, theirs, atol=1e-4 * np.abs(theirs).max())
        assert theirs.std() > 0.1 * np.abs(theirs).mean()
