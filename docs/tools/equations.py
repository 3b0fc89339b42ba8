"""Equations of pages, `$...$` and `$$...$$` in LaTeX, as MathML: browsers draw it themselves, without a script or a network."""

import html
import re

from latex2mathml.converter import convert

EQUATION = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)


def mathml(equation):
    """An equation as `pymdownx.arithmatex` leaves it: a span in a line, a div as a line of its own."""
    tag, latex = equation.groups()
    drawn = convert(html.unescape(latex).strip(), display="block" if tag == "div" else "inline")
    return f'<{tag} class="equation">{drawn}</{tag}>'


def on_page_content(content, page, config, files):
    """The page with its equations drawn."""
    return EQUATION.sub(mathml, content)
