"""Numbers on a command line: plain digits, and nothing else that Python or a library reads as a number, such as
``1_0``, ``+5``, ``5.0`` for a whole one, or digits of another script."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

import typer
from typer.core import TyperCommand

_WHOLE: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_FIGURE: Final = frozenset({"inf", "-inf", "nan"})
"""What an option refuses in its own words, by the range that it has."""


def whole(text: str) -> int:
    """A whole number. ValueError for what is none in plain digits."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no whole number in plain digits, such as 10")
    return int(text)


def decimal(text: str) -> float:
    """A number. ValueError for what is none in plain digits."""
    if text not in _NO_FIGURE and not _DECIMAL.fullmatch(text):
        raise ValueError(f"{text!r} is no number in plain digits, such as 10 or 0.5")
    return float(text)


class PlainNumbers(TyperCommand):
    """A verb: of the options that are numbers it takes those that are written in plain digits."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        readers = _readers(self.callback)
        param: Any
        for param in self.params:
            read, found = readers.get(param.name), given.get(param.name)
            for text in found if isinstance(found, list | tuple) else [found]:
                if read is not None and isinstance(text, str):
                    try:
                        read(text)
                    except ValueError as error:
                        raise typer.BadParameter(str(error), ctx=ctx, param=param) from None
        return super().parse_args(ctx, args)


def _readers(verb: Callable[..., Any] | None) -> Mapping[str, Callable[[str], object]]:
    """How to read those parameters of a verb that are numbers, or lists of some."""
    signature = inspect.signature(verb, eval_str=True) if verb else None
    found: dict[str, Callable[[str], object]] = {}
    for name, parameter in signature.parameters.items() if signature else ():
        kinds = set(kinds_of(parameter.annotation))
        if kinds & {int, float}:
            found[name] = decimal if float in kinds else whole
    return found


def kinds_of(annotation: Any) -> typing.Iterator[Any]:
    """The types in an annotation: int and None in ``Annotated[int | None, ...]``."""
    if typing.get_origin(annotation) is typing.Annotated:
        yield from kinds_of(typing.get_args(annotation)[0])
    elif parts := typing.get_args(annotation):
        for part in parts:
            yield from kinds_of(part)
    else:
        yield annotation
