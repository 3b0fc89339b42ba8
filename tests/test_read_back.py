"""What is written is read back: the same, or refused before it is written, or made again; never as something else."""

import contextlib
import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
import yaml
from run_folders import a_run

from ddjax import data, metrics, networks, recipes, runs
from ddjax.cli import UserError, documents
from ddjax.commands import info
from ddjax.data import cache
from ddjax.runs import classifiers, engine, folders, pretrained, saved


@dataclasses.dataclass(frozen=True)
class Config(engine.Engine):
    """A few settings of a run."""

    seeds: int = 1
    beta: tuple[float, ...] = (1.0, 0.5)
    rate: float = 1e-5


@dataclasses.dataclass(frozen=True)
class Later(Config):
    """Those of a later version, which knows more of them."""

    shift: float = 0.25
    words: tuple[str, ...] = ("a", "b")


RECIPE = recipes.Distributional(name="ddm", event_shape=(2,), network=recipes.Mlp(width=8, depth=2), inject=0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run"
    a_run(path, "mine", Config(), [RECIPE])
    return path


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


NAMES = {
    "half a surrogate pair": ["a", "\ud800"],
    "bytes that are not UTF-8": ["a", "\udcff"],
    "a line and a colour": ["a\nb\x1b[31m", "<script>"],
    "a zero": ["a\x00b", "c"],
    "2,000 letters": ["q" * 2000, "b"],
    "100,000 letters": ["q" * 100_000, "b"],
    "YAML": ["#x: [1", "- y", "&a", "*a", "!!python/name:os"],
    "words that YAML has a meaning for": ["1", "true", "null", "1e3", "~", "=", "<<", "2020-01-01"],
    "other line ends": ["\u2028", "\x85", " a ", "\ufeff"],
    "nothing": ["", ""],
    "many": [f"{i:03d} " + "arthropoda " * 30 for i in range(800)],
    "too much": ["arthropoda" * 600] * 200,
}
REFUSED = {"half a surrogate pair", "bytes that are not UTF-8", "100,000 letters", "too much"}


@pytest.mark.parametrize("names", NAMES)
def test_names_of_classes_are_read_back_or_refused_before_anything_is_written(tmp_path, names):
    """By the reader of every command. Mutations: written without a look; a look with other bounds than the reader's."""
    path, facts = tmp_path / "new" / "run", {"classes": NAMES[names]}
    if names in REFUSED:
        with pytest.raises(ValueError, match=rf"^{path}/config.yaml: [^\n]*: 'classes' could not be read again$"):
            runs.open_run("mine", Config(out=path), path, facts=facts)
        assert not path.parent.exists()
    else:
        runs.open_run("mine", Config(out=path), path, facts=facts)
        assert runs.read_settings(path)["classes"] == NAMES[names]
        runs.open_run("mine", Config(out=path, resume="auto"), path, facts=facts)


@pytest.mark.parametrize(("bound", "at_most"), [("most", 20), ("largest", 200)])
def test_more_names_than_the_reader_takes_are_refused_too(tmp_path, monkeypatch, bound, at_most):
    """By its own bounds, which are 32,768 values and a MiB: 22,000 classes are read. Mutation: another bound for writing."""
    assert (documents._Values.most, documents._Values.largest) == (2**15, 2**20)
    monkeypatch.setattr(documents._Values, bound, at_most)
    runs.open_run("mine", Config(out=tmp_path / "few"), tmp_path / "few", facts={"classes": ["cat"] * 5})
    assert runs.read_settings(tmp_path / "few")["classes"] == ["cat"] * 5
    with pytest.raises(ValueError, match=r"'classes' could not be read again$"):
        runs.open_run("mine", Config(out=tmp_path / "many"), tmp_path / "many", facts={"classes": ["cat"] * 40})


def test_an_eigenbasis_of_digits_is_read_back(tmp_path):
    """64 directions are some 22,000 characters. Mutation: a bound of 1,024 for every value."""
    text = "A" * 22_400
    recipe = recipes.Inflation(name="flow", event_shape=(8, 8, 1), eigen=text)
    runs.open_run("mine", Config(out=tmp_path), tmp_path, facts=saved.settings_of([recipe]))
    assert recipes.read(runs.read_settings(tmp_path)["models"][0]).eigen == text


def resumed(path):
    runs.open_run("mine", Config(out=path, resume="auto"), path, facts=saved.settings_of([RECIPE]))


READERS = {
    "sample": lambda path: saved.load(path, None),
    "info": lambda path: info.run(info.Config(path)),
    "resume": resumed,
    "resume by name": lambda path: folders.folder(Config(resume=str(path)), path),
}
FORGED = {
    "seeds": [999_999_999, 0, -1, "3", 1.5, True, None, [1]],
    "together": ["yes", 1],
    "classes": [5, [1, 2], {"a": 1}, "cat"],
    "experiment": [1, None, ""],
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", FORGED)
def test_settings_that_no_run_could_have_are_refused_by_every_reader(run, name, reader):
    """In one sentence that names the file and the setting. Mutations: a value used as it is; True for 1."""
    for value in FORGED[name]:
        rewritten(run, lambda settings: settings | {name: value})  # noqa: B023
        with pytest.raises(UserError, match=rf"^{run}[^\n]*{name}[^\n]*$"):
            READERS[reader](run)


def rewritten(path, change):
    for file in (path / "config.yaml", path / "checkpoints" / "config.yaml"):
        file.write_text(yaml.safe_dump(change(yaml.safe_load(file.read_text())), sort_keys=False))


def with_entry(model, place, value):
    """A stored model with another value at a place, `network.width` for instance."""
    outer, _, inner = place.rpartition(".")
    return model | ({outer: model[outer] | {inner: value}} if outer else {inner: value})


ENTRIES = [("network.width", 0), ("network.width", -8), ("network.width", 2**31), ("network.width", "wide"),
           ("network.depth", 10**6), ("network.kind", "Cnn"), ("network", None), ("network", "Mlp"), ("network.patch", 4),
           ("rule.beta", 2.5), ("rule.kind", "Crps"), ("optimizer.ema_decay", 1.0), ("optimizer.steps", None),
           ("event_shape", [0]), ("event_shape", 2), ("event_shape", []), ("other_decays", [0.5, 0.5]),
           ("optimizer.learning_rate", float("inf")), ("gate", 1), ("condition", {"kind": "Labels", "classes": -1}),
           ("name", ""), ("optimizer.clip", "none"), ("coupling", "aware"), ("colour", "red")]  # fmt: skip


@pytest.mark.parametrize("reader", ["sample", "resume"])
@pytest.mark.parametrize(("entry", "value"), ENTRIES, ids=str)
def test_a_recipe_that_could_not_be_written_is_not_read(run, entry, value, reader):
    """In one sentence with the entry. Mutations: a recipe of whatever stands there; types that are not looked at."""
    rewritten(run, lambda settings: settings | {"models": [with_entry(settings["models"][0], entry, value)]})
    *_, place, last = ("", *entry.split("."))
    word = place if last == "kind" else last if value is None or not isinstance(value, dict) else "classes"
    with pytest.raises(UserError, match=rf"^[^\n]*{run}[^\n]*{word}[^\n]*$"):
        READERS[reader](run)


@pytest.mark.parametrize(
    "changed", [{"width": 0}, {"depth": 10**6}, {"beta": 2.5}, {"other_decays": (0.5, 0.5)}], ids=str
)
def test_a_recipe_that_could_not_be_read_is_not_written(changed):
    """Mutation: the rules asked on reading alone."""
    with pytest.raises(ValueError, match=f"^the recipe 'ddm': {next(iter(changed))} "):
        saved.settings_of([recipes.changed(RECIPE, **changed)])


def test_a_model_larger_than_the_machine_is_refused_before_it_is_made(run):
    """A width that is a number of 32 bits, and that no memory holds. Mutation: parameters made at once."""
    wide = lambda model: with_entry(model, "network.width", 2_000_000_000)  # noqa: E731
    rewritten(run, lambda settings: settings | {"models": [wide(settings["models"][0])]})
    with pytest.raises(UserError, match=r"^'ddm' of .* needs at least [\d,]+ GB of memory, and there are"):
        saved.load(run, None)


def test_names_of_other_classes_than_the_model_has_are_refused(run):
    """And a model without classes has no names. Mutation: the names, whatever the model."""
    rewritten(run, lambda settings: settings | {"classes": ["cat", "dog"]})
    assert saved._classes(run, runs.read_settings(run), RECIPE) == ()
    with pytest.raises(UserError, match="names 2 classes, and 'ddm' has 3"):
        saved._classes(run, runs.read_settings(run), dataclasses.replace(RECIPE, condition=recipes.Labels(classes=3)))


def test_an_older_run_takes_todays_defaults_of_what_it_does_not_know(run):
    """Settings and entries of recipes; its checkpoints are still its own. Mutations: settings written anew, which no
    checkpoint belongs to; what is missing differs from every value."""
    rewritten(
        run, lambda settings: settings | {"models": [{k: v for k, v in settings["models"][0].items() if k != "gate"}]}
    )
    before, text = runs.read_settings(run), (run / "config.yaml").read_text()
    config, facts = Later(out=run, resume="auto"), saved.settings_of([RECIPE])
    opened = runs.open_run("mine", config, run, facts=facts)
    assert opened.settings == before and opened.owner("a") == runs.Run(run, before, config).owner("a")
    assert (run / "config.yaml").read_text() == text
    del opened
    with pytest.raises(UserError, match=r"other settings: shift \(0\.25 there, 0\.5 now\)$"):
        runs.open_run("mine", dataclasses.replace(config, shift=0.5), run, facts=facts)
    gated = saved.settings_of([dataclasses.replace(RECIPE, gate=True)])
    with pytest.raises(UserError, match=r"other settings: gate of model 1 \(False there, True now\)$"):
        runs.open_run("mine", config, run, facts=gated)


def test_a_run_with_flat_recipes_of_an_older_version_is_read_and_resumed(run):
    """And refused where it differs, by the entry's name of today. Mutations: the flat form not read; its values not compared."""
    flat = {"name": "ddm", "kind": "distributional", "event_shape": [2], "net": "mlp", "width": 8, "depth": 2, "inject": 0,
            "beta": 1.0, "share": 0.99, "transport": None, "cosine": False, "warmup": 100}  # fmt: skip
    rewritten(run, lambda settings: settings | {"models": [flat]})
    _, model = saved._kept(run, runs.read_settings(run), None)
    assert model.recipe == model.trained == RECIPE
    resumed(run)
    rewritten(run, lambda settings: settings | {"models": [flat | {"width": 16}]})
    with pytest.raises(UserError, match=r"other settings: network\.width of model 1 \(16 there, 8 now\)$"):
        resumed(run)


def test_a_setting_of_a_later_version_is_named(tmp_path):
    """Mutation: what this version does not know is as good as absent."""
    runs.open_run("mine", Later(out=tmp_path, shift=0.5), tmp_path)
    with pytest.raises(UserError, match=r"shift \(0\.5 there, and this version has no such setting\), words \(.*\)$"):
        runs.open_run("mine", Config(out=tmp_path, resume="auto"), tmp_path)


def images():
    x = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), dtype=np.uint8)
    return data.Images(x, np.arange(8, dtype=np.int32) % 2, ("a", "b"), "train", "drawn")


