"""What may be given to a spec that is asked in a notebook: each option is of the type that :mod:`mtpo.spec.study`
declares, and of the range that the command of that name has."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mtpo.proofs.notebook.answers import StudyError

_WORDS: Final[Mapping[Any, str]] = {
    bool: "True or False",
    int: "a whole number",
    float: "seconds",
    Path: "a path",
    str: "a text",
    Sequence: "texts",
    Mapping: "reasons by id, such as {'ID': 'because ...'}",
    Callable: "a function",
}
"""What an option of a type is; what is no whole number is a time."""

_HERE: Final[Mapping[str, str]] = {"every": "checkpoint_every"}
"""Options with a range whose name is another than on the command line."""


def checked(of: str, asked: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was ``asked`` with, places as paths and texts as tuples. Raises :class:`StudyError`, which begins with whom
    it is asked ``of``."""
    hints, ranges = typing.get_type_hints(asked), dict(_ranges(asked.__name__))
    made: dict[str, Any] = {}
    for name, parameter in inspect.signature(asked).parameters.items():
        if name == "self":
            continue
        value, hint = given[name], hints[name]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            made[name] = {key: _one(of, key, hint, one, None) for key, one in value.items()}
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            made[name] = tuple(_one(of, name, hint, one, None) for one in value)
        else:
            made[name] = _one(of, name, hint, value, ranges.get(name))
    return made


def _one(of: str, name: str, hint: Any, value: Any, among: tuple[float | None, float | None] | None) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    inside = value is None or among is None or _inside(value, among)
    if not any(_fits(kind, value) for kind in kinds) or not inside:
        raise StudyError(f"{of}: {name}={value!r}: wants {_wanted(kinds, among)}")
    origins = [typing.get_origin(kind) for kind in kinds]
    if Mapping in origins:
        return {} if value is None else value
    if Sequence in origins:
        return (value,) if isinstance(value, str) else tuple(value)
    return Path(value) if Path in kinds and value is not None else value


def _fits(kind: Any, value: Any) -> bool:
    """Whether it is of a type; a truth is no number, and one text stands for several."""
    origin = typing.get_origin(kind)
    if origin is Sequence:
        several = isinstance(value, Collection) and not isinstance(value, Mapping)
        return several and all(isinstance(text, str) for text in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)
    if origin is Callable:
        return callable(value)
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return isinstance(value, kind)


def _inside(value: Any, among: tuple[float | None, float | None]) -> bool:
    least, most = among
    if not isinstance(value, int | float):
        return True
    return (least is None or value >= least) and (most is None or value <= most)


def _wanted(kinds: Sequence[Any], among: tuple[float | None, float | None] | None) -> str:
    named = dict.fromkeys(typing.get_origin(kind) or kind for kind in kinds)
    if Path in named or Sequence in named:
        named.pop(str, None)
    wanted = " or ".join(_WORDS[kind] for kind in named if kind in _WORDS)
    ends = zip(("at least", "at most"), among or (), strict=False)
    said = " and ".join(f"{end} {number:,g}" for end, number in ends if number is not None)
    return f"{wanted}{',' if float in named else ' of'} {said}" if said else wanted


def _ranges(verb: str) -> Iterator[tuple[str, tuple[float | None, float | None]]]:
    """The ranges that the numbers of a command have, by the names that they have here."""
    command = getattr(importlib.import_module(f"mtpo_core.cli.{verb}"), f"{verb}_command")
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        for option in typing.get_args(parameter.annotation)[1:]:
            if option.min is not None or option.max is not None:
                yield _HERE.get(name, name), (option.min, option.max)
