"""The documentation is true: its site builds without a warning and asks nothing of other servers, its examples run."""

import importlib.util
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import ddjax
from ddjax.data import image_files, names
from ddjax.judging import paired
from experiments.common.images import evaluate as judging

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HOW_TO = [f"how-to/{path.stem}" for path in sorted((DOCS / "how-to").glob("*.md"))]
RUN = ("tutorial", "faq", *(page for page in HOW_TO if page != "how-to/torch_weights"))  # which test_torch_weights runs


def blocks(page, language):
    """The code of a page, each block preceded by empty lines so that an error names the line of the page."""
    text = (DOCS / f"{page}.md").read_text()
    for found in re.finditer(rf"^```{language}\n(.*?)^```", text, re.S | re.M):
        yield "\n" * (text.count("\n", 0, found.start()) + 1) + found[1]


def of_tutorial(run, told):
    assert 0.97 * run["least"] < run["trained_loss"] < 1.1 * run["least"]
    assert abs(run["best"] - run["floor"].mean) < 6 * run["floor"].std and run["ours"] < run["classical"] / 3


def of_faq(run, told):
    assert float(run["measured"]) == pytest.approx(float(run["floor"]), rel=0.02)
    assert float(run["parts"]["confinement"]) == pytest.approx(float(run["parts"]["interaction"]), rel=0.02)
    saved = [int(share) for share in re.findall(r"(\d+) % saved", told)]
    assert saved == sorted(saved, reverse=True) and saved[0] > 80 and saved[-1] < 20
    assert re.findall(r"converged: (\w+)", told) == ["False", "True", "True"]
    mmd2 = [float(value) for value in re.findall(r"steps: MMD\^2 (\S+)", told)]
    assert max(map(abs, mmd2[:2])) < 0.003 < mmd2[3] < 0.02 and mmd2[2] > 1


def of_conditioning(run, told):
    right = [int(share) for share in re.findall(r"(\d+) % lie right", told)]
    assert right[0] > 95 and right[1] < 5 and 35 < right[2] < 65 and abs(right[3] - 94.7) < 4


SAYS = {
    "tutorial": of_tutorial,
    "faq": of_faq,
    "how-to/conditioning": of_conditioning,
    "how-to/data": lambda run, told: run["distance"] < 3 * run["floor"] or pytest.fail(told),
    "how-to/network": lambda run, told: len(told.split()) == 4 or pytest.fail(told),
    "how-to/runs": lambda run, told: run["rows"][-1]["step"] == 400 or pytest.fail(told),
    "how-to/scoring_rule": lambda run, told: told.count(": True") == 3 or pytest.fail(told),
}


@pytest.mark.sampled(7)
@pytest.mark.parametrize("page", [page for page in RUN if any(blocks(page, "python"))])
def test_examples_run_in_order_and_say_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    """All blocks of Python of a page in one namespace, as a reader would paste them. Mutation: any name that is not there."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for code in blocks(page, "python"):
        exec(compile(code, f"docs/{page}.md", "exec"), namespace)
    SAYS[page](namespace, capsys.readouterr().out)


def test_what_is_said_of_names_and_formats():
    """The data page lists every name of an array and every suffix of an image. Mutation: leave one out."""
    page = (DOCS / "how-to/data.md").read_text()
    for name in (*names.IMAGES, *names.LABELS, *names.CLASSES, *names.TRAIN, *names.HELD_OUT):
        assert f"`{name}`" in page, name
    listed = page.split("## A folder of images")[1].split("\n##")[0]
    aliases = {"jpeg", "jpe", "jfif", "tiff"}
    assert all(re.search(rf"\b{suffix[1:]}\b", listed) for suffix in image_files.FORMATS if suffix[1:] not in aliases)
    assert f"at least {judging.K + 1} held-out images" in " ".join(page.split())


def of_formats():
    """(title, commands) of each section of the data page that trains; the first commands of the page are for all."""
    first, *sections = (DOCS / "how-to/data.md").read_text().split("\n## ")
    install = commands_in(first)
    for section in sections:
        if commands := commands_in(section):
            yield section.partition("\n")[0], [*install, *commands]


def commands_in(text):
    return [line for found in re.findall(r"^```bash\n(.*?)^```", text, re.S | re.M) for line in found.splitlines()]


FORMATS = dict(of_formats())
TINY = "--steps 20 --batch 8 --width 16 --depth 2 --population 2 --nfe 1 --samples 100 --no-baseline"

RUNNER = """
import functools, runpy, sys
from ddjax import metrics
from ddjax.runs import classifiers

