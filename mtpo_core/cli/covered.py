"""What an exploration exercised, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mtpo_core.cli.common import out, plural, usage


def measure(
    instance: Any, initial: Any, limit: int, listed: Mapping[str, str], tell: Callable[[int, int], None]
) -> Any:
    """What is exercised of an instance; ``listed`` is what the spec's file says is unreachable."""
    from mtpo.proofs.exploration.coverage import UNREACHABLE, coverage, ids_of

    unknown = listed.keys() - ids_of(instance.spec)
    if unknown:
        raise usage(
            f"UNREACHABLE names nothing of {instance.spec.name}: {', '.join(sorted(unknown))}; "
            "write SPEC.ACTION taken, SPEC.ACTION.CLAUSE true or false, SPEC.ACTION.VARIABLE:= change"
        )
    return coverage(instance, initial, limit=limit, unreachable={**UNREACHABLE, **listed}, progress=tell)


def show_coverage(found: Any) -> None:
    """A line for each action, and one for whatever of it was not exercised; ``--json`` lists everything."""
    out.print(f"\ncoverage of {found.instance.spec.name} in {plural(found.states, 'state')}")
    for action in (line for line in found.lines if line.kind == "action"):
        own = [line for line in found.lines if line.id.startswith(f"{action.id}.")]
        guard, updates = ([line for line in own if line.kind == kind] for kind in ("guard", "update"))
        both, change = (sum(not set(line.wanted) - line.seen for line in lines) for lines in (guard, updates))
        said = (
            f"{both} of {plural(len(guard), 'conjunct')} true and false, {change} of {plural(len(updates), 'update')}"
        )
        word = "exercised" if action.count else "NEVER" if action.missing else "listed"
        out.print(f"{word:<10} {action.id:<36} {plural(action.count, 'step')}, {said}")
        for line in own:
            for value in line.missing:
                out.print(f"{'NEVER' if found.complete else 'not so far':<10}   {line.id} {value}: {line.what}")
        for line in (action, *own):
            for value, why in line.listed.items():
                word = "MISLISTED" if value in line.seen else "listed"
                out.print(f"{word:<10}   {line.id} {value}: {why}")
    wanted = sum(len(line.wanted) for line in found.lines)
    seen = sum(value in line.seen for line in found.lines for value in line.wanted)
    out.print(f"{seen} of {wanted} exercised, {len(found.missing)} never, {wanted - seen - len(found.missing)} listed")
    idle = [line.id for line in found.lines if line.decisive is False]
    if idle:
        out.print(f"never alone in forbidding a step at these sizes: {', '.join(idle)}")
