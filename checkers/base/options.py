"""Options that checkers declare, and how one checker reads its own.

    class BankChecker:
        options = (number("total", None, "what all accounts hold together"), flag("negative_balances", False, "…"))

    settings = settings_of(record, self)      # every declared option, with its default where none was given

`checkers/campaign_options.py` validates those of a campaign, for all checkers at once. An option that no checker declares, or an invalid bound
(negative, NaN, infinite, true instead of a number), is an error: if a checker ignored it, it could return valid although it never applied the bound.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .result import RunRecord


class OptionError(ValueError):
    """Options that no checker can apply. `message` names value and place, `hint` what is possible."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a checker.

    `accepts` returns what is wrong with a value, or None. `bound`: it is a limit that the user wants applied, so a checker that cannot apply it to a
    run is unknown. `shared`: it may also be given without the checker's name, for every checker that has it.
    """

    name: str
    accepts: Callable[[Any], str | None]
    default: Any
    description: str
    bound: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """Problem of one option. `path` is its place in the options, outermost first."""

    path: tuple[str, ...]
    message: str
    value: Any
    hint: str


def number(
    name: str, default: float | None, description: str, *, least: float | None = None, shared: bool = False
) -> Option:
    """Declare an option that is a finite number."""
    return Option(name, lambda value: _number(value, least), default, description, shared=shared)


def bound(name: str, default: float | None, description: str, *, shared: bool = False) -> Option:
    """Declare a limit: a finite number, not negative."""
    return Option(name, lambda value: _number(value, 0), default, description, bound=True, shared=shared)


def whole(name: str, default: int, description: str, *, least: int | None = None, shared: bool = False) -> Option:
    """Declare an option that is a whole number."""
    return Option(name, lambda value: _whole(value, least), default, description, shared=shared)


def flag(name: str, default: bool, description: str) -> Option:
    return Option(
        name, lambda value: None if isinstance(value, bool) else "must be true or false", default, description
    )


def choice(name: str, default: str, others: Sequence[str], description: str, *, shared: bool = False) -> Option:
    """Declare an option that is one of a few words."""
    known = (default, *others)
    wrong = f"must be {' or '.join(known)}"
    return Option(name, lambda value: None if value in known else wrong, default, description, shared=shared)


def names(name: str, description: str) -> Option:
    """Declare an option that is a list of different names. None: not given."""
    return Option(name, _names, None, description)


def _number(value: Any, least: float | None) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "must be a finite number"
    return f"must be {least:g} or more" if least is not None and value < least else None


def _whole(value: Any, least: int | None) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return "must be a whole number"
    return f"must be {least} or more" if least is not None and value < least else None


def _names(value: Any) -> str | None:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str | int) for item in value):
        return "must be a list of names"
    return "contains a name twice" if len(set(map(str, value))) < len(value) else None


class _Declares(Protocol):
    """A checker that may have `options`, a tuple of `Option`."""

    @property
    def name(self) -> str: ...


def declared(found: _Declares) -> tuple[Option, ...]:
    options: tuple[Option, ...] = getattr(found, "options", ())
    return options


def settings_of(record: RunRecord, found: _Declares) -> dict[str, Any]:
    """Return every option of a checker: as given under its name, else as given for all, else its default. Raises `OptionError`."""
    known, name = declared(found), found.name
    own = record.options.get(name, {})
    common = {option.name: option for option in known if option.shared and option.name in record.options}
    refuse(of_checker(name, own, known) if name in record.options else ())
    refuse(problem for option in common for problem in of_value((option,), record.options[option], common[option]))
    settings = {
        option.name: record.options.get(option.name) if option.name in common else option.default for option in known
    }
    return {**settings, **own}


def bounded(record: RunRecord, found: _Declares) -> bool:
    """Return whether a limit was given that this checker has to apply."""
    own = record.options.get(found.name)
    given = set(own) if isinstance(own, Mapping) else set()
    return any(
        option.bound and (option.name in given or (option.shared and option.name in record.options))
        for option in declared(found)
    )


def of_checker(name: str, value: Any, options: Sequence[Option]) -> Iterator[OptionProblem]:
    """Return what is wrong with the options that are given under a checker's name."""
    known = {option.name: option for option in options}
    if not known:
        yield OptionProblem((name,), f"checker {name!r} has no options", value, "leave it out")
    elif not isinstance(value, Mapping):
        hint = f"write {name}: {{{', '.join(f'{option}: …' for option in known)}}}"
        yield OptionProblem((name,), f"the options of checker {name!r} must be a mapping", value, hint)
    else:
        for option, given in value.items():
            if option not in known:
                hint = nearest(str(option), list(known))
                yield OptionProblem((name, option), f"checker {name!r} has no option {option!r}", given, hint)
            else:
                yield from of_value((name, option), given, known[option])


def of_value(path: tuple[str, ...], value: Any, option: Option) -> Iterator[OptionProblem]:
    """Return what is wrong with the value of one option."""
    wrong = option.accepts(value)
    if wrong is not None:
        yield OptionProblem(path, wrong, value, f"{option.name}: {option.description}")


def refuse(found: Iterable[OptionProblem]) -> None:
    """Raise `OptionError` for the first few problems, if there are any."""
    listed = list(found)
    if listed:
        lines = [f"option {'.'.join(map(str, one.path))}: {one.message} (got {one.value!r})" for one in listed[:5]]
        raise OptionError("\n".join(lines), "; ".join(dict.fromkeys(one.hint for one in listed[:5])))


def nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(sorted(known))}"
