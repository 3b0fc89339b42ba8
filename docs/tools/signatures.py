"""Signatures and docstrings as the reference shows them: shapes as words, sections and doctests as Markdown.

`Float[Array, "batch *event"]` is shown as float[batch, *event]. A docstring's `Args:` becomes a list, an entry for each parameter
that it names; `Returns:`, `Raises:` and `References:` become paragraphs of their own, and lines of `>>>` a block of code.
"""

import re

import griffe

WORDS = {"Shaped": "array", "Num": "number", "PRNGKeyArray": "Key"}
ARRAY = re.compile(r"\b([A-Z]\w*)\[(?:Array|np\.ndarray|Array \| np\.ndarray), '?([^'\[\]]*?)'?\]")
SECTION = re.compile(r"(?m)^(Returns|Raises|References|Yields):")
NOT_ARRAYS = ("Callable", "Iterator", "Sequence", "Iterable", "Annotated")


def shown(annotation):
    """An annotation with shapes as words."""
    if annotation is None:
        return None
    text = str(annotation)

    def told(found):
        kind, shape = found[1], ", ".join(found[2].split()) or "scalar"
        return found[0] if kind in NOT_ARRAYS else f"{WORDS.get(kind, kind.lower())}[{shape}]"

    words = ARRAY.sub(told, text)
    return annotation if words == text else words


def markdown(text, parameters=()):
    """A docstring as Markdown."""
    lines, out, code = text.splitlines(), [], False
    for line in lines:
        if line.startswith(">>>") and not code:
            out += ["", "```pycon"]
            code = True
        elif code and not line.strip():
            out.append("```")
            code = False
        out.append(line)
    text = "\n".join([*out, "```"] if code else out)
    text = re.sub(r"(?m)^Args:\n((?:[ ]{4,}.*\n?)+)", lambda found: arguments(found[1], parameters), text)
    return SECTION.sub(lambda found: f"\n**{found[1]}:**", text)


def arguments(block, parameters):
    """The entries of `Args:`, of which a line may hold several."""
    named = "|".join(sorted(map(re.escape, parameters), key=len, reverse=True)) or r"\w+"
    told = " ".join(line.strip() for line in block.splitlines())
    parts = re.split(rf"(?:^|(?<=[.;)]) )((?:{named})(?:, (?:{named}))*): ", told)
    entries = [f"- `{name}`: {what}" for name, what in zip(parts[1::2], parts[2::2], strict=True)]
    return "\n".join(["\n**Args:**\n", parts[0], *entries, "", ""])


def above(attr):
    """The comment over an alias, or behind it, which says how it is called."""
    lines = attr.filepath.read_text().splitlines()
    over, own = lines[attr.lineno - 2] if attr.lineno > 1 else "", lines[attr.lineno - 1]
    found = re.match(r"# (.*\S)", over) or re.search(r"  # (.*\S)", own)
    return f"`{found[1]}`" if found else None


def indented(file):
    """The docstring of a file as the content of a block."""
    return "\n".join(f"    {line}" for line in file.docstring.value.splitlines())


class Shown(griffe.Extension):
    """Rewrites what was read of the sources; nothing is imported or run."""

    def on_function(self, *, func, **kwargs):
        """Parameters and what is returned."""
        for parameter in func.parameters:
            parameter.annotation = shown(parameter.annotation)
        func.returns = shown(func.returns)
        self._told(func, [parameter.name for parameter in func.parameters])

    def on_class(self, *, cls, **kwargs):
        """Of a NamedTuple its fields too."""
        fields = {name: member.annotation for name, member in cls.members.items() if member.is_attribute}
        self._told(cls, fields)
        if cls.docstring and "NamedTuple" in map(str, cls.bases):
            told = "\n".join(f"- `{name}`: `{shown(annotation)}`" for name, annotation in fields.items())
            cls.docstring.value += f"\n\n**Fields:**\n\n{told}\n"

    def on_attribute(self, *, attr, **kwargs):
        """An alias, with the comment that stands for its docstring."""
        attr.annotation, attr.value = shown(attr.annotation), shown(attr.value)
        alias = attr.docstring is None and attr.parent.is_module and re.match(r"[A-Z][a-z]", attr.name)
        if alias and (comment := above(attr)):
            attr.docstring = griffe.Docstring(comment, parent=attr)
        self._told(attr)

    def on_module(self, *, mod, **kwargs):
        """The equations of a room."""
        self._told(mod)

    def on_package(self, *, pkg, **kwargs):
        """A room of several files shows the equations of all of them, folded away under its own sentence."""
        for room in pkg.modules.values():
            files = [file for file in room.modules.values() if file.docstring and "(1)" in file.docstring.value]
            if room.docstring and files:
                folded = (f'??? abstract "Equations of `{file.name}`"\n\n' + indented(file) for file in files)
                room.docstring.value += "\n\n" + "\n\n".join(folded)

    def _told(self, obj, parameters=()):
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value, parameters)
