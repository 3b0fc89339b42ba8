"""UNet and DiT by what they must be: symmetries, a population that shares what it may, labels, precision, gradients."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import networks
from ddjax.networks import images
from ddjax.networks.dit import Block as TransformerBlock
from ddjax.networks.dit import positions
from ddjax.networks.initial import lecun_normal
from ddjax.networks.unet import Block as ConvolutionalBlock

SHAPE, CLASSES = (8, 8, 1), 3
SMALL = {
    "unet": lambda **settings: networks.unet(SHAPE, width=(8, 16), depth=1, attention=(4,), heads=2, **settings),
    "dit": lambda **settings: networks.dit(SHAPE, patch=2, width=16, depth=3, heads=2, **settings),
}
GENERATOR = np.random.default_rng(0)
X_T, T = jnp.asarray(GENERATOR.normal(size=(2, *SHAPE)), jnp.float32), jnp.array([0.2, 0.9])
XIS = jnp.asarray(GENERATOR.normal(size=(4, 2, *SHAPE)), jnp.float32)
LABELS = jnp.array([0, 2])


@pytest.fixture(params=SMALL)
def small(request):
    """A factory of each small network in turn."""
    return SMALL[request.param]


def shaken(params, scale=0.3):
    """Parameters away from 0, so that nothing hides behind a zero gate."""
    generator = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: leaf + scale * generator.normal(size=leaf.shape).astype(np.float32), params)


def test_initial_networks_predict_zero_and_keep_float32_parameters(small):
    """Whatever the compute dtype. Fails for an output layer that does not start at zero, or dtype given to the parameters."""
    network = small(inject=-1, classes=CLASSES, dtype=jnp.bfloat16)
    params = network.init(jax.random.key(0))
    out = jax.jit(network.apply)(params, X_T, T, LABELS, XIS[0])
    assert (out == 0).all()
    assert out.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (1, 7, 2, 3), (5, 6)])
def test_kernels_start_as_flax_starts_them(shape):
    """Bit for bit. Fails for rows that mix in and out, whose fan-in is another."""
    found, wanted = (
        init(jax.random.key(5), shape, jnp.float32) for init in (lecun_normal, nn.initializers.lecun_normal())
    )
    np.testing.assert_array_equal(found, wanted)


def flops_of_gradient(network, m):
    """Forward and backward with m draws, 0 for a network without xi, as the compiler counts."""

    def draws(params):
        if not m:
            return network.apply(params, X_T, T, None, None)
        return network.apply(params, X_T, T, None, XIS[:m].swapaxes(0, 1))

    params = jax.eval_shape(network.init, jax.random.key(0))
    gradient = jax.jit(jax.grad(lambda params: jnp.sum(draws(params) ** 2)))
    return gradient.lower(params).cost_analysis()["flops"]


@pytest.mark.parametrize(
    "make",
    [
        partial(networks.unet, SHAPE, width=(16, 32), depth=2),
        partial(networks.dit, SHAPE, patch=2, width=64, depth=6),
    ],
)
def test_what_late_injection_costs(make):
    """Four draws cost four regression steps with xi at the input, and at most 1.6 with xi before the last block.

    Fails where something above the injection depends on xi.
    """
    regression, early, late = (flops_of_gradient(make(inject=inject), m) for inject, m in ((None, 0), (0, 4), (-1, 4)))
    assert 3.7 < early / regression < 4.2
    assert 1.2 < late / regression < 1.6


@pytest.mark.sampled(3)
@pytest.mark.parametrize("inject", [0, -1])
def test_xi_moves_the_output_after_three_gradient_steps(small, inject):
    """The zero output layer learns first, then the zero gates: from then on xi counts.

    Fails when both factors of a gated injection start at zero.
    """
    network = small(inject=inject)
    params = network.init(jax.random.key(0))

    def draws(params):
        return jax.vmap(lambda xi: network.apply(params, X_T, T, None, xi))(XIS)

    def loss(params):
        out = draws(params)
        return jnp.mean((out - XIS - X_T[None]) ** 2), out

    step = jax.jit(jax.grad(loss, has_aux=True))
    for _ in range(3):
        params = jax.tree.map(lambda leaf, grad: leaf - 0.1 * grad, params, step(params)[0])
    out = np.asarray(step(params)[1])
    assert (np.abs(out - out[0])[1:].max((2, 3, 4)) > 1e-5).all()


def test_early_injection_gives_xi_as_channels():
    """xi and x_t exchanged is the network with their input weights exchanged.

    Fails when xi reaches the network on another way, or twice.
    """
    network = SMALL["unet"](inject=0)
    params = shaken(network.init(jax.random.key(0)))
    kernel = params["params"]["in"]["kernel"]
    exchanged = jax.tree.map(lambda leaf: leaf[..., ::-1, :] if leaf is kernel else leaf, params)
    apply = jax.jit(network.apply)
    close(apply(exchanged, XIS[0], T, None, X_T), apply(params, X_T, T, None, XIS[0]), atol=1e-4)
    network = SMALL["dit"](inject=0, overlap=1)
    params = shaken(network.init(jax.random.key(0)))
    exchanged = {"params": dict(params["params"])}
    patches, xi = params["params"]["patches"], params["params"]["xi"]
    exchanged["params"] |= {"patches": patches | xi, "xi": {"kernel": patches["kernel"]}}
    apply = jax.jit(network.apply)
    close(apply(exchanged, XIS[0], T, None, X_T), apply(params, X_T, T, None, XIS[0]), atol=1e-4)


def test_the_null_label_is_the_network_without_labels(small):
    """Every label changes the output; the null gives what the same parameters give without a label layer.

    Fails for a null of its own, or for labels shifted by one.
    """
    network, plain = small(classes=CLASSES, inject=None), small(inject=None)
    params = shaken(network.init(jax.random.key(0)))
    apply = jax.jit(network.apply)
    null, *labelled = (apply(params, X_T, T, jnp.full(2, label), None) for label in (CLASSES, 0, 1, 2))
    close(null, jax.jit(plain.apply)(params, X_T, T, None, None), atol=1e-5)
    for one in labelled:
        assert np.abs(one - null).max() > 1e-2


@pytest.mark.sampled(2, 1)
def test_bfloat16_is_close_and_remat_changes_nothing(small):
    """Outputs to 5 % of their size, gradients by recomputation to 1e-5. Fails for a block that forgets its arguments."""
    params = shaken(small(inject=-1).init(jax.random.key(0)), 0.05)

    def value_and_grad(**settings):
        network = small(inject=-1, **settings)

        def loss(params):
            out = network.apply(params, X_T, T, None, XIS[0])
            return jnp.sum(out * XIS[1]), out

        with jax.numpy_dtype_promotion("standard"):  # as users have it
            return jax.jit(jax.grad(loss, has_aux=True))(params)

    (grads, out), (again, _), (_, rough) = (
        value_and_grad(),
        value_and_grad(remat=True),
        value_and_grad(dtype=jnp.bfloat16),
    )
    jax.tree.map(lambda a, b: close(a, b, atol=1e-5 * max(1, np.abs(a).max())), grads, again)
    assert 0 < np.abs(rough - out).max() < 0.05 * np.abs(out).max()


def test_dropout_is_shared_by_the_population_and_absent_at_rate_0(small):
    """xi before the last block at an untrained gate: all draws of a dropped network are equal, and differ from the whole.

    Fails for a mask drawn from xi, which would add spread of its own, or one that forgets x_t.
    """
    network, whole = small(inject=-1, dropout=0.5), small(inject=-1)
    params = whole.init(jax.random.key(0))
    zeroed = params["params"]["injection"]["gate"]
    params = jax.tree.map(
        lambda leaf, old: old if any(old is z for z in zeroed.values()) else leaf, shaken(params), params
    )
    draws = jax.jit(jax.vmap(lambda xi, x_t: network.apply(params, x_t, T, None, xi), in_axes=(0, None)))
    out = np.asarray(draws(XIS, X_T))
    close(out, np.broadcast_to(out[0], out.shape), atol=1e-6)
    plain = np.asarray(jax.jit(whole.apply)(params, X_T, T, None, XIS[0]))
    assert np.abs(out[0] - plain).max() > 1e-2
    moved = np.asarray(draws(XIS, X_T + 1e-6)[0])
    assert np.abs(moved - out[0]).max() > 1e-2


@pytest.mark.sampled(3)
@pytest.mark.parametrize("inject", [0, 1])
def test_a_folded_population_is_the_one_of_vmap(small, inject):
    """With labels and dropout, at parameters away from 0.

    Fails for rows in another order, a mask of its own for each draw, or a skip that is not repeated.
    """
    network = small(inject=inject, classes=CLASSES, dropout=0.5)
    params = shaken(network.init(jax.random.key(0)))
    apply = jax.jit(network.apply)
    expected = jax.vmap(lambda xi: apply(params, X_T, T, LABELS, xi))(XIS)
    found = apply(params, X_T, T, LABELS, XIS.swapaxes(0, 1)).swapaxes(0, 1)
    close(found, expected, atol=1e-4 * np.abs(expected).max())


def test_dit_blocks_do_not_know_the_order_of_tokens():
    """block(permuted) = permuted block. Fails for heads and positions confused in the reshapes of attention."""
    block = TransformerBlock(2, 2, 0.0, jnp.float32)
    h, e = jnp.asarray(GENERATOR.normal(size=(2, 6, 8)), jnp.float32), jnp.ones((2, 8))
    params = shaken(block.init(jax.random.key(0), h, e))
    order = GENERATOR.permutation(6)
    apply = jax.jit(block.apply)
    close(apply(params, h[:, order], e), apply(params, h, e)[:, order], atol=1e-5)
    assert np.abs(apply(params, h, e)[:, order] - apply(params, h, e)).max() > 1e-2


def test_positions_are_all_different_and_know_neighbours():
    """The product of two positions depends on their offset alone.

    Fails for rows and columns confused, or one flattened index.
    """
    table = positions(5, 7, 32).astype(np.float64)
    products = (table @ table.T).reshape(5, 7, 5, 7)
    close(products[1:, 1:, 1:, 1:], products[:-1, :-1, :-1, :-1], atol=1e-5)
    assert (np.argmax(products.reshape(35, 35), 1) == np.arange(35)).all()
    assert np.abs(products[0, 1, 0, 0] - products[1, 0, 0, 0]) < 1e-5


@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_patches_are_squares_and_unpatches_adds_them_up(overlap):
    """Against slices of an image with a margin of zeros. Without an overlap the second is the first's inverse.

    Mutations: margins of the wrong side; a neighbour's neighbour; what is drawn twice taken once; the margin's own kept.
    """
    x = GENERATOR.normal(size=(2, 4, 6, 3)).astype(np.float32)
    framed = np.pad(x, ((0, 0), (overlap, overlap), (overlap, overlap), (0, 0)))
    cut, total, side = images.patches(jnp.asarray(x), 2, overlap), np.zeros_like(framed), 2 + 2 * overlap
    for i, j in np.ndindex(2, 3):
        square = np.s_[:, 2 * i : 2 * i + side, 2 * j : 2 * j + side]
        close(cut[:, i, j], framed[square].reshape(2, -1))
        total[square] += np.asarray(cut[:, i, j]).reshape(2, side, side, 3)
    close(images.unpatches(cut, 2, overlap), total[:, overlap : overlap + 4, overlap : overlap + 6], rtol=1e-6)
    if not overlap:
        close(images.unpatches(cut, 2), x)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("overlap", "reach"), [(0, (2, 4)), (1, (1, 7)), (2, (0, 8))])
def test_a_token_sees_and_draws_its_neighbours_pixels(overlap, reach):
    """With blocks that do nothing, a change at (3, 3) reaches the squares of the tokens that see it, and nothing else.

    Mutations: an overlap of input alone, of output alone.
    """
    network = SMALL["dit"](inject=None, overlap=overlap)
    params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: (
            leaf if "block" in str(path) or "norm" in str(path) else leaf + 0.1 * GENERATOR.normal(size=leaf.shape)
        ),
        network.init(jax.random.key(0)),
    )
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    before, after = (network.apply(params, x, T) for x in (X_T, X_T.at[:, 3, 3].add(1.0)))
    changed = (np.abs(after - before)[..., 0] > 1e-6).all(0)
    wanted = np.zeros((8, 8), bool)
    wanted[reach[0] : reach[1], reach[0] : reach[1]] = True
    np.testing.assert_array_equal(changed, wanted)


def test_unet_blocks_commute_with_shifts_inside_the_image():
    """Far from the border a shifted image gives the shifted output: no position is known but by the border.

    Fails for a layer over the flattened image, or a norm over fewer than all positions.
    """
    block = ConvolutionalBlock(8, 0, 0.0, jnp.float32)
    h = np.zeros((1, 12, 12, 4), np.float32)
    h[:, 4:7, 4:7] = GENERATOR.normal(size=(3, 3, 4))
    h, e = jnp.asarray(h), jnp.ones((1, 8))
    params = shaken(block.init(jax.random.key(0), h, e))
    apply = jax.jit(block.apply)
    out, shifted = apply(params, h, e), apply(params, jnp.roll(h, (2, 1), (1, 2)), e)
    close(shifted[:, 4:-2, 3:-2], np.roll(out, (2, 1), (1, 2))[:, 4:-2, 3:-2], atol=1e-4)


def test_only_the_unet_is_convolutional_and_adapters_carry_it_on():
    assert SMALL["unet"](classes=2).convolutional
    assert not SMALL["dit"](classes=2).convolutional
    assert networks.labelled(SMALL["unet"](), 2).convolutional
    assert networks.flattened(SMALL["unet"](), SHAPE).convolutional


def test_flattened_is_the_vector_network_on_raveled_images():
    """Fails for xi left as an image, or an order of axes other than the array's own."""
    network = networks.mlp(12, width=8, depth=2, inject=1)
    params = network.init(jax.random.key(0))
    x, xi = (jnp.asarray(GENERATOR.normal(size=(2, 3, 2, 2)), jnp.float32) for _ in range(2))
    image = networks.flattened(network, (3, 2, 2))
    vectors = network.apply(params, x.reshape(2, 12), T, None, xi.reshape(2, 12))
    close(image.apply(params, x, T, None, xi), vectors.reshape(2, 3, 2, 2), rtol=1e-6)
    with pytest.raises(ValueError, match=r"event_shape=\(3, 2, 2\)"):
        image.apply(params, x[:, :2], T, None, xi)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: networks.unet((7, 8, 1), width=(8, 8)), "halve 1 times"),
        (lambda: networks.unet(SHAPE, width=(8, 8), attention=(5,)), "attention acts at heights"),
        (lambda: networks.unet(SHAPE, width=(8, 6), attention=(4,)), "multiple of heads"),
        (lambda: networks.dit((6, 8, 1), patch=4), "patches must tile"),
        (lambda: networks.dit(SHAPE, patch=2, overlap=3), "next neighbours alone, got overlap=3, patch=2"),
        (lambda: networks.dit(SHAPE, width=30), "multiple of 4"),
        (lambda: networks.dit(SHAPE, depth=3, inject=3), "before one of the blocks -2..2"),
        (lambda: SMALL["dit"]().apply({}, X_T, T, None, None), "without xi"),
        (lambda: SMALL["dit"](inject=None).apply({}, X_T, T, None, X_T), "with xi"),
        (lambda: SMALL["unet"]().apply({}, X_T[:, :4], T, None, X_T), r"event_shape=\(8, 8, 1\)"),
        (lambda: SMALL["unet"]().apply({}, X_T, T, LABELS, X_T), "takes none"),
        (lambda: SMALL["unet"](classes=2).apply({}, X_T, T, None, X_T), "one label for each"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
