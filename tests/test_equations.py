"""Numbers of equations: those of a paper stand behind its name, those of a module are letters, so that one means one thing."""

import re
from pathlib import Path

import pytest

import ddjax

ROOT = Path(ddjax.__file__).parent
FILES = {
    str(path.relative_to(ROOT.parent)): path
    for path in (*sorted(ROOT.rglob("*.py")), ROOT.parent / "docs/mathematics.md")
}
NAMED = re.compile(
    r"\b(DDM|DDIM|DDPM|EDM|DPS|PiGDM|MeanFlow|Rectified Flow|Gneiting and Raftery|Scheuerer and Hamill|al\.)\s+$"
)


@pytest.mark.parametrize("name", FILES)
def test_a_number_has_the_name_of_its_paper(name):
    """Mutations: "eq. (4)" for "DDM eq. (4)"; a module's own (1) for (A)."""
    text = FILES[name].read_text()
    numbered = [match.start() for match in re.finditer(r"\b([Ee]qs?\.|[Ee]quations?)\s+(\(\d\d?\)|\d+-)", text)]
    assert all(NAMED.search(text[:at]) for at in numbered)
    assert not re.search(r"^ *\(\d+\)  ", text, re.M)


def test_the_paper_is_found():
    """The rule above sees what it is about. Mutation: a pattern that finds nothing."""
    found = {int(n) for path in FILES.values() for n in re.findall(r"DDM eq\. \((\d+)\)", path.read_text())}
    assert {4, 8, 14} <= found


def test_the_package_says_where_the_paper_is():
    """Each row names a file and functions of it. Mutations: a file that moved; a function that was renamed."""
    rows = re.findall(r"^    .*  (ddjax/\S+\.py)  +([\w ]+)$", ddjax.__doc__, re.M)
    assert len(rows) == 5
    for path, names in rows:
        text = FILES[path].read_text()
        assert all(f"\ndef {name}(" in text for name in names.split())
