"""The page of a run, read by a parser: what comes first, what every figure and table has, and what its words say."""

import base64
from html.parser import HTMLParser

import numpy as np
import pytest

from ddjax import judging
from experiments.common import readings, report, terms, verdicts
from experiments.common.images import sizes

DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
FLOOR = (0.001, 0.002)
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Tags in their order, each with its attributes, the tags around it, and the text directly inside it."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), [*self.open], []))
        if tag not in VOID:
            self.open.append(self.found[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open:
            self.open[-1][3].append(data.strip())

    def all(self, tag, **attrs):
        return [one for one in self.found if one[0] == tag and attrs.items() <= one[1].items()]


def number(model, value, *, metric="mmd2", nfe=4, floor=FLOOR, churn=None, trained=True):
    return judging.measured(model, metric, nfe, np.full((2, 3), value), floor, churn=churn, trained=trained)


NUMBERS = [number("ddm", 0.0005), number("regression", 0.041), number("exact mean", 0.02, trained=False)]
COVERAGE = [number("ddm", 0.4, metric="coverage", floor=(0.97, 0.01))]


@pytest.fixture
def page(tmp_path):
    """Two figures and three tables."""
    for name in ("key.png", "other.png"):
        (tmp_path / name).write_bytes(DOT)
    verdict = verdicts.by_steps(NUMBERS, "MMD², Gaussian kernel")
    summary = {
        "experiment": "two_gaussians",
        "provenance": {"ddjax": "9.8.7", "commit": "abc1234", "date": "2030-01-02", "device": "cpu x 1"},
        "settings": {"steps": 3000},
    }
    tables = [
        report.of_numbers(NUMBERS, "MMD², Gaussian kernel"),
        report.of_numbers(COVERAGE, "coverage, k = 5"),
        report.plain("Seconds", ["model", "ms"], [["ddm", "1 < 2"]], readings.LOWER),
    ]
    told = report.Told(verdict, sizes.too_few(18, {"pixels": 64}), ["A note."], "Small print.")
    captions = {"key.png": "Distance by <steps>.", "other.png": "Samples.", "missing.png": "Not there."}
    return Page(report.page(tmp_path, summary, tables, captions, told))


def test_the_verdict_comes_first_then_the_key_figure_and_the_key_table(page):
    """Mutations: notes above the verdict; tables before figures; a figure that is missing."""
    order = [(tag, attrs.get("class")) for tag, attrs, *_ in page.found if tag in ("p", "img", "table")]
    assert order[0] == ("p", "verdict") and page.all("strong")[0][3] == [
        "4 steps: ddm is at the floor of MMD² (0.0005; floor 0.001 ± 0.002); at least 10x closer than regression"
    ]
    assert [tag for tag, _ in order if tag != "p"] == ["img", "table", "img", "table", "table"]
    [key] = page.all("div", **{"class": "key"})
    assert key in page.all("img")[0][2] and key in page.all("table")[0][2] and key not in page.all("img")[1][2]


def test_every_figure_has_words_and_every_table_a_box_that_the_keyboard_reaches(page):
    """Mutations: no alt; a table outside of its box; a box without tabindex or name; no scope."""
    assert [attrs["alt"] for _, attrs, *_ in page.all("img")] == ["Distance by <steps>.", "Samples."]
    for table in page.all("table"):
        box = table[2][-1][1]
        assert box["class"] == "box" and box["tabindex"] == "0" and box["role"] == "region" and box["aria-label"]
    assert all("scope" in attrs for _, attrs, *_ in page.all("th"))
    style = page.all("style")[0][3][0]
    assert "overflow: auto" in style and "prefers-color-scheme: dark" in style and ":focus-visible" in style
    assert len(page.all("details")) == len(page.all("summary")) == 3


def test_without_a_figure_the_key_table_has_the_whole_width_and_bold_is_bold(tmp_path):
    """As the forecast's page. Mutations: a column beside nothing; Markdown's asterisks in a cell."""
    table = report.plain("Seen", ["rule", "by"], [["a", "**6.4**"], ["b", "0.7"]], readings.HIGHER)
    summary = {
        "experiment": "forecast",
        "provenance": {"ddjax": "1", "commit": "a", "date": "b", "device": "c"},
        "settings": {},
    }
    page = Page(report.page(tmp_path, summary, [table], {}, report.Told("A verdict.", [], [], "")))
    assert page.all("div", **{"class": "key wide"}) and not page.all("div", **{"class": "key"})
    assert [text for *_, text in page.all("strong")][-1] == ["6.4"]
    assert "**" not in "".join(word for *_, text in page.found for word in text)


def test_it_is_read_on_a_telephone_and_asks_nobody(page):
    """Mutations: no viewport; a script, a font or a picture from elsewhere."""
    assert page.all("meta", name="viewport")[0][1]["content"] == "width=device-width, initial-scale=1"
    assert page.all("html")[0][1]["lang"] == "en" and not page.all("script")
    for _, attrs, *_ in page.found:
        assert all(attrs.get(name, "data:").startswith("data:") for name in ("src", "href", "srcset"))
    assert "url(" not in page.all("style")[0][3][0] and "@import" not in page.all("style")[0][3][0]


def test_every_table_says_which_way_is_better_and_what_is_at_the_floor(page):
    """The number stands below the words. Mutations: one direction for all; the number lost; the oracle's row too."""
    told = ["↓ lower is better", readings.CLOSER, "↓ lower is better"]
    assert [one[3] for one in page.all("span", **{"class": "better"})] == [[way] for way in told]
    [words] = page.all("span", **{"class": "floor"})
    assert words[3] == [readings.AT_FLOOR]
    assert page.all("small")[0][3] == ["0.0005 [0.0005, 0.0005]"] and page.all("td")[1][3][0] == "0.041"
    assert any("floor 0.001 ± 0.002" in "".join(one[3]) for one in page.all("p"))


def test_it_says_where_it_comes_from_and_what_to_beware_of(page):
    """Mutations: no commit; warnings among the notes; terms that the page does not use."""
    assert any("ddjax 9.8.7, commit abc1234" in "".join(one[3]) for one in page.all("p", **{"class": "soft"}))
    [warned] = [one for one in page.all("p", **{"class": "warning"}) if "64 dimensions" in "".join(one[3])]
    assert "18 held-out images are too few" in "".join(warned[3])
    words = [one[3][0] for one in page.all("dt")]
    assert {"floor", "mmd", "coverage", "regression"} <= set(words) and "churn" not in words and "w₂" not in words


@pytest.mark.parametrize(
    ("best", "rival", "told"),
    [
        (0.0005, 0.041, "at least 10x closer than regression"),
        (0.006, 0.041, "8x closer than regression"),
        (0.0005, 0.002, "regression is there too"),
        (0.039, 0.041, "regression is about as far"),
        (0.041, 0.0005, "at least 10x closer than ddm"),
    ],
)
def test_a_verdict_names_the_best_and_how_much_closer_it_is(best, rival, told):
    """Mutations: the oracle as the best; ratios of values; the least churn; deviations left out of the ratio."""
    numbers = [
        number("ddm", 0.5, churn=0.0), number("ddm", best, churn=1.0), number("ddm", 0.0, nfe=8, churn=1.0),
        number("other", 0.09), number("regression", rival), number("exact posterior", -1.0, trained=False),
    ]  # fmt: skip
    assert verdicts.by_steps(numbers, "MMD²").endswith(told)


def test_without_four_steps_or_a_rival_or_a_deviation_a_verdict_says_what_there_is():
    """The most steps; no comparison; excess in the metric's own way. Mutations: 4 always; min for accuracy."""
    alone = verdicts.by_steps([number("ddm", 2.0, nfe=2, floor=(1.0, None))], "Fréchet distance, pixels")
    assert alone == "2 steps: ddm is 1 from the floor of Fréchet distance (2; floor 1)"
    of = [
        number(name, value, metric="class accuracy", floor=(0.99, None)) for name, value in (("a", 0.9), ("b", 0.995))
    ]
    assert (
        verdicts.by_steps(of, "accuracy")
        == "4 steps: b is at the floor of accuracy (0.99; floor 0.99); a is 0.09 from it"
    )
    assert verdicts.by_steps([number("exact mean", 1.0, trained=False)], "MMD²") == ""


def test_metrics_get_better_in_their_own_way():
    """Mutations: coverage the higher the better; a distance below its floor told from it."""
    ways = {
        name: readings.better(name) for name in ("mmd2", "frechet features", "class accuracy", "kde_nll", "class_w1")
    }
    assert ways.pop("class accuracy") == readings.HIGHER and set(ways.values()) == {readings.LOWER}
    assert readings.better("coverage features") == readings.better("memorisation pixels") == readings.CLOSER
    assert (
        readings.at_floor(number("a", -0.5))
        and readings.at_floor(number("a", 0.0049))
        and not readings.at_floor(number("a", 0.0051))
    )
    assert not readings.at_floor(number("a", 1.0, metric="coverage", floor=(0.97, 0.01)))


def test_too_few_images_are_told_by_space():
    """A covariance of d dimensions wants more than d. Mutations: at d enough; shares of 100 warned of."""
    assert sizes.too_few(65, {"pixels": 64})[0].startswith("65 held-out images are few for shares")
    assert "64 dimensions (pixels)" in sizes.too_few(64, {"pixels": 64, "features": 8})[0]
    assert sizes.too_few(360, {"pixels": 64, "features": 128}) == []


def test_terms_are_sentences():
    """Each begins with a capital and ends with a stop, and none is found in a page without words."""
    assert all(told[0].isupper() and told.endswith(".") for told in terms.TERMS.values()) and terms.used("") == {}
