"""How ``mtpo verify`` tells a judgment: the first cause, how much may follow from it, and values as what they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from mtpo_core.cli.common import plural

if TYPE_CHECKING:
    from mtpo.proofs.certificate import Property
    from mtpo_core.log import LoggedRun
    from mtpo_core.problems import Problem

_RECORD: Final = re.compile(r"record (\d+)")
_STOPPED: Final = re.compile(r"decided up to record \d+, which can't be understood")
_SHORT: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?![0-9a-f])")
_SHOWN: Final = 40
"""Characters of a value that stand in the place of its digest; of a longer one the digest stays."""

_LONG: Final = 100
"""Characters of a violation that is told once."""


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
    stopped = [] if every else [row for row in properties if _STOPPED.search(row.note)]
    lines = [_row(row) for row in properties if row not in stopped]
    for note in dict.fromkeys(row.note for row in stopped):
        some = [row for row in stopped if row.note == note]
        if len(some) == 1:
            lines.append(_row(some[0]))
        else:
            many = f"{len(some)} further properties"
            lines.append(f"incomplete  {many:<30} {note} (--all names them)")
    return lines


def _row(row: Property) -> str:
    return f"{row.verdict:<11} {row.id:<30} {row.english}{f' [{row.note}]' if row.note else ''}"


def violations(problems: Iterable[Problem], unfinished: Iterable[Problem], every: bool) -> list[str]:
    """What is violated, and what is not decided. What is wrong with the log itself is told in full; of all else the
    first by record, and how much was found after it, which may follow from it, unless all is wanted."""
    found, open_ = list(problems), list(unfinished)
    if every:
        return [f"violated    {one}" for one in found] + [f"incomplete  {one}" for one in open_]
    of_log = [one for one in found if one.property.startswith("log.")]
    later = sorted((one for one in found if one not in of_log), key=_place)
    if not of_log and later:
        of_log, later = later[:1], later[1:]
    lines = [f"violated    {one}" for one in of_log]
    # That the rules stop at a record says no more than that the record is wrong.
    rest = [one for one in open_ if not (of_log and one.property == "run.unjudged")]
    if later:
        kinds = Counter(one.property for one in later)
        listed = ", ".join(f"{count} {id}" for id, count in kinds.items())
        lines.append(
            f"            {plural(len(later), 'violation')} more, which may follow ({listed}); --all names each"
        )
    return lines + [f"incomplete  {one}" for one in rest]


def told_once(verdict: str, problems: Iterable[Problem], lines: Sequence[str]) -> str:
    """The verdict, in which a violation that a line tells in full, and that is long, is named and not told again."""
    for one in problems:
        full = str(one)
        if len(full) > _LONG and full in verdict and any(full in line for line in lines):
            verdict = verdict.replace(full, f"{one.property}: {one.where}, told above")
    return verdict


def _place(problem: Problem) -> tuple[float, Any]:
    """Records first, in their order; then what is said of the run as a whole."""
    match = _RECORD.match(problem.where)
    return (float(match[1]), "") if match else (float("inf"), "")
