"""Footprints drawn at random, each explored to the end, for ``mtpo explore --footprints``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mtpo_core.cli.common import out, plural, progress, usage
from mtpo_core.cli.ending import Ending, show_verdict


def drawn_footprints(
    made: Iterable[tuple[Any, Any, Any]], count: int, seed: int, limit: int, jobs: int | None, ending: Ending
) -> int:
    """Explore so many footprints of each instance, tell of them, and return the exit code."""
    from mtpo.proofs.exploration.footprints import explore_footprints
    from mtpo.proofs.exploration.instances import is_mtpo

    found = []
    for spec, instance, _ in made:
        if not is_mtpo(spec):
            raise usage(f"--footprints is for mtpo: {spec.name} has none; --walks looks at states of any spec")
        with progress(f"exploring {plural(count, 'footprint')} of {spec.name}", ending.json) as tell:

            def told(now: Any, tell: Any = tell) -> None:
                tell(now.text(count))

            found.append(explore_footprints(instance, count, seed=seed, limit=limit, jobs=jobs, progress=told))
    verdicts = [v for result in found for v in result.verdicts]

    def show() -> None:
        for result in found:
            _show(result)

    data = {"footprints": [result.as_json() for result in found]}
    return ending.tell(verdicts, "what footprints that were drawn violate", lambda: data, show)


def _show(result: Any) -> None:
    sizes = ", ".join(f"{n} {sort.__name__}" for sort, n in result.instance.sizes.items())
    of = f"{plural(result.drawn, 'footprint')} of {result.total:,}, seed {result.seed}"
    states, mean = result.found.states, round(result.found.states / result.drawn)
    most = max(result.states, default=0)
    how = ", each exhaustively" if result.explored == result.drawn else ""
    sample = f"{plural(result.drawn, 'footprint')} of {result.total:,}{how}, seed {result.seed}"
    extent = f"{sample}, {plural(states, 'state')} to depth {result.found.depth}, symmetry off"
    whole = "" if result.explored == result.drawn else f"; {result.explored:,} of them explored to the end"
    whole += f", {result.cut:,} cut at --limit" if result.cut else ""
    by = f"; {result.jobs} processes" if result.jobs > 1 else ""
    out.print(f"{result.instance.spec.name}: {sizes}; {of}{whole}")
    out.print(
        f"{plural(states, 'state')}, {plural(result.found.transitions, 'step')}, depth {result.found.depth}, "
        f"{result.seconds:.1f} s (numpy{by}); a footprint has {mean:,} on average, {most:,} at most"
        + ("" if result.explored < result.drawn else f": about {mean * result.total:,} in all")
    )
    for v in result.verdicts:
        show_verdict(v, v.detail.get("why") or (v.clause if v.trace else extent))
    for what, ids in (
        ("never taken", [name for name, taken in result.found.taken.items() if not taken]),
        ("never reached", result.unreached),
    ):
        if ids:
            out.print(f"{what} in these footprints: {', '.join(ids)}")
