"""Measured steps in a file: what ``mtpo calibrate`` keeps where nothing can be fitted to them, and fits again.

::

    {"mtpo": "steptime-points", "version": 1, "name": "...", "machine": "...", "model": "...", "device": "cpu",
     "rounds": ..., "noise": ..., "disturbed": ...,
     "points": [{"new": tokens, "context": tokens, "pairs": ..., "seconds": s, "times": ..., "spread": s,
                 "requests": ...}, ...]}

Of a point ``new``, ``context``, ``pairs`` and ``seconds`` are needed. Files of step times hold their points in the same
form (:mod:`~mtpo.schedulers.simulator.measured`), and are read as well.
"""

from __future__ import annotations

import itertools
import json
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from mtpo.schedulers.simulator.fit import Point
from mtpo.schedulers.simulator.measured import KIND as FITTED
from mtpo.schedulers.simulator.measured import POINTS as KIND
from mtpo.schedulers.simulator.measured import VERSION, SteptimeError

_MOST: Final = 2**53
"""No number of a point is larger."""
_ABOUT: Final = ("name", "machine", "model", "device")
_FIELDS: Final = {field.name: field for field in attrs.fields(Point)}
_WHOLE: Final = {"new": 1, "context": 1, "times": 1, "requests": 0}


@attrs.frozen
class Kept:
    """``points`` of a ``model`` on a ``machine``. ``rounds`` in which they were measured, ``noise`` and the share that
    was ``disturbed``, as the measurement has them; 0 where that was not noted."""

    name: str
    machine: str
    model: str
    device: str
    points: tuple[Point, ...]
    rounds: int = 0
    noise: float = 0.0
    disturbed: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        return {"mtpo": KIND, "version": VERSION, **attrs.asdict(self)}


def read_points(paths: Sequence[Path]) -> Kept:
    """The points of some files together. Raises :class:`SteptimeError`, also where they are not of one machine, or one
    file holds those of another: a fit is tested on points that were held out of it, which are not there twice. Raises
    OSError, too."""
    found = [_read(path) for path in paths]
    first = found[0]
    for path, one in zip(paths, found, strict=True):
        for what in ("machine", "model", "device"):
            if (other := getattr(one, what)) != (ours := getattr(first, what)):
                raise SteptimeError(
                    f"{path}: {what} is {other!r}, and {ours!r} in {paths[0]}; only measurements of one make one fit"
                )
    for (path, one), (other, more) in itertools.permutations(zip(paths, found, strict=True), 2):
        if set(one.points) <= set(more.points):
            raise SteptimeError(f"{path}: all its points are in {other} as well; give each measurement once")
    return attrs.evolve(
        first,
        points=tuple(point for one in found for point in one.points),
        rounds=min(one.rounds for one in found),
        noise=max(one.noise for one in found),
        disturbed=max(one.disturbed for one in found),
    )


def _read(path: Path) -> Kept:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SteptimeError(f"{path}: not JSON ({error})") from None
    if not isinstance(data, dict) or data.get("mtpo") not in (KIND, FITTED):
        raise SteptimeError(
            f'{path}: no file of measured points; mtpo calibrate keeps or writes one ("mtpo": "{KIND}")'
        )
    if data.get("version", VERSION) != VERSION:
        raise SteptimeError(f"{path}: version is {data['version']!r}, this reads {VERSION}; calibrate again")
    for name in _ABOUT:
        if not isinstance(data.get(name), str) or not data[name]:
            raise SteptimeError(f"{path}: {name} is {data.get(name)!r}, expected a text")
    points = data.get("points")
    if not isinstance(points, list) or not points:
        raise SteptimeError(f"{path}: points is no list of measured points")
    name, machine, model, device = (str(data[name]) for name in _ABOUT)
    return Kept(
        name,
        machine,
        model,
        device,
        tuple(_point(path, f"points[{at}]", one) for at, one in enumerate(points)),
        _whole(path, "rounds", data.get("rounds", 0), 0),
        _real(path, "noise", data.get("noise", 0.0)),
        _real(path, "disturbed", data.get("disturbed", 0.0)),
    )


def _point(path: Path, where: str, found: Any) -> Point:
    if not isinstance(found, dict):
        raise SteptimeError(f"{path}: {where} is {reprlib.repr(found)}, expected an object with {', '.join(_FIELDS)}")
    if unknown := [name for name in found if name not in _FIELDS]:
        raise SteptimeError(f"{path}: {where}.{unknown[0]} is not known; known: {', '.join(_FIELDS)}")
    values: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        value = found.get(name, None if field.default is attrs.NOTHING else field.default)
        at = f"{where}.{name}"
        values[name] = _whole(path, at, value, _WHOLE[name]) if name in _WHOLE else _real(path, at, value)
    if not values["seconds"]:
        raise SteptimeError(f"{path}: {where}.seconds is 0; a step takes time")
    return Point(**values)


def _whole(path: Path, name: str, value: Any, least: int) -> int:
    if type(value) is not int or not least <= value <= _MOST:
        raise SteptimeError(f"{path}: {name} is {reprlib.repr(value)}, expected a whole number from {least} to {_MOST}")
    return value


def _real(path: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        raise SteptimeError(f"{path}: {name} is {reprlib.repr(value)}, expected a number from 0 to {_MOST}")
    return float(value)
