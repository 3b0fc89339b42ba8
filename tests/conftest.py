"""Strictness for every test, and the few things that many test files share."""

import collections
import os
from pathlib import Path

import hypothesis
import jax
import jaxtyping
import numpy as np
import pytest

from ddjax import mixtures, schedules

# read when the backend starts, which is after this file; a value set by the caller wins
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# programs here are compiled more often than run: without LLVM's optimisations the suite takes half the time; children inherit
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# a child keeps each program for its siblings: left to themselves they keep only those that took a second to compile
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
HASTY = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1"
FLAGS = []
if HASTY:  # the older emitters of loops compile in two thirds of the time
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
if "PYTEST_XDIST_WORKER" in os.environ:  # one core for each worker
    FLAGS.append("--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))

jax.config.update("jax_disable_most_optimizations", HASTY)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

hypothesis.settings.register_profile(
    "ddjax",
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("ddjax")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items):
    """Of a table marked `sampled(k, first)`, the rows first, first + k, ... are in every tier and the others `exhaustive`.

    Files with slow tests come first, so that the workers end together (`--no-loadscope-reorder`: else the order is xdist's).
    """
    rows = collections.Counter()
    for item in items:
        if mark := item.get_closest_marker("sampled"):
            table = item.nodeid.partition("[")[0]
            every, first = (*mark.args, 0)[:2]
            if rows[table] % every != first:
                item.add_marker("exhaustive")
            rows[table] += 1
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


SCHEDULES = (
    schedules.Rectified(),
    schedules.Cosine(),
    schedules.VariancePreserving(),
    schedules.VarianceExploding(0.02, 20.0),
    schedules.OrnsteinUhlenbeck(7.0),
)


@pytest.fixture(scope="session", params=SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def schedule(request):
    """Each schedule in turn."""
    return request.param


@pytest.fixture
def x64():
    """Double precision, for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def optimised():
    """Programs compiled as for users, for a test that runs them for longer than that takes."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", HASTY)


@pytest.fixture
def unchecked():
    """No type checker, as for users: wrong shapes and words reach the library's own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cache of its own for one test."""
    monkeypatch.setenv("DDJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


SKEWED = {
    "weights": np.array([0.6, 0.3, 0.1]),
    "means": np.array([[2.0, 0.0, 1.0], [-1.0, 1.5, 0.0], [0.5, -2.5, -1.0]]),
    "covs": np.array(
        [
            [[0.64, 0.24, -0.16], [0.24, 0.25, -0.02], [-0.16, -0.02, 0.30]],
            [[0.09, 0.03, 0.06], [0.03, 0.82, -0.25], [0.06, -0.25, 0.29]],
            [[0.36, -0.30, 0.06], [-0.30, 0.34, 0.07], [0.06, 0.07, 0.66]],
        ]
    ),
}


@pytest.fixture
def skewed():
    """A mixture without any symmetry, in 3-D, in the precision of the test (ask for `x64` first)."""
    return mixtures.GaussianMixture(**SKEWED)
