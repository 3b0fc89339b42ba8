"""Variants of presets: words of a command line become recipes, and others are refused in one sentence."""

import dataclasses
from typing import get_args

import pytest

from ddjax import cli, recipes
from experiments.common import runner
from experiments.common.images import models, settings
from experiments.family import experiment as family
from experiments.family import presets
from experiments.images import experiment as images


def test_a_variant_changes_one_setting_of_every_preset():
    """The preset stands beside its variants, in order; all else is as it was."""
    settings = family.Config(
        target=("moons",), only=("ddm", "consistency"), vary=("beta=0.5,1.5", "rule=imq", "warmup=none")
    )
    made = family.members(settings)
    names = [member.name for member in made]
    assert names[:5] == ["ddm", "ddm beta=0.5", "ddm beta=1.5", "ddm rule=imq", "ddm warmup=none"]
    assert names[5:] == ["consistency", "consistency warmup=none"]  # which has neither beta nor a rule
    of = {member.name: member.recipe for member in made}
    for name, changed in (
        ("ddm beta=0.5", {"rule": dataclasses.replace(of["ddm"].rule, beta=0.5)}),
        ("ddm rule=imq", {"rule": recipes.Imq(lam=of["ddm"].rule.lam)}),
        ("ddm warmup=none", {"optimizer": dataclasses.replace(of["ddm"].optimizer, warmup=None)}),
    ):
        assert of[name] == dataclasses.replace(of["ddm"], name=f"{name} on moons", **changed)
    alone = dataclasses.replace(settings, only=("consistency",), vary=("beta=0.5",))
    with pytest.raises(cli.UserError, match=r"--vary beta=0\.5: none of these models has such a setting"):
        family.members(alone)


def test_one_variant_may_change_several_settings():
    """Of every distributional model of images; the baseline stays alone."""
    varied = images.Config(beta=(0.1, 1.0), vary=("beta=0.5+score_patch=0", "inject=0"))
    made = {recipe.name: recipe for recipe in models.recipes_of(varied, (8, 8, 1), 10)}
    assert list(made) == [
        *(f"DDM beta {beta}{told}" for beta in ("0.1", "1") for told in ("", " beta=0.5 score_patch=0", " inject=0")),
        "regression",
    ]
    plain, changed = made["DDM beta 1"], made["DDM beta 1 beta=0.5 score_patch=0"]
    assert changed == dataclasses.replace(plain, name=changed.name, rule=recipes.Energy(beta=0.5), score_patch=0)


def test_every_setting_that_may_vary_is_one_of_a_recipe():
    """And none of them is the net, the data or the budget."""
    classes = (*get_args(recipes.Kind), *get_args(recipes.Network), *get_args(recipes.Rule), recipes.Optimizer)
    fields = {field.name for one in classes for field in dataclasses.fields(one)}
    fixed = {"name", "event_shape", "network", "width", "depth", "steps"}
    assert set(presets.VARIED) | set(settings.VARIED) <= fields - fixed


@pytest.mark.parametrize(
    "word, told",
    [
        ("width=3", "takes a setting and its values"),
        ("beta", "takes a setting and its values"),
        ("beta=", "takes a setting and its values"),
        ("beta=x", "--vary beta takes float, got 'x'"),
        ("population=2.5", "--vary population takes int"),
        ("rule=crps", "--vary rule is one of energy"),
        ("gate=maybe", "--vary gate takes bool"),
        ("warmup=no", "--vary warmup takes int"),
        ("beta=1+lam", "takes a setting and its values"),
        ("beta=1+width=3", "takes a setting and its values"),
    ],
)
def test_words_that_are_no_variant_are_refused(word, told):
    """One sentence that tells what would do."""
    with pytest.raises(cli.UserError, match=told):
        family.Config(vary=(word,)).check()


def test_equal_seconds_give_a_dear_step_fewer_steps():
    """Steps times cost is that of ddm, within one step; ddm itself trains as told."""
    equal = {member.name: member.recipe for member in family.members(family.Config(target=("moons",), equal="seconds"))}
    budget = family.Config().steps * presets.COST["ddm"]
    for preset, recipe in equal.items():
        assert abs(recipe.optimizer.steps * presets.COST[preset] - budget) <= presets.COST[preset]
    assert equal["ddm"].optimizer.steps == family.Config().steps


def test_patches_are_of_images():
    """A law in the plane trains all presets but that one; alone it is refused."""
    both = family.members(family.Config(target=("moons", "digits"), only=("ddm", "ddm-patched")))
    assert [(member.name, member.target) for member in both] == [
        ("ddm", "moons"),
        ("ddm", "digits"),
        ("ddm-patched", "digits"),
    ]
    assert [member.recipe.event_shape for member in both] == [(2,), (8, 8, 1), (8, 8, 1)]
    with pytest.raises(cli.UserError, match="take --target digits"):
        family.Config(only=("ddm-patched",)).check()
    with pytest.raises(cli.UserError, match="imf was not tuned on digits: on digits are ddm, ddm-patched"):
        family.Config(only=("imf",), target=("digits",)).check()
    family.Config(only=("imf", "ddm"), target=("digits",)).check()


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"equal": "seconds", "target": ("moons", "digits")}, "leave digits out"),
        ({"choose": ("ddm",), "seeds": 1}, "take --seeds 2 or more"),
        ({"choose": ("fm",), "only": ("ddm",)}, "--choose fm is not among"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, told):
    """Costs that were not measured, grids without a seed or a model to judge."""
    with pytest.raises(cli.UserError, match=told):
        family.Config(**settings).check()
    family.Config(equal="seconds", choose=("ddm",)).check()


def test_a_family_cannot_overwrite_what_every_summary_has(tmp_path):
    """Named before anything is written. Mutation: the family's own wins, as its times of steps once did over the run's."""
    found = runner.Findings([], {}, "", {"seconds": {"ddm": 1.0}})
    with pytest.raises(ValueError, match="every run has 'seconds'"):
        runner.write(tmp_path, "family", {}, found, {"total": 1.0})
    assert not list(tmp_path.iterdir())
