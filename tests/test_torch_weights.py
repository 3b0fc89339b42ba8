"""Weights of torch networks: the page that converts a file, and each layout by hand."""

import importlib
import re
import sys
import types
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as equal

from ddjax.networks import weights

PAGE = (Path(__file__).parents[1] / "docs/how-to/torch_weights.md").read_text()
SHAPES = {"net.0.weight": (4, 3), "net.0.bias": (4,), "net.2.weight": (2, 4), "net.2.bias": (2,)}
RNG = np.random.default_rng(0)
STATE = {name: RNG.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


class Tensor:
    """What the page asks of a tensor."""

    def __init__(self, values):
        self.values = values

    def contiguous(self):
        return Tensor(np.ascontiguousarray(self.values))

    def clone(self):
        return Tensor(self.values.copy(order="K"))


def stand_in(monkeypatch):
    """torch and safetensors.torch, as far as the page needs them; like torch's, the loader reads nothing but tensors."""

    def load(path, *, map_location, weights_only):
        assert (path, map_location, weights_only) == ("checkpoint.pth", "cpu", True)
        return {name: Tensor(np.asfortranarray(values)) for name, values in STATE.items()}

    def save_file(tensors, path):
        assert all(tensor.values.flags.c_contiguous for tensor in tensors.values())
        safetensors.numpy.save_file({name: tensor.values for name, tensor in tensors.items()}, path)

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=load))
    monkeypatch.setitem(sys.modules, "safetensors.torch", types.SimpleNamespace(save_file=save_file))


def real(monkeypatch):
    """torch itself, with a file that has a transposed tensor."""
    torch = pytest.importorskip("torch")
    importlib.import_module("safetensors.torch")
    turned = {name: torch.from_numpy(values.T.copy()) for name, values in STATE.items()}
    torch.save({name: one.permute(*reversed(range(one.ndim))) for name, one in turned.items()}, "checkpoint.pth")


@pytest.mark.parametrize("make", [stand_in, pytest.param(real, marks=pytest.mark.bench)])
def test_the_page_converts_a_checkpoint_and_fills_a_network(make, tmp_path, monkeypatch, capsys):
    """silu(x W_0' + b_0) W_2' + b_2 of the torch matrices [out, in]. Mutation: either matrix as it lies."""
    monkeypatch.chdir(tmp_path)
    make(monkeypatch)
    namespace = {"__name__": "page"}
    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M):
        exec(compile(code, "docs/how-to/torch_weights.md", "exec"), namespace)
    h = STATE["net.0.weight"] @ np.ones(3) + STATE["net.0.bias"]
    expected = STATE["net.2.weight"] @ (h / (1 + np.exp(-h))) + STATE["net.2.bias"]
    close(namespace["Net"]().apply(namespace["params"], jnp.ones((1, 3)))[0], expected, rtol=1e-5)
    assert capsys.readouterr().out.count("\n") == 1


def test_each_layout_is_turned_and_nothing_else():
    """A convolution, a matrix, the scale of a norm, and what has no module. Mutations: any two axes, `scale` by its own name."""
    like = {
        "params": {
            "conv": {"kernel": jnp.zeros((5, 7, 3, 2))},
            "norm": {"scale": jnp.zeros(2), "bias": jnp.zeros(2)},
            "positions": jnp.zeros((4, 2)),
        }
    }
    arrays = {
        "conv.weight": RNG.normal(size=(2, 3, 5, 7)).astype(np.float32),
        "norm.weight": np.array([1, 2], np.float32),
        "norm.bias": np.array([3, 4], np.float32),
        "positions": np.arange(8, dtype=np.float32).reshape(4, 2),
    }
    params = weights.from_torch(arrays | {"fc.weight": np.zeros(3)}, like, ignored=("fc.",))["params"]
    equal(params["conv"]["kernel"][4, 6, 2, 1], arrays["conv.weight"][1, 2, 4, 6])
    equal(params["conv"]["kernel"][1, 2, 0, 1], arrays["conv.weight"][1, 0, 1, 2])
    equal(params["norm"]["scale"], [1, 2])
    equal(params["norm"]["bias"], [3, 4])
    equal(params["positions"], arrays["positions"])
    with pytest.raises(ValueError, match=r"'fc\.weight' has no place"):
        weights.from_torch(arrays | {"fc.weight": np.zeros(3)}, like)
    with pytest.raises(ValueError, match=r"'conv\.weight' is \(2, 3, 5, 6\), wanted \(2, 3, 5, 7\)"):
        weights.from_torch(arrays | {"conv.weight": np.zeros((2, 3, 5, 6))}, like)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(30), b"\x80\x02}q\x00.", b"", b"hello"])
def test_a_file_that_is_not_safetensors_is_refused_with_the_page_that_converts_it(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pth: it is no safetensors file; docs/how-to/torch_weights\.md"):
        weights.read(tmp_path / "x.pth")
