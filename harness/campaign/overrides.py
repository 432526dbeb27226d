"""`--set duration=10s`: one value of a campaign, given on the command line instead of in the file."""

from __future__ import annotations

from typing import Any

from ..errors import CampaignError, shown
from ..user_files.renamed import check_option
from ..user_files.yaml_bounds import MOST_DEPTH
from ..user_files.yaml_loader import Location, parse_yaml


def override(data: dict[str, Any], given: str) -> tuple[Location, str]:
    """Apply `given` (`key=value`). Returns its place in `data`, and the option to name in errors."""
    name, separator, text = given.partition("=")
    if not separator or not name:
        raise CampaignError(
            f"--set {shown(given)} is not key=value",
            hint="for example --set duration=10s or --set system.flaws='[ack-before-fsync]'",
        )
    option = f"--set {name[:80]}"
    check_option(option, name)
    try:
        value, _ = parse_yaml(text, option)
    except CampaignError as error:
        reason = error.message.removeprefix(option).lstrip(":0123456789 ")
        raise CampaignError(
            f"{option}: the value {shown(text)} is {reason}", hint=f"{error.hint}; quote it for YAML too"
        ) from None
    *parents, last = name.split(".")
    if len(parents) >= MOST_DEPTH:
        raise CampaignError(
            f"{option}: there is no field {len(parents)} levels deep", hint="name a field, such as hosts.nodes"
        )
    place: Any = data
    location: list[str | int] = []
    for part in parents:
        place = _descend(place, part, option, location)
    key: str | int = last
    if isinstance(place, list):
        key = _index(place, last, option)
        if isinstance(place[key], dict) and last in place[key]:
            location.append(key)
            place, key = place[key], last
    place[key] = value
    return (*location, key), option


def _descend(place: Any, part: str, option: str, location: list[str | int]) -> Any:
    """One step of a dotted name. An item of a list is named by its position, or by its one key (`workloads.register.clients`)."""
    if isinstance(place, list):
        index = _index(place, part, option)
        location.append(index)
        child = place[index]
        if not isinstance(child, dict) or part not in child:
            return _inner(child, part, option)
        place = child
    location.append(part)
    if place.get(part) is None:
        place[part] = {}
    return _inner(place[part], part, option)


def _inner(child: Any, part: str, option: str) -> Any:
    if not isinstance(child, dict | list):
        raise CampaignError(f"{option}: {shown(part)} is a value, not a mapping", hint="set the whole of it instead")
    return child


def _index(place: list[Any], part: str, option: str) -> int:
    for index, item in enumerate(place):
        if part == str(index) or (isinstance(item, dict) and part in item):
            return index
    raise CampaignError(f"{option}: no item {shown(part)} in the list", hint="use its position, from 0, or its one key")
