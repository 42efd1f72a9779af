"""What ``mtpo explore`` refuses to do together, writes into a ledger, and tells of explorations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mtpo_core.cli.common import out, plural, usage
from mtpo_core.cli.covered import show_coverage
from mtpo_core.cli.ending import Ending, show_verdict
from mtpo_core.cli.sized import extent_line

_OF: Final = {
    "--goal": (("--live",), "whole runs"),
    "--may": (("--live",), "whole runs"),
    "--seed": (("--walks", "--footprints"), "random walks"),
    "--depth": (("--walks",), "random walks"),
}
"""Options that are for others, and what those are."""


def check_what_goes_together(modes: Mapping[str, Any], options: Mapping[str, Any], default: bool) -> None:
    """Refuse options that mean nothing beside others; ``default``: no engine, symmetry or number of jobs is chosen."""
    for option, (of, what) in _OF.items():
        if options[option] not in (None, []) and not any(modes[one] for one in of):
            raise usage(f"{option} is for {what}: add {' or '.join(of)}")
    others = [one for one in modes if modes[one]]
    if modes["--live"] and (not default or others != ["--live"]):
        raise usage(
            "--live keeps every step, with the python engine: leave out --engine, --symmetry, --jobs, --coverage, "
            "--walks and --footprints"
        )
    if modes["--walks"] and (not default or others != ["--walks"] or options["--record"] is not None):
        raise usage(
            "--walks shows nothing of all states: leave out --engine, --symmetry, --jobs, --coverage, --footprints and "
            "--record"
        )
    if modes["--coverage"] and not default:
        raise usage("--coverage looks at every state with the python engine: leave out --engine, --symmetry and --jobs")
    if modes["--footprints"]:
        if options["--checkpoint"] is not None:
            raise usage(
                "footprints that are drawn are not saved: leave out --checkpoint, or explore without --footprints"
            )
        beside = ["--record"] if options["--record"] is not None else []
        if beside := [one for one in others if one != "--footprints"] + beside:
            raise usage(f"--footprints shows nothing of all states: leave out {' and '.join(beside)}")


def note_what_holds(ledger: Path, spec: Any, verdicts: list[Any]) -> None:
    """Write what holds into a ledger."""
    from mtpo.proofs.ledger import entries_of, record
    from mtpo.proofs.verdicts import Status

    english = {p.id: p.doc for p in spec.properties.values()}
    record(ledger, entries_of([v for v in verdicts if v.status is Status.CHECKED], english))


def tell_explored(found: list[Any], covered: list[Any], limit: int, spec: str, ending: Ending) -> int:
    """Tell of explorations, and of what they exercised; return the exit code."""
    from mtpo.proofs.pictures.shown import kinds_of
    from mtpo.proofs.verdicts import EXIT_CODES

    def data() -> dict[str, Any]:
        told: dict[str, Any] = {"explorations": [_data(result, spec) for result in found]}
        return told | ({"coverage": [c.as_json() for c in covered]} if covered else {})

    def show() -> None:
        for result in found:
            _show(result, limit)
            for line in _not_looked_at(result.instance.spec, spec):
                out.print(line, markup=False)
        for one in covered:
            show_coverage(one)

    verdicts = [v for result in found for v in result.verdicts]
    return ending.tell(
        verdicts, f"{spec}: {kinds_of(verdicts)}", data, show, *(EXIT_CODES.get(c.status, 0) for c in covered)
    )


def _data(result: Any, spec: str) -> dict[str, Any]:
    """An exploration as data, with what it does not look at, and which command does."""
    of = result.instance.spec
    beside = {"variants": list(of.variants), "endings": list(of.endings), "command": f"mtpo prove {spec}"}
    return {**result.as_json(), "not_looked_at": beside if of.variants or of.endings else None}


def _not_looked_at(of: Any, spec: str) -> Iterator[str]:
    """A line of the variants and endings of a spec, if it has any: no exploration asks whether runs end."""
    variants, endings = ", ".join(of.variants), ", ".join(of.endings)
    kind = "variant" if len(of.variants) == 1 else "variants"
    named = [f"{ids} ({what})" for ids, what in ((variants, kind), (endings, "runs end")) if ids]
    if named:
        yield f"not looked at: {'; '.join(named)}. `mtpo prove {spec}` does"


def _show(result: Any, limit: int) -> None:
    from mtpo.proofs.evidence import extent

    rate = f"{result.states / max(result.seconds, 1e-9):,.0f} states/s"
    by = result.engine if result.parts < 2 else f"{result.engine}, {plural(result.parts, 'part')}"
    by += f", {result.jobs} processes" if result.jobs > 1 else ""
    out.print(extent_line(result.instance, result.initial))
    out.print(
        f"{plural(result.states, 'state')}, {plural(result.transitions, 'step')}, depth {result.depth}, "
        f"{result.seconds:.1f} s ({rate}; {by}), {_extent(result, limit)}"
    )
    for v in result.verdicts:
        show_verdict(v, v.detail.get("why") or (extent(v.detail) if v.detail else ""))


def _extent(result: Any, limit: int) -> str:
    """Whether all states were seen; else why there may be more of them than the limit."""
    if result.complete or not any("; stopped at the limit of " in v.detail.get("why", "") for v in result.verdicts):
        return "complete" if result.complete else "not complete"
    begun = "state" if result.engine == "python" and result.parts < 2 else "level"
    return f"not complete: stopped at --limit {limit:,}, when the {begun} under way was finished"
