"""How ``mtpo verify`` tells a judgment: the first cause, how much may follow from it, and values as what they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from mtpo.proofs.runs.runreport import NEEDS_END
from mtpo_core.causes import alike, in_order, is_damage
from mtpo_core.cli.common import plural

if TYPE_CHECKING:
    from mtpo.proofs.runs.certificate import Property
    from mtpo_core.log import LoggedRun
    from mtpo_core.problems import Problem

_SHORT: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?![0-9a-f])")
_SHOWN: Final = 40
"""Characters of a value that stand in the place of its digest; of a longer one the digest stays."""

_LONG: Final = 100
"""Characters of a violation that is told once."""

_LISTED: Final = 5
"""Places that are named of those that are counted."""

_MORE: Final = " " * 12


def named(text: str, run: LoggedRun) -> str:
    """A sentence with short digests replaced by what they are of: ``absent``, or a value that is short and one line."""
    known: dict[str, list[str]] = {}
    for digest in run.values:
        known.setdefault(digest[:8], []).append(digest)

    def shown(match: re.Match[str]) -> str:
        found = known.get(match[0], [])
        if len(found) != 1:
            return match[0]
        value = run.values[found[0]]
        if value is None:
            return "absent"
        try:
            content = value.decode()
        except UnicodeDecodeError:
            return match[0]
        said = repr(content)
        return said if len(said) <= _SHOWN and content.removesuffix("\n").isprintable() else match[0]

    return _SHORT.sub(shown, text)


def rows(properties: Sequence[Property], every: bool) -> list[str]:
    """One line for each property; those that one unreadable record left undecided are counted in one, unless all are
    wanted."""
    stopped = [] if every else [row for row in properties if row.verdict == "incomplete" and not _open_end(row)]
    lines = [_row(row) for row in properties if row not in stopped]
    for note in dict.fromkeys(row.note for row in stopped):
        some = [row for row in stopped if row.note == note]
        if len(some) == 1:
            lines.append(_row(some[0]))
        else:
            many = f"{len(some)} further properties"
            lines.append(f"incomplete  {many:<30} {note} (--all names them)")
    return lines


def _open_end(row: Property) -> bool:
    """Whether a run that goes on, or was cut short, leaves it open: that is no damage, and each such row is told."""
    return row.note.startswith(NEEDS_END)


def _row(row: Property) -> str:
    return f"{row.verdict:<11} {row.id:<30} {row.english}{f' [{row.note}]' if row.note else ''}"


def violations(problems: Iterable[Problem], unfinished: Iterable[Problem], every: bool) -> list[str]:
    """What is violated, and what is not decided: the cause, and how much was found besides, which may follow from it,
    unless all is wanted. Of damage to the log that is each kind of it, told once; else the first violation by record.
    That the log is not the one of a certificate follows from nothing, so it is told as well."""
    found, open_ = in_order(problems), list(unfinished)
    if every:
        return [f"violated    {one}" for one in found] + [f"incomplete  {one}" for one in open_]
    of_head = [one for one in found if one.property == "log.head"]
    damage = [one for one in found if is_damage(one)]
    others = [one for one in found if not is_damage(one) and one.property != "log.head"]
    cause, later = (damage, others) if damage else (others[:1], others[1:])
    lines = [line for kind in alike(cause) for line in _kind(kind)] + [f"violated    {one}" for one in of_head]
    if later:
        kinds = Counter(one.property for one in later)
        listed = ", ".join(f"{count} {id}" for id, count in kinds.items())
        lines.append(f"{_MORE}{plural(len(later), 'violation')} more, which may follow ({listed}); --all names each")
    # That the rules stop at a record says no more than that the record is wrong.
    return lines + [f"incomplete  {one}" for one in open_ if not (found and one.property == "run.unjudged")]


def _kind(problems: Sequence[Problem]) -> list[str]:
    """The first of several that say the same of one place each, and where the others are."""
    first, *others = problems
    lines = [f"violated    {first}"]
    if others:
        noun = others[0].where.rpartition(" ")[0]
        places = [one.where.rpartition(" ")[2] for one in others]
        listed = ", ".join(places[:_LISTED]) + (", ..." if len(places) > _LISTED else "")
        many = f"{noun}{'' if len(places) == 1 else 's'}"
        lines.append(f"{_MORE}{len(places):,} more {first.property} like it ({many} {listed}); --all names each")
    return lines


def told_once(verdict: str, problems: Iterable[Problem], lines: Sequence[str]) -> str:
    """The verdict, in which a violation that a line tells in full, and that is long, is named and not told again."""
    for one in problems:
        full = str(one)
        if len(full) > _LONG and full in verdict and any(full in line for line in lines):
            verdict = verdict.replace(full, f"{one.property}: {one.where}, told above")
    return verdict
