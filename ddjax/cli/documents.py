"""Settings in files: YAML and JSON from anywhere, read within bounds, and errors in one line that names the file.

YAML here is what a settings file needs: mappings and lists of plain values. Anchors, aliases, tags and repeated keys are
refused, since they are what turns 400 bytes into gigabytes, or a typing error into another run.
"""

import collections
import json
from pathlib import Path
from typing import Any

import yaml

_LARGEST = 2**22  # bytes of JSON
_LONGEST = 2**10  # characters of a number, and of any value that a user writes
_DEEPEST = 5  # mappings and lists inside one another
_TEXT = yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG
_PLAIN = ("null", "bool", "int", "float")


class _Values(yaml.SafeLoader):
    """Plain values alone, refused before anything is made of them."""

    depth = nodes = 0
    largest = 2**20  # bytes
    longest = 2**16  # characters of text: the eigenbasis of small images has some 22,000
    most = 2**15  # values: an image set has up to some 22,000 classes

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One value, once it is seen to be harmless."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None or event.tag is not None:
            raise ValueError("anchors, aliases and tags are not read")
        if self.depth > _DEEPEST:
            raise ValueError(f"values lie more than {_DEEPEST} deep")
        if self.nodes > self.most:
            raise ValueError(f"more than {self.most:,} values")
        if isinstance(event, yaml.ScalarEvent):
            if any("\ud800" <= character <= "\udfff" for character in event.value):  # which could never be printed
                raise ValueError("a value is no text: it holds bytes that are not UTF-8, or half a surrogate pair")
            if len(event.value) > self.longest:
                raise ValueError(f"a value has more than {self.longest:,} characters")
        self.nodes += 1
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, yaml.ScalarNode) and node.tag != _TEXT and len(node.value) > _LONGEST:
            raise ValueError(f"a number has more than {_LONGEST:,} characters")
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping from words, each given once."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if wrong := [key for key in keys if not isinstance(key, str)]:
            raise ValueError(f"a key is {type(wrong[0]).__name__}, not a word")
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(keys):
            raise ValueError(f"the key {collections.Counter(keys).most_common(1)[0][0]!r} is there twice")
        return mapping


class _Words(_Values):
    """Every value as it was written, but for an empty one."""

    largest, longest = 2**18, _LONGEST


def _resolvers(tags: tuple[str, ...]) -> dict[str, list[Any]]:
    known, wanted = yaml.SafeLoader.yaml_implicit_resolvers, {f"tag:yaml.org,2002:{tag}" for tag in tags}
    return {first: [rule for rule in rules if rule[0] in wanted] for first, rules in known.items()}


_Values.yaml_implicit_resolvers = _resolvers(_PLAIN)
_Words.yaml_implicit_resolvers = _resolvers(("null",))


def text(path: Path, largest: int) -> str:
    """The text in a file of at most so many bytes. Raises: ValueError, beginning with the path, for anything else."""
    try:
        if not path.is_file():  # a pipe would never end
            raise ValueError(f"{path}: {'not a file' if path.exists() else 'not there'}")
        with path.open("rb") as file:
            content = file.read(largest + 1)
        _require_size(path, len(content), largest)
        return content.decode()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None


def yaml_settings(path: Path, *, as_written: bool = False) -> dict[str, Any]:
    """A mapping from names to None, bool, int, float, str, lists or mappings of them, out of a YAML file.

    Args:
        as_written: every value but an empty one as the words that stand there, so that `off` is not False.
    Raises: ValueError in one line, beginning with the path, for anything else.
    """
    loader = _Words if as_written else _Values
    return _parsed(path, text(path, loader.largest), loader)


def written(path: Path, settings: dict[str, Any]) -> str:
    """Settings as the text of a YAML file, from which `yaml_settings` reads the same again.

    Raises: ValueError in one line, beginning with the path, for settings that it would not read again.
    """
    content = yaml.safe_dump(settings, sort_keys=False)
    try:
        _require_size(path, len(content.encode()), _Values.largest)
        again = _parsed(path, content, _Values)
    except ValueError as error:
        raise ValueError(f"{error}: {_longest(settings)!r} could not be read again") from None
    if again != settings:
        changed = next(name for name in settings if again.get(name) != settings[name])
        raise ValueError(f"{path}: {changed!r} would be read as another value")
    return content


def _longest(settings: dict[str, Any]) -> str:
    """The name of the setting that takes the most room."""
    return max(settings, key=lambda name: len(repr(settings[name])))


def _require_size(path: Path, size: int, largest: int) -> None:
    if size > largest:
        raise ValueError(f"{path}: larger than {largest:,} bytes")


def _parsed(path: Path, content: str, loader: type[_Values]) -> dict[str, Any]:
    try:
        values = yaml.load(content, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {_told(error)}") from None
    return _mapping(path, values)


def json_settings(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file. Raises: ValueError in one line, beginning with the path, for anything else."""
    content = text(path, _LARGEST)
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {_told(error)}") from None
    return _mapping(path, values)


def _told(error: Exception) -> str:
    """What a parser found, in one line."""
    found = [getattr(error, name, None) for name in ("context", "problem")]
    mark = getattr(error, "problem_mark", None)
    told = " ".join(", ".join(filter(None, found)).split() or str(error).split())[:200]
    return f"{told} in line {mark.line + 1}, column {mark.column + 1}" if mark else told


def _mapping(path: Path, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{path}: must hold `key: value` lines, got {type(values).__name__}")
    return values