classifiers.trained = functools.partial(classifiers.trained, steps=20, batch=8)  # whose features judge; else 2,000 steps
metrics.frechet_distance = lambda x, y: 0.0  # minutes in the 3,072 dimensions of a record's pixels
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def test_each_format_takes_at_most_four_commands():
    assert len(FORMATS) == 5 and all(len(commands) <= 4 for commands in FORMATS.values())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder in which the data page's own code has written a set of each format."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        namespace = {}
        for code in blocks("how-to/data", "python"):
            if "import jax" in code:
                break
            exec(compile(code, "docs/how-to/data.md", "exec"), namespace)
    return folder


@pytest.mark.sampled(5)
@pytest.mark.slow
@pytest.mark.parametrize("title", FORMATS)
def test_commands_lead_from_own_data_to_samples(title, written):
    """Of each format as they stand, but for the size of what is trained. Mutation: a format that `data.load` refuses."""
    _, train, sample = (shlex.split(command) for command in FORMATS[title])
    places = {"PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache")}
    assert train[:2] == ["python", "-m"] and sample[0] == "ddjax"
    for words in ([*train[2:], *TINY.split()], sample):
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, *words], cwd=written, env=os.environ | places, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    made = np.load(written / "samples.npz")
    assert made["pixels"].shape[0] == 64 and made["pixels"].dtype == np.uint8 and len(made["labels"]) == 64
    assert np.isfinite(made["x_0"]).all()


SITE_NEEDS = ("mkdocs", "material", "mkdocstrings", "latex2mathml")
FETCHED = re.compile(
    r"<(?:script|img|iframe|link|source|video|audio|object|embed)\b[^>]*?\b(?:src|href|data)=[\"']?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` builds it: strict, so that a link or an anchor to nothing ends it."""
    lacking = [name for name in SITE_NEEDS if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"the site needs {', '.join(lacking)}: pip install -e '.[docs]' (requirements.txt has it)")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        build, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_site_asks_nothing_of_other_servers(site):
    """No script, style, font, picture or frame from elsewhere, in pages or in styles.

    Mutation: `theme.font` of mkdocs.yml left to its default.
    """
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    assert len(pages) > 45
    for path, html in pages.items():
        assert not FETCHED.search(html), (path.relative_to(site), FETCHED.search(html)[0])
    for path in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", path.read_text()), path


def test_the_site_holds_every_page_and_figure(site):
    """Pages of docs/, what they show, what they link to outside of it, and the index of the search."""
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file(), page
    for html in site.rglob("*.html"):
        for target in re.findall(
            r"<(?:img|a)\b[^>]*?\b(?:src|href)=\"((?!https?:|#|mailto:)[^\"#?]+)", html.read_text()
        ):
            assert html.name == "404.html" or (html.parent / target).exists(), (html.relative_to(site), target)
    assert "energy_score" in (site / "search/search_index.json").read_text()
    assert not (site / "tools").exists()


def test_shapes_are_words_and_tables_are_tables(site):
    """In signatures; and in what is folded away. Mutations: the extension left out; the hook without `markdown`."""

    def words(page):
        return re.sub(r"<[^>]+>", "", (site / page).read_text())

    assert "x_0: float[*event]" in words("reference/paths.html")
    assert "Float[Array" not in "".join(words(f"reference/{page.stem}.html") for page in DOCS.glob("reference/*.md"))
    for page in DOCS.rglob("*.md"):
        html = (site / page.relative_to(DOCS).with_suffix(".html")).read_text()
        rules = re.findall(r"^\|[-|: ]+\|$", page.read_text(), re.M)
        assert html.count("<table") == len(rules) and "|---" not in html, page


def test_equations_are_drawn_without_a_script(site):
    """Each `$` of the pages ends as MathML: the bridge's marginal identity is a row of it, and no LaTeX is left.

    Mutation: the hook left out of mkdocs.yml.
    """
    for page in DOCS.rglob("*.md"):
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.S)
        blocks = prose.count("$$") // 2
        equations = blocks + prose.replace("$$", "").count("$") // 2
        html = (site / page.relative_to(DOCS).with_suffix(".html")).read_text()
        assert html.count("<math ") == equations and html.count('<div class="equation">') == blocks, page
        assert "arithmatex" not in html and "\\frac" not in html, page
    root = re.search(r"<msqrt>(.*?)</msqrt>", (site / "mathematics.html").read_text(), re.S)[1]
    assert text_of(root) == "1\N{MINUS SIGN}\N{GREEK SMALL LETTER KAPPA}2"


