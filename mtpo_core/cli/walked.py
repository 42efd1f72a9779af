"""Random walks, for ``mtpo explore --walks``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mtpo_core.cli.common import out, plural, progress, usage
from mtpo_core.cli.ending import Ending, show_verdict


def random_walks(made: Iterable[tuple[Any, Any]], walks: int, seed: int, depth: int | None, ending: Ending) -> int:
    """Walk in instances, each with what draws its initial states; tell of it, and return the exit code."""
    from mtpo.proofs.exploration.walks import DEPTH, walk

    found = []
    for instance, draw in made:
        if not instance.spec.role("invariant", "lemma", "step"):
            raise usage(f"{instance.spec.name}: no invariant or step property to check")
        with progress(f"walking in {instance.spec.name}", ending.json) as tell:

            def told(done: int, steps: int, tell: Any = tell) -> None:
                tell(f"{done:,} of {plural(walks, 'walk')}, {plural(steps, 'step')}")

            found.append(walk(instance, draw, walks=walks, seed=seed, depth=depth or DEPTH, progress=told))
    verdicts = [v for result in found for v in result.verdicts]

    def show() -> None:
        for result in found:
            _show(result)

    data = {"walks": [result.as_json() for result in found]}
    return ending.tell(verdicts, "what random walks violate", lambda: data, show)


def _show(result: Any) -> None:
    sizes = ", ".join(f"{n} {sort.__name__}" for sort, n in result.instance.sizes.items())
    extent = (
        f"{plural(result.walks, 'walk')}, {plural(result.steps, 'step')}, {plural(result.states, 'state')}, "
        f"depth {result.depth}, seed {result.seed}"
    )
    out.print(f"{result.instance.spec.name}: {sizes or 'no sorts'}")
    out.print(f"{extent}, {result.seconds:.1f} s")
    for v in result.verdicts:
        show_verdict(v, v.clause if v.trace else extent)
    for what, ids in (
        ("never taken", [name for name, count in result.taken.items() if not count]),
        ("never reached", result.unreached),
    ):
        if ids:
            out.print(f"{what} on these walks: {', '.join(ids)}")
