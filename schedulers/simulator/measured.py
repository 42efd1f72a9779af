"""Hardware as measured: the JSON file that ``mtpo calibrate`` writes and ``mtpo simulate --steptime`` takes.

::

    {"mtpo": "steptime", "version": 1, "name": "...", "machine": "...", "model": "...", "device": "cpu",
     "step": {"a": s, "b": s/token, "c": s/token, "d": s/pair, "floor": s, "e": s/request,
              "few": {"most": tokens, "a": s, "b": ..., ...} or null}, "kv_tokens": tokens,
     "fit": {"n": ..., "mape": ..., "bias": ..., "p95": ..., "r2": ...}, "points": [...]}

Only ``mtpo``, ``version``, ``name``, ``step.a`` and ``step.b`` are needed; ``few``, if there, needs ``most`` and its
own ``a`` and ``b``. The rest says where the figures are from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from mtpo.schedulers.simulator.fit import Errors, Point
from mtpo.schedulers.simulator.steptime import Few, Hardware, Line, Power, StepTime

KIND: Final = "steptime"
POINTS: Final = "steptime-points"
"""What a file is that holds measurements to which nothing was fitted (:mod:`~mtpo.schedulers.simulator.kept`)."""
VERSION: Final = 1
_LINE: Final = ("a", "b", "c", "d", "floor", "e")
_MOST: Final = 1e9
"""Seconds that a coefficient is at most, so that sums of them stay numbers; a step of that length takes 30 years. And
new tokens of the largest of the small batches, which are multiplied with them."""
KV_TOKENS: Final = 65_536
"""Of a worker whose file does not say how much its KV cache holds."""


class SteptimeError(ValueError):
    """A file that is none of step times; one line: the file, the field, what was expected."""


@attrs.frozen
class Measured:
    """A machine with a model on it, as measured. ``errors`` of the fit over ``points``."""

    name: str
    machine: str
    model: str
    device: str
    step: StepTime
    kv_tokens: int
    errors: Errors
    points: tuple[Point, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        about = {"name": self.name, "machine": self.machine, "model": self.model, "device": self.device}
        return {
            "mtpo": KIND,
            "version": VERSION,
            **about,
            "step": attrs.asdict(self.step),
            "kv_tokens": self.kv_tokens,
            "fit": attrs.asdict(self.errors),
            "points": [attrs.asdict(one) for one in self.points],
        }


def read_hardware(path: Path) -> Hardware:
    """The worker that a file describes; its power is unknown, 0 W. Raises :class:`SteptimeError`, OSError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SteptimeError(f"{path}: not JSON ({error})") from None
    if isinstance(data, dict) and data.get("mtpo") == POINTS:
        raise SteptimeError(
            f"{path}: no step times yet, measured points; mtpo calibrate --points fits step times to them"
        )
    if not isinstance(data, dict) or data.get("mtpo") != KIND:
        raise SteptimeError(f'{path}: no file of step times; mtpo calibrate --out FILE writes one ("mtpo": "{KIND}")')
    if data.get("version") != VERSION:
        raise SteptimeError(f"{path}: version is {data.get('version')!r}, this reads {VERSION}; calibrate again")
    name, step, kv = data.get("name"), data.get("step"), data.get("kv_tokens", KV_TOKENS)
    if not isinstance(name, str) or not name:
        raise SteptimeError(f"{path}: name is {name!r}, expected a text")
    if type(kv) is not int or kv < 16:
        raise SteptimeError(f"{path}: kv_tokens is {kv!r}, expected a whole number of at least 16")
    machine = data.get("machine")
    source = f"measured on {machine}" if isinstance(machine, str) else "measured"
    return Hardware(name, _step_of(path, step), kv, Power(0.0, 0.0), source=source)


def _step_of(path: Path, found: Any) -> StepTime:
    step = _object(path, "step", found, (*_LINE, "few"))
    line, few = _line(path, "step", step), None
    if step.get("few") is not None:
        part = _object(path, "step.few", step["few"], ("most", *_LINE))
        most = part.get("most")
        if type(most) is not int or not 1 <= most <= _MOST:
            raise SteptimeError(
                f"{path}: step.few.most is {most!r}, expected a whole number of tokens, from 1 to {_MOST:g}"
            )
        few = Few(**attrs.asdict(_line(path, "step.few", part)), most=most)
    return StepTime(**attrs.asdict(line), few=few)


def _object(path: Path, name: str, found: Any, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise SteptimeError(f"{path}: {name} is {found!r}, expected an object with {', '.join(known)}")
    if unknown := [key for key in found if key not in known]:
        raise SteptimeError(f"{path}: {name}.{unknown[0]} is not known; known: {', '.join(known)}")
    return found


def _line(path: Path, name: str, found: Mapping[str, Any]) -> Line:
    values = {}
    for key in _LINE:
        value = found.get(key, None if key in "ab" else 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
            raise SteptimeError(f"{path}: {name}.{key} is {value!r}, expected seconds, from 0 to {_MOST:g}")
        values[key] = float(value)
    made = Line(**values)
    # A step without any duration would be repeated at one instant for ever. Each has a token, its context, a request.
    if made.seconds(1, 1, 0.0, 1) <= 0:
        raise SteptimeError(f"{path}: {name}.a, b, c, e and floor are all 0; a step takes time")
    return made


def lines(measured: Measured) -> Iterable[str]:
    """For who reads: coefficients with their units, the fit, the machine."""
    step, found = measured.step, measured.errors
    yield f"{measured.model} on {measured.machine} ({measured.device})"
    if step.few is not None:
        yield f" steps of at most {step.few.most} new tokens:"
        yield from _coefficients(step.few)
        yield " larger ones:"
    yield from _coefficients(step)
    yield (
        f"  {found.n} kinds of steps: R2 {found.r2:.4f}, mean absolute error {100 * found.mape:.1f} %, "
        f"95 % within {100 * found.p95:.1f} %, bias {100 * found.bias:+.1f} %"
    )


def _coefficients(line: Line) -> Iterable[str]:
    yield f"  a      {1e3 * line.a:10.4f} ms           a step without tokens"
    yield f"  b      {1e3 * line.b:10.4f} ms/token     of new tokens"
    yield f"  c      {1e6 * line.c:10.4f} us/token     of context"
    if line.d:
        yield f"  d      {1e9 * line.d:10.4f} ns/pair      of attention within prompts"
    if line.e:
        yield f"  e      {1e3 * line.e:10.4f} ms/request   of each request of the batch"
    yield f"  floor  {1e3 * line.floor:10.4f} ms" + ("           no step is shorter" if line.floor else "")
