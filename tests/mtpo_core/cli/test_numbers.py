"""Options that are numbers: plain digits only, whichever verb they are of."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mtpo_core.cli import VERBS
from mtpo_core.cli.numbers import decimal, kinds_of, whole

Mtpo = Callable[..., Any]


def numbers() -> Iterator[tuple[str, str, type]]:
    """Each option of a verb that is a number, with its type."""
    for verb in VERBS:
        body = getattr(importlib.import_module(f"mtpo_core.cli.{verb}"), f"{verb}_command")
        for name, parameter in inspect.signature(body, eval_str=True).parameters.items():
            for kind in {int, float} & set(kinds_of(parameter.annotation)):
                info = parameter.annotation.__metadata__[0]
                own = next((text for text in (info.default, *(info.param_decls or ())) if str(text)[:2] == "--"), None)
                yield verb, own or f"--{name.replace('_', '-')}", kind


@pytest.mark.parametrize(("verb", "option", "kind"), list(numbers()))
def test_no_option_takes_what_only_python_reads_as_a_number(mtpo: Mtpo, verb: str, option: str, kind: type) -> None:
    what = "whole number in plain digits, such as 10" if kind is int else "number in plain digits, such as 10 or 0.5"
    for text in ("1_0", " 10", "+10", "\u0661", "ten", ""):
        said = mtpo(verb, option, text)
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert said.err.startswith(f"mtpo: {verb}: Invalid value for '{option}': {text!r} is no {what}; ")


def test_every_kind_of_verb_has_some() -> None:
    assert {"simulate", "explore", "verify", "prove", "log", "calibrate"} <= {verb for verb, _, _ in numbers()}


@pytest.mark.parametrize("text", ["0", "10", "007", "-1"])
def test_plain_digits_are_numbers(text: str) -> None:
    assert whole(text) == decimal(text) == int(text)


@pytest.mark.parametrize("text", ["0.5", ".5", "5.", "1e-3", "-2.5E+3", "inf"])
def test_so_are_fractions_where_they_may_be(text: str) -> None:
    assert decimal(text) == float(text)
    with pytest.raises(ValueError, match="no whole number in plain digits"):
        whole(text)


@pytest.mark.parametrize("text", ["", "-", ".", "1e", "1_0.0", "\uff11", "1\n", "0x10", "1,0", "infinity"])
def test_nothing_else_is(text: str) -> None:
    for read in (whole, decimal):
        with pytest.raises(ValueError, match="in plain digits"):
            read(text)


def test_elements_of_a_sort_are_plain_digits_too(mtpo: Mtpo) -> None:
    said = mtpo("explore", "kv", "--size", "\u0663")
    assert said.code == 2 and "wants a number from 1 to 6" in said.err