def a_classifier(folder):
    net = networks.classifier.classifier((4, 4, 1), 2)
    classifiers.save(folder, net.init(jax.random.key(0)), {"event_shape": [4, 4, 1], "classes": 2})
    return lambda: jax.tree.leaves(networks.classifier.load(folder)[1])


def statistics(folder):
    points = np.random.default_rng(0).normal(size=(20, 4))
    return lambda: metrics.cached_statistics(folder, "drawn", lambda: points)


def a_set(folder):
    def read():
        kept = cache.kept("drawn.npz", images)
        return [kept.x, kept.labels, np.array([*kept.classes, kept.name, kept.split, kept.attribution, str(kept.flip)])]

    return read


def a_pretrained_model(folder):
    shutil.copytree(pretrained.folder("two_gaussians"), folder, dirs_exist_ok=True)
    return lambda: jax.tree.leaves(saved.of_export(folder).params)


# what is kept beside its runs, and numbers depend on; checkpoints have a test of their own
KEPT = (a_classifier, statistics, a_set, a_pretrained_model)


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.filterwarnings("ignore:.*is made again")
def test_a_flipped_bit_in_what_is_kept_moves_no_number(tmp_path, monkeypatch, kept):
    """In every file, at 40 places: the same bytes come back, or a refusal. Mutations: no checksum of a classifier's
    weights; that of the settings alone; files of an export that nobody looks at."""
    monkeypatch.setenv("DDJAX_CACHE", str(tmp_path))
    read, places = kept(tmp_path), np.random.default_rng(0)
    before = [np.asarray(array).tobytes() for array in read()]
    for file in sorted(path for path in tmp_path.iterdir() if path.is_file()):
        content = file.read_bytes()
        for place in places.choice(len(content), 40):
            file.write_bytes(content[:place] + bytes([content[place] ^ 1 << places.integers(8)]) + content[place + 1 :])
            with contextlib.suppress(ValueError, UserError):
                assert [np.asarray(array).tobytes() for array in read()] == before, (file, place)
        file.write_bytes(content)
    assert [np.asarray(array).tobytes() for array in read()] == before


def test_a_damaged_classifier_is_trained_again_with_a_warning(tmp_path, monkeypatch):
    """And one from before checksums. Mutations: its weights believed; an error in the place of a new one."""
    net, trainings = networks.classifier.classifier((4, 4, 1), 2), []
    monkeypatch.setattr(
        classifiers, "fit", lambda *_, **budget: trainings.append(budget) or net.init(jax.random.key(0))
    )
    classifiers.trained(images(), images(), tmp_path)
    classifiers.trained(images(), images(), tmp_path)
    assert len(trainings) == 1
    file, about = tmp_path / "classifier.safetensors", tmp_path / "classifier.json"
    content, settings = file.read_bytes(), json.loads(about.read_text())
    damages = (
        lambda: file.write_bytes(content[:-1] + bytes([content[-1] ^ 64])),
        lambda: file.write_bytes(content[:-8]),
        file.unlink,
        lambda: about.write_text(json.dumps({name: value for name, value in settings.items() if name != "sha256"})),
    )
    for i, damage in enumerate(damages, 2):
        damage()
        with pytest.warns(UserWarning, match=f"^{tmp_path} is damaged .* and is made again$"):
            classifiers.trained(images(), images(), tmp_path)
        assert file.read_bytes() == content and len(trainings) == i
