"""An ablation as text: a matrix of rules and properties, or a list with the runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mtpo_core.cli.common import plural


def matrix(spec: Any, rows: Sequence[Any], width: int) -> list[str]:
    """Rules against the properties that break without some of them, a number the steps of a shortest run, and what each
    says. Nothing where it is wider than ``width``, or there are no two rules, or nothing breaks."""
    docs = {p.id: p.doc for p in spec.claims.values()}
    ids = [id for id in docs if any(id in row.broken for row in rows)]
    names = [id.removeprefix(f"{spec.name}.") for id in ids]
    longest = max((len(trace.steps) for row in rows for trace in row.broken.values()), default=0)
    digits = len(str(max(longest, len(ids))))
    numbers = [f"{number:>{digits}}" for number in range(1, len(ids) + 1)]
    first = max(len(row.rule.id) for row in rows)
    named, numbered = [f"  {name}" for name in names], [f" {number}" for number in numbers]
    heads = named if first + len("".join(named)) <= width else numbered
    if len(rows) < 2 or not ids or first + len("".join(heads)) > width:
        return []
    lines = [" " * first + "".join(heads)]
    for row in rows:
        cells = (str(len(row.broken[id].steps)) if id in row.broken else "." for id in ids)
        marks = "".join(f"{cell:>{len(head)}}" for cell, head in zip(cells, heads, strict=True))
        lines.append("  ".join([f"{row.rule.id:<{first}}{marks}", *_remarks(spec, row)]))
    says = [docs[id] for id in ids]
    legend = zip(names, says, strict=True) if heads is named else zip(numbers, ids, says, strict=True)
    rules = [(row.rule.id, f"{row.rule.english} ({row.rule.source})") for row in rows]
    return [*lines, "", *_aligned(rules), "", *_aligned(list(legend))]


def listing(spec: Any, rows: Sequence[Any], traces: bool) -> Iterator[str]:
    """Rule by rule what breaks, the shortest run first, with the runs if they are wanted."""
    from mtpo.proofs.mutants.ablate import why_broken

    for row in rows:
        yield f"{row.rule.id:<14} {row.rule.english} ({row.rule.source})"
        yield from (f"{'':<14} {remark}" for remark in _remarks(spec, row))
        for id, trace in sorted(row.broken.items(), key=lambda item: len(item[1].steps)):
            yield f"{'':<14} {id:<36} {len(trace.steps):>2} step{'' if len(trace.steps) == 1 else 's'}"
            if traces:
                yield from (f"{'':<18} {line}" for line in (*trace.lines(), *why_broken(trace, id)))


def summary(rows: Sequence[Any]) -> str:
    """How many rules there are, and how many of them are for nothing."""
    idle, unknown = sum(row.idle for row in rows), sum(row.unknown for row in rows)
    equivalent = sum(not row.broken for row in rows) - idle - unknown
    tail = f", {equivalent} equivalent" if equivalent else ""
    tail += f", {unknown} unknown" if unknown else ""
    return f"{plural(len(rows), 'rule')}, {idle} break{'s' if idle == 1 else ''} nothing when dropped{tail}"


def _remarks(spec: Any, row: Any) -> Iterator[str]:
    """What is to be said of a row besides its numbers."""
    looked = f"{plural(row.states, 'state')}{'' if row.complete else ', not all'}"
    if row.idle or row.unknown:
        yield f"{'BREAKS NOTHING' if row.idle else 'UNKNOWN: nothing breaks'} in {looked}"
    elif not row.broken:
        yield f"breaks nothing in {looked}; listed: {row.reason}"
    elif not row.complete:
        yield f"(in {looked})"
    for id, trace in row.broken.items():
        of = trace.instance.spec
        if of.name != spec.name:
            yield f"of {of.name}, for ever: {id}, {plural(len(trace.steps), 'step')} to where it was; {of.doc}"


def _aligned(table: Sequence[tuple[str, ...]]) -> list[str]:
    """A line for each row, the columns one below the other."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)).rstrip() for row in table]
