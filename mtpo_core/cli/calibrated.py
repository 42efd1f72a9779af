"""What ``mtpo calibrate`` makes of measured points: the fit, the files, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtpo_core.cli.common import out, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mtpo.schedulers.simulator.kept import Kept
    from mtpo.schedulers.simulator.measured import Measured
    from mtpo.schedulers.simulator.regimes import Choice
    from mtpo.schedulers.simulator.validity import Validity

UNSTEADY, TAKEN = 0.15, 0.4
"""A fit to steps half of which were further than this from their medians is none; nor is one on a machine that took the
processor away in so many."""


KV = 16_384
"""Tokens of KV cache that the file states; the engine has as much as it is told to, and simulate takes --kv."""


def fitted(found: Kept, terms: int | None) -> tuple[Measured, Choice]:
    """The model that fits the points best. Raises FitError where none does."""
    from mtpo.schedulers.simulator.measured import Measured
    from mtpo.schedulers.simulator.regimes import choose

    choice = choose(found.points, _terms(terms))
    about = found.name, found.machine, found.model, found.device
    return Measured(*about, choice.fit.step, KV, choice.fit.errors, found.points), choice


def _terms(terms: int | None) -> Literal[3, 4] | None:
    return None if terms is None else 4 if terms == 4 else 3


def document(found: Kept, measured: Measured, choice: Choice) -> dict[str, Any]:
    """What the file of step times holds."""
    about = {"rounds": found.rounds, "noise": found.noise, "disturbed": found.disturbed}
    return measured.as_json() | about | {"held_out": _held_out(choice)}


def _held_out(choice: Choice) -> list[dict[str, Any]]:
    """Of each model what it has beside a, b and c, its error on steps that it was not fitted to, and whether it is the
    one that was kept."""
    return [
        {"more": list(one.model.more), "error": one.error, "kept": one.model == choice.model} for one in choice.tried
    ]


def keep(output: Path | None, found: Kept) -> str:
    """Write what was measured beside where the step times were to go, over nothing; what to say of it."""
    place = (output or Path("calibrate")).with_suffix("")
    names = (place.with_name(f"{place.name}.points{f'-{n}' if n else ''}.json") for n in range(1000))
    path = next(name for name in names if not name.exists())
    try:
        write(path, found.as_json())
    except OSError as error:
        return f"the measured points can't be kept in {path}: {error.strerror}"
    return f"the measured points are kept in {path}, which --points reads"


def write(path: Path | None, data: dict[str, Any]) -> None:
    if path is not None:
        import json

        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def unsteady(found: Kept) -> bool:
    return found.noise > UNSTEADY or found.disturbed > TAKEN


def show(measured: Measured, found: Kept, choice: Choice, validity: Validity | None, output: Path | None) -> None:
    """For who reads: the model, what it is good for, how steady the measurements were."""
    from mtpo.schedulers.simulator.measured import lines
    from mtpo.schedulers.simulator.validity import lines as compared

    for line in lines(measured):
        out.print(line)
    for line in _tried(choice):
        out.print(line)
    steady = "" if not unsteady(found) else ": NOT STEADY, the machine is busy; measure again"
    out.print(
        f"  {plural(found.rounds, 'round')}, {100 * found.disturbed:.0f} % of the steps disturbed; half of the others "
        f"within {100 * found.noise:.1f} % of their median{steady}"
    )
    predicted = {p: measured.step.seconds(p.new, p.context, p.pairs, p.requests) for p in measured.points}
    worst = sorted(predicted, key=lambda p: -abs(predicted[p] / p.seconds - 1))
    for p in worst[:3]:
        fitted = predicted[p]
        residual = f"{1e3 * p.seconds:.1f} ms, fitted {1e3 * fitted:.1f} ({100 * (fitted / p.seconds - 1):+.0f} %)"
        out.print(f"  furthest off: {p.new} new tokens, {p.context} of context: {residual}")
    if validity is not None:
        out.print("beside the simulator, on the same workload:")
        for line in compared(validity):
            out.print(line)
    if output is not None:
        out.print(f"written: {output}; mtpo simulate --steptime {output} simulates with it")


def _tried(choice: Choice) -> Iterable[str]:
    """What the model has beside a, b and c, and what that is good for."""
    least = choice.tried[0]
    error = choice.error(choice.model)
    if error is None or least.error is None:
        return
    if choice.model != least.model:
        names = ", ".join(_ADDED[name] for name in choice.model.more)
        before = f"{100 * least.error:.1f} % with {_named(least.model.more)} alone"
        yield f"  added: {names}; mean absolute error on steps held out of the fit {100 * error:.1f} %, {before}"
        return
    others = [(one.error, one.model) for one in choice.tried[1:] if one.error is not None]
    if others:
        best, model = min(others, key=lambda one: one[0])
        yield (
            f"  nothing added, it does not pay; mean absolute error on steps held out of the fit {100 * error:.1f} %, "
            f"at best {100 * best:.1f} % with {_named(model.more)}"
        )


_ADDED = {"d": "d", "e": "e", "few": "a part of its own for small batches"}


def _named(more: tuple[str, ...]) -> str:
    return ", ".join(("a", "b", "c", *(_ADDED[name] for name in more)))
