"""Weight files: what is saved comes back, other networks' weights are named, and nothing in a file is ever run."""

import io
import os
import pickle
import struct
import zipfile

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from numpy.testing import assert_array_equal as equal
from torch_spelling import TENSOR, archive, integers, state, storage, tensor

from ddjax import networks
from ddjax.networks import weights


def test_tensors_are_read_with_their_strides(tmp_path):
    """Fails for an offset or strides in bytes, or the transpose."""
    data = state(("w", tensor((2, 2), (1, 3), 1)), ("b", tensor((3,), (2,))), ("e", tensor((0, 4), (4, 1))))
    read = weights.read(archive(tmp_path / "x.pth", data))
    equal(read["w"], [[1, 4], [2, 5]])
    equal(read["b"], [0, 2, 4])
    assert read["e"].shape == (0, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (state(("w", tensor((3, 3), (3, 1)))), "outside its storage"),
        (state(("w", tensor((2, 3), (3, 1), 1))), "outside its storage"),
        (state(("w", tensor((100_000, 100_000), (0, 0)))), "outside its storage"),
        (state(("w", tensor((2, 3), (3, -1)))), "not described by"),
        (state(("w", tensor((2,), (3, 1)))), "not described by"),
        (state(("w", tensor((2,), (1,), count=7))), "should hold 28 bytes, found 24"),
        (state(("w", b"K\x01")), "'w' is a int, not a tensor"),
        (state(("w", b"ctorch\nFloatStorage\n")), "'w' is a str, not a tensor"),
        (b"\x80\x02]" + b".", "holds a list"),
        (state(("w", tensor((2,), (1,)) + b"}b")), "does not spell tensors"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tensors_that_are_none_are_refused(tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        weights.read(archive(tmp_path / "x.pth", data))


class Evil:
    """Pickles as a call, which a careless reader makes."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(witness):
    touch = f"touch {witness}"
    command = f"X{{}}{touch}".encode()
    yield pickle.dumps({"w": Evil(os.system, touch)}, 2)
    yield pickle.dumps({"w": Evil(eval, f"open({str(witness)!r}, 'w')")}, 2)
    yield pickle.dumps({"w": [Evil(os.system, touch), {"b": (Evil(exec, "1"),)}]}, 4)
    yield pickle.dumps(Evil(os.mkdir, str(witness)), 2)
    yield b"\x80\x02cposix\nsystem\n(" + b"X" + struct.pack("<I", len(touch)) + touch.encode() + b"tR."
    yield b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + b"X" + struct.pack("<I", len(touch)) + touch.encode() + b"\x85R."
    yield b"(S'" + touch.encode() + b"'\niposix\nsystem\n."
    yield b"\x80\x02ctorch._utils\n_rebuild_parameter\n)R."
    yield b"\x80\x02ccollections\nOrderedDict.__init__\n)R."
    yield b"\x80\x02\x82\x01." + command
    yield b"\x80\x02N" + b"r" + struct.pack("<I", 2**31) + b"."


@pytest.mark.parametrize("number", range(11))
@pytest.mark.parametrize("container", ["zip", "legacy"])
def test_nothing_in_a_file_is_ever_run(tmp_path, number, container):
    """Each names what it found. Fails for the plain Unpickler: the witness file appears."""
    witness = tmp_path / "witness"
    data = list(attacks(witness))[number]
    path = tmp_path / "x.pth"
    if container == "zip":
        archive(path, data)
    else:
        path.write_bytes(data if data[:1] == b"\x80" else b"\x80\x02" + data)
    with pytest.raises(ValueError, match="refused"):
        weights.read(path)
    assert not witness.exists()


def test_containers_that_are_not_torchs_are_refused(tmp_path):
    """Zip bombs, other archives, other byte orders, cut files, text. Fails where any is read or dies otherwise."""
    good = state(("w", tensor((6,), (1,))))
    path = tmp_path / "x.pth"
    archive(path, good, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        weights.read(path)
    archive(path, good, extra=[("a/byteorder", "big")])
    with pytest.raises(ValueError, match="byte order"):
        weights.read(path)
    archive(path, good, extra=[("b/data.pkl", good)])
    with pytest.raises(ValueError, match=r"not an archive of torch\.save"):
        weights.read(path)
    whole = archive(path, good).read_bytes()
    for damaged in (
        whole[:-30],
        whole[: len(whole) // 2],
        b"",
        b"hello",
        b"\x80\x02K\x01.",
        whole.replace(b"\x00\x00\xa0\x40", b"\x00\x00\xa0\x41"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x\.pth"):
            weights.read(path)


def test_an_npz_is_measured_before_it_is_allocated(tmp_path):
    """Round trip; object arrays, and headers that promise more than there is, packed or not, are refused."""
    path = tmp_path / "x.npz"
    arrays = {"a.b": np.arange(6).reshape(2, 3), "f": np.asfortranarray(np.arange(6.0).reshape(2, 3))}
    np.savez_compressed(path, **arrays)
    for name, array in weights.read(path).items():
        equal(array, arrays[name])

    def npz(header, body=b"", compression=zipfile.ZIP_STORED):
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, header)
        with zipfile.ZipFile(path, "w", compression) as out:
            out.writestr("w.npy", file.getvalue() + body)

    shaped = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    for make in (
        lambda: npz(shaped, b"12345678"),
        lambda: npz(shaped | {"shape": (10**7,)}, bytes(10**6), zipfile.ZIP_DEFLATED),
        lambda: np.savez(path, w=np.array([{}], object)),
    ):
        make()
        with pytest.raises(ValueError, match=r"x\.npz is no \.npz file that can be read: w\.npy: it (says|holds)"):
            weights.read(path)


def test_half_precision_comes_back_from_every_format(tmp_path):
    """bfloat16 too, in safetensors and torch's files. Fails where numpy's lack of it ends in a TypeError."""
    values = np.array([1.5, -2.0, 0.25], ml_dtypes.bfloat16)
    safetensors.numpy.save_file({"w": values}, tmp_path / "x.safetensors")
    equal(weights.read(tmp_path / "x.safetensors")["w"], values)
    entry = TENSOR + b"(" + storage(3, kind="BFloat16Storage") + b"K\x00" + integers(3) + integers(1) + b"tR"
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as out:
        out.writestr("a/data.pkl", state(("w", entry)))
        out.writestr("a/data/0", values.tobytes())
    equal(weights.read(tmp_path / "x.pth")["w"], values)


def test_what_is_no_file_is_refused(tmp_path):
    """A folder, a pipe without a writer, a link to itself: told, and nobody waits."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "loop"):
        with pytest.raises(ValueError, match=str(path)):
            weights.read(path)
    with pytest.raises(FileNotFoundError):
        weights.read(tmp_path / "none")


@pytest.mark.parametrize("array", [np.array(["a"]), np.zeros(2, "f4,i4"), np.zeros(2, np.complex64)], ids=str)
def test_an_npz_of_anything_but_real_numbers_is_refused(tmp_path, array):
    np.savez(tmp_path / "x.npz", w=array)
    with pytest.raises(ValueError, match=r"x\.npz"):
        weights.read(tmp_path / "x.npz")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_weights_that_are_not_finite_are_refused_by_name(bad):
    """In the precision of the network. Fails where a network is filled with NaN, or float64 overflows without a word."""
    like = {"params": {"dense": {"bias": jnp.zeros(2)}}}
    arrays = {"params.dense.bias": np.array([0.0, bad])}
    with pytest.raises(ValueError, match=r"not finite in float32: 'params\.dense\.bias'"):
        weights.restored(arrays, like)
    with pytest.raises(ValueError, match="not finite"):
        weights.from_torch({"dense.bias": arrays["params.dense.bias"]}, like)


def test_own_weights_come_back_exactly_or_not_at_all(tmp_path):
    """Fails for leaves in another order, or shapes that are only counted."""
    network = networks.mlp(2, width=8, depth=2)
    params = network.init(jax.random.key(0))
    path = tmp_path / "x.safetensors"
    weights.save(path, params)
    like = jax.eval_shape(network.init, jax.random.key(0))
    jax.tree.map(equal, weights.restored(weights.read(path), like), params)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
    for other, message in (
        (networks.mlp(2, width=9, depth=2), r"'params\.hidden_0\.bias' is \(8,\), wanted \(9,\)"),
        (networks.mlp(2, width=8, depth=3), r"'params\.hidden_2\.bias' is missing"),
        (networks.mlp(2, width=8, depth=1), r"'params\.hidden_1\.bias' has no place"),
    ):
        with pytest.raises(ValueError, match=message):
            weights.restored(weights.read(path), jax.eval_shape(other.init, jax.random.key(0)))


LISTED = {"layers": [{"w": jnp.arange(3.0)}, {"w": jnp.arange(4.0)}], "scale": jnp.float32(2.0)}


@pytest.mark.parametrize("tree", ["network", "lists"])
def test_parameters_are_saved_and_loaded_by_one_pair(tmp_path, tree):
    """Of lists too, and from the bracketed names of the guide of 0.3.0. Mutation: names by the keys of dictionaries alone."""
    params = networks.mlp(2, width=8, depth=2).init(jax.random.key(0)) if tree == "network" else LISTED
    like = jax.eval_shape(lambda: params)
    networks.save(tmp_path / "x.safetensors", params)
    jax.tree.map(equal, networks.load(tmp_path / "x.safetensors", like), params)
    bracketed = {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(params)}
    safetensors.numpy.save_file(bracketed, tmp_path / "old.safetensors")
    jax.tree.map(equal, networks.load(tmp_path / "old.safetensors", like), params)


def test_two_parameters_of_one_name_are_not_saved(tmp_path):
    """Mutation: the last one wins."""
    with pytest.raises(ValueError, match="one name"):
        networks.save(tmp_path / "x.safetensors", {"a": {"b": jnp.zeros(2)}, "a.b": jnp.ones(2)})
    assert not [*tmp_path.iterdir()]


def torch_reference(name):
    """The reference's two networks in torch, from their description, with random weights."""
    from torch_reference import MLP, Transformer

    return MLP(8, 16) if name == "mlp" else Transformer((8, 12), 4, 16, 2, 2, 8)


@pytest.mark.bench
@pytest.mark.parametrize("name", ["mlp", "dit"])
@pytest.mark.parametrize("legacy", [False, True])
def test_the_references_weights_give_its_outputs(tmp_path, name, legacy):
    """To 1e-5, from torch's own files, from npz and safetensors.

    Fails for weights left as [out, in], q, k, v or pixels in another order, another epsilon or gelu.
    """
    torch = pytest.importorskip("torch")
    from ddjax.networks import reference

    module, path = torch_reference(name), tmp_path / "x.pt"
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    state = {key: value.numpy() for key, value in module.state_dict().items()}
    np.savez(tmp_path / "x.npz", **state)
    safetensors.numpy.save_file(state, tmp_path / "x.safetensors")
    if name == "mlp":
        network, shape = reference.mlp(2, width=8, time_size=16), (5, 2)
    else:
        network, shape = reference.dit((8, 12, 3), width=16, depth=2, heads=2, time_size=8), (5, 8, 12, 3)
    generator = np.random.default_rng(0)
    x_t, xi = (generator.normal(size=shape).astype(np.float32) for _ in range(2))
    t = np.linspace(0, 1, 5, dtype=np.float32)
    torch_order = (lambda x: torch.from_numpy(x.transpose(0, 3, 1, 2).copy())) if name == "dit" else torch.from_numpy
    with torch.no_grad():
        theirs = module(torch_order(x_t), torch.from_numpy(t), torch_order(xi)).numpy()
    theirs = theirs.transpose(0, 2, 3, 1) if name == "dit" else theirs
    like = jax.eval_shape(network.init, jax.random.key(0))
    for file in tmp_path.iterdir():
        params = weights.from_torch(weights.read(file), like)
        found = jax.jit(network.apply)(params, jnp.asarray(x_t), jnp.asarray(t), None, jnp.asarray(xi))
        np.testing.assert_allclose(found, theirs, atol=1e-5 * max(1, np.abs(theirs).max()))
    other = reference.mlp(2, width=16, time_size=16)
    with pytest.raises(ValueError, match=r"weights of another network: '.*' is"):
        weights.from_torch(weights.read(path), jax.eval_shape(other.init, jax.random.key(0)))
