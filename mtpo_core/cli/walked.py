"""Random walks, for ``mtpo explore --walks``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtpo_core.cli.common import drawn, out, plural, print_json, progress, usage, writable


def random_walks(
    made: Iterable[tuple[Any, Any]],
    walks: int,
    seed: int,
    depth: int | None,
    itf: Path | None,
    picture: Path | None,
    json: bool,
) -> int:
    """Walk in instances, each with what draws its initial states; tell, write what is asked for, and return the exit
    code."""
    from mtpo.proofs.itf import write_itf
    from mtpo.proofs.picture import pictures_of, write_picture
    from mtpo.proofs.verdicts import exit_code
    from mtpo.proofs.walks import DEPTH, walk

    found = []
    for instance, draw in made:
        if not instance.spec.role("invariant", "lemma", "step"):
            raise usage(f"{instance.spec.name}: no invariant or step property to check")
        with progress(f"walking in {instance.spec.name}", json) as tell:

            def told(done: int, steps: int, tell: Any = tell) -> None:
                tell(f"{done:,} of {plural(walks, 'walk')}, {plural(steps, 'step')}")

            found.append(walk(instance, draw, walks=walks, seed=seed, depth=depth or DEPTH, progress=told))
    verdicts = [v for result in found for v in result.verdicts]
    if itf is not None:
        write_itf(verdicts, itf)
    cases = pictures_of(verdicts)
    if picture is not None:
        write_picture(cases, writable(picture), "what random walks violate")
    if json:
        print_json({"walks": [result.as_json() for result in found]})
        return exit_code(verdicts)
    for result in found:
        _show(result)
    if picture is not None:
        out.print(drawn(cases, picture))
    return exit_code(verdicts)


def _show(result: Any) -> None:
    from mtpo.proofs.picture import reasons_of

    sizes = ", ".join(f"{n} {sort.__name__}" for sort, n in result.instance.sizes.items())
    extent = (
        f"{plural(result.walks, 'walk')}, {plural(result.steps, 'step')}, {plural(result.states, 'state')}, "
        f"depth {result.depth}, seed {result.seed}"
    )
    out.print(f"{result.instance.spec.name}: {sizes or 'no sorts'}")
    out.print(f"{extent}, {result.seconds:.1f} s")
    for v in result.verdicts:
        out.print(f"{v.status:<8} {v.property:<36} {v.method}: {v.clause if v.trace else extent}")
        if v.trace:
            reasons = [line for reason in reasons_of(v.trace, v.property) for line in reason.lines()]
            out.print("\n".join(f"         {line}" for line in (*v.trace.lines(), *reasons)))
    for what, ids in (
        ("never taken", [name for name, count in result.taken.items() if not count]),
        ("never reached", result.unreached),
    ):
        if ids:
            out.print(f"{what} on these walks: {', '.join(ids)}")
