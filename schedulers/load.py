"""Step policies by name: a built-in one, ``sarathi:512``, or a user's own class, ``module:Class``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from mtpo.schedulers.step.sarathi import Sarathi
from mtpo.schedulers.types import StepPolicy


class PolicyError(ValueError):
    """A policy that can't be loaded; the message says in one line which and why."""


def _sarathi(argument: str) -> StepPolicy:
    try:
        return Sarathi(int(argument)) if argument else Sarathi()
    except ValueError:
        raise PolicyError(f"policy 'sarathi:{argument}': the token budget must be a whole number from 1") from None


NAMED: Final[Mapping[str, Callable[[str], StepPolicy]]] = MappingProxyType({"sarathi": _sarathi})
"""Built-in policies; each takes what follows the colon, empty when there is none."""


def load_policy(name: str) -> StepPolicy:
    """A built-in policy, ``NAME`` or ``NAME:ARGUMENT``, or an instance of the class in ``MODULE:CLASS``.

    Raises :class:`PolicyError`.
    """
    head, colon, tail = name.partition(":")
    if head in NAMED:
        return NAMED[head](tail)
    if not (head and colon and tail):
        raise PolicyError(f"policy {name!r} is not known; known: {', '.join(NAMED)}, or module:Class")
    try:
        module = importlib.import_module(head)
    except Exception as error:  # noqa: BLE001  whatever a user's module raises while it is imported
        raise PolicyError(f"policy {name!r}: module {head} can't be imported ({_line(error)})") from None
    found = getattr(module, tail, None)
    if not isinstance(found, type):
        raise PolicyError(f"policy {name!r}: module {head} has no class {tail}")
    try:
        policy = found()
    except Exception as error:  # noqa: BLE001  whatever a user's class raises
        raise PolicyError(f"policy {name!r}: {tail}() failed ({_line(error)})") from None
    if not callable(getattr(policy, "decide", None)):
        raise PolicyError(f"policy {name!r}: {tail} has no method decide(observation)")
    return policy  # type: ignore[no-any-return]


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