def text_of(fragment):
    return unescape(re.sub(r"<[^>]+>", "", fragment))


def test_every_public_function_has_its_heading(site):
    """Those too that are called as the file they are in, which hides them; those of other rooms are on their pages.

    Mutation: the lines of a page after the first.
    """
    for room in ddjax.__all__:
        module = importlib.import_module(f"ddjax.{room}")
        page = site / "reference" / f"{room}.html"
        if room != "cli":
            named = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
            code = {name: value for name, value in named.items() if inspect.isfunction(value) or inspect.isclass(value)}
            wanted = [name for name, value in code.items() if value.__module__.startswith(f"ddjax.{room}")]
            found = set(re.findall(r'id="ddjax\.([\w.]+)"', page.read_text()))
            missing = {name for name in wanted if not {f"{room}.{name}", f"{room}.{name}.{name}"} & found}
            assert not missing, (room, missing)


def test_every_room_has_its_page():
    """In the reference and in its index. Mutation: a room without a page."""
    pages = {page.stem for page in DOCS.glob("reference/*.md")} - {"index"}
    assert pages == {*ddjax.__all__, "types"} - {"cli"}
    index = (DOCS / "reference/index.md").read_text()
    assert all(f"({page}.md)" in index for page in pages)


def test_numbers_of_the_faq_are_stored():
    """Of couplings with conditions, and of one setting at a time. Mutation: any digit of either."""
    page = " ".join((DOCS / "faq.md").read_text().split())
    moons = json.loads((DOCS / "results/two_moons_all.json").read_text())["numbers"]
    of = {(n["model"], n["nfe"]): f"{n['value']:.2g}" for n in moons if n["metric"] == "class_w1"}
    blind, aware, independent = (
        [of[f"4 {name}, w = 1", n] for n in (1, 50)] for name in ("blind OT", "class-aware OT", "independent")
    )
    assert "blind {} and {}, class-aware {} and {}, independent {} and {} ".format(*blind, *aware, *independent) in page
    sweep = json.loads((DOCS / "results/family_sweep.json").read_text())["numbers"]
    sweep = [n for n in sweep if "w1" in n["metric"] and (n["nfe"], n["churn"], n["seeds"]) == (1, 0.0, 3)]
    runs = {n["model"].removeprefix("ddm "): n["by_seed"] for n in sweep}
    off = {name: f"{abs(paired(seeds, runs['ddm']).value):.3f}" for name, seeds in runs.items()}
    for told in (
        f"to 2 costs {off['population=2']} in W₁ at one step, 8 gains {off['population=8']};",
        f"to 1 costs {off['beta=1.0']} and to 1.5 costs {off['beta=1.5']}.",
        f"0.5 costs {off['lam=0.5']}.",
        f"second layer costs {off['inject=2']} at one step",
    ):
        assert told in page, told
