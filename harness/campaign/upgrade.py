"""Upgrade of a campaign with old words: they are replaced at their places in the text, and every other byte stays."""

from __future__ import annotations

from pathlib import Path

import yaml

from ..errors import CampaignError
from ..user_files.renamed import Old, Place, old_words
from ..user_files.yaml_bounds import BoundedLoader
from ..user_files.yaml_loader import parse_yaml

Span = tuple[int, int]


def upgraded(text: str, path: str | Path) -> tuple[str, list[Old]]:
    """The text in new words, and the old words that were in it. Raises `CampaignError` for invalid YAML, or an old word together with its new one."""
    data, _ = parse_yaml(text, path)
    found = list(old_words(data))
    if not found:
        return text, []
    spans = _spans(text)
    edits = {spans[old.place, old.is_key]: old for old in found if (old.place, old.is_key) in spans}
    for (start, end), old in sorted(edits.items(), reverse=True):
        text = text[:start] + text[start:end].replace(old.old, old.new, 1) + text[end:]
    data, positions = parse_yaml(text, path)
    for left in old_words(data):
        raise CampaignError(
            f"{positions.place(left.place, path)}: {left.message}, and cannot be rewritten automatically",
            hint="write the new word by hand",
        )
    return text, found


def _spans(text: str) -> dict[tuple[Place, bool], Span]:
    """Return where each key and each scalar is in the text; an alias is where its anchor is."""
    loader = BoundedLoader(text)
    try:
        found: dict[tuple[Place, bool], Span] = {}
        node = loader.get_single_node()
        if node is not None:
            _walk(node, (), found)
        return found
    finally:
        loader.dispose()


def _walk(node: yaml.Node, place: Place, found: dict[tuple[Place, bool], Span]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found[(*place, key.value), True] = (key.start_mark.index, key.end_mark.index)
            _walk(value, (*place, key.value), found)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*place, index), found)
    else:
        found[place, False] = (node.start_mark.index, node.end_mark.index)
