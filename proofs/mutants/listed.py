"""Lists of mutants that change nothing, each with the reason: which mutant an entry is of, and whether it still is.

An entry is named by the mutant's id and a digest of what the rule says before and after: ``ID@DIGEST``. The number at
the end of an id counts the places of a rule, so an edit of the rule may give it to another mutant, which nobody has
thought about; the digest is then another one. Where an id has no number, the digest may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

_NUMBERED: Final = re.compile(r"[~/]\d+$")


class WronglyListed(ValueError):
    """An entry that is of no mutant, or not of the one that it was written for; the message says what to do."""


class Listable(Protocol):
    """A mutant, as far as a list is concerned."""

    @property
    def id(self) -> str:
        """``SPEC.ACTION.CLAUSE`` and the like."""

    @property
    def digest(self) -> str:
        """A few letters for what the rule says before and after."""

    @property
    def what(self) -> str:
        """What is dropped or altered, in words."""


def key_of(mutant: Listable) -> str:
    """Under what a mutant is listed: ``ID@DIGEST``."""
    return f"{mutant.id}@{mutant.digest}"


def reason_for(mutant: Listable, listed: Mapping[str, str]) -> str:
    """Why a mutant changes nothing, if it is listed; else nothing. A digest of another rule lists another mutant."""
    bare = "" if _NUMBERED.search(mutant.id) else listed.get(mutant.id, "")
    return listed.get(key_of(mutant), bare)


def check_listed(listed: Iterable[str], mutants: Iterable[Listable], name: str = "EQUIVALENT") -> None:
    """That every entry of a list (its keys) is of one of the mutants. Raises :class:`WronglyListed`."""
    known = {mutant.id: mutant for mutant in mutants}
    moved = {(_action(mutant.id), mutant.digest): mutant for mutant in known.values()}
    keys = sorted(listed)
    for key in keys:
        id, _, digest = key.partition("@")
        mutant, other = known.get(id), moved.get((_action(id), digest))
        if mutant is not None and (digest == mutant.digest or not (digest or _NUMBERED.search(id))):
            continue
        if other is not None:
            raise WronglyListed(f"{name}: what {key} was is {other.id} now: write {key_of(other)}")
        if mutant is not None and not digest:
            raise WronglyListed(
                f"{name}: {id} has a number, which may become another's: if this is the one ({mutant.what}), "
                f"write {key_of(mutant)}"
            )
        if mutant is not None:
            raise WronglyListed(
                f"{name}: the rule of {key} says something else now: if {id} ({mutant.what}) still changes nothing, "
                f"write {key_of(mutant)}; else take it out"
            )
    none = [key for key in keys if key.partition("@")[0] not in known]
    if none:
        raise WronglyListed(f"{name} names no mutant: {', '.join(none)}")


def _action(id: str) -> str:
    return ".".join(id.split(".")[:2])
