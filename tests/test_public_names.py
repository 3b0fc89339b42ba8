"""What the package says of itself: its rooms and their functions by name, what each refuses, and what importing it costs."""

import importlib
import inspect
import pydoc
import re
import subprocess
import sys

import pytest

import ddjax


def functions(room):
    """The public functions of a room, by name."""
    module = importlib.import_module(f"ddjax.{room}")
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    found = {name: inspect.unwrap(getattr(module, name)) for name in names}
    return {name: one for name, one in found.items() if inspect.isfunction(one) and one.__module__.startswith("ddjax.")}


def test_the_package_names_its_rooms_and_what_is_most_used_of_them():
    """In their order, every name one that is there. Mutations: a room left out; a function renamed."""
    rows = re.findall(r"^    (\w+)  .*?  +(\w+(?: \w+)*)$", ddjax.__doc__, re.M)
    assert [room for room, _ in rows] == ddjax.__all__
    for room, names in rows:
        module = importlib.import_module(f"ddjax.{room}")
        assert all(hasattr(module, name) for name in names.split()), room


def test_rooms_are_listed_before_they_are_imported():
    """So that a shell completes them, and neither listing nor importing brings jax. Mutation: `__dir__` left out."""
    code = (
        "import sys, ddjax; assert {'samplers', 'sde', '__version__'} <= {*dir(ddjax)}; sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("room", ddjax.__all__)
def test_a_function_says_what_it_refuses(room):
    """Whoever raises ValueError by its own hand tells when. Mutation: any such line left out."""
    for name, function in functions(room).items():
        told = inspect.getdoc(function) or ""
        _, _, body = inspect.getsource(function).partition('"""')
        assert "raise ValueError" not in body or "aises" in told, f"{room}.{name}"


@pytest.mark.parametrize("name", ["networks.mlp", "denoisers.population", "times.grid", "paths.bridge"])
def test_help_of_a_function_fits_a_screen_and_shows_an_example(name):
    """60 lines. Mutation: the example left out."""
    room, _, function = name.partition(".")
    told = pydoc.render_doc(getattr(importlib.import_module(f"ddjax.{room}"), function), renderer=pydoc.plaintext)
    assert len(told.splitlines()) <= 60 and ">>> " in told


def test_most_of_what_is_used_first_has_an_example():
    """At least 40 functions, whose examples `test_protocols` runs. Mutation: those of a room left out."""
    shown = [name for room in ddjax.__all__ for name, one in functions(room).items() if ">>> " in (one.__doc__ or "")]
    assert len(shown) >= 40
