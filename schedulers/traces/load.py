"""Workloads by name: a file in a known format, or ``GENERATOR:key=value,...``."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs

from mtpo.schedulers.traces.generate import (
    OUTPUT,
    PROMPT,
    Lengths,
    agents,
    burst_times,
    gamma_times,
    poisson_times,
    requests,
)
from mtpo.schedulers.traces.readers import FORMATS
from mtpo.schedulers.traces.workload import TraceError, Workload, counted, finite, plain

GENERATORS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "poisson": ("rate", "n", "prompt", "output", "seed"),
        "gamma": ("rate", "cv", "n", "prompt", "output", "seed"),
        "bursts": ("rate", "fano", "n", "prompt", "output", "seed"),
        "agents": ("n", "turns", "first", "append", "output", "tool", "system", "rate", "seed"),
    }
)
"""Generators and their options. Lengths are ``512`` (fixed) or ``1020..4142`` (log-normal: median and 99th
percentile); rates are per second, ``tool`` in seconds."""

LARGEST: Final = 1_000_000
"""Turns in all that a generator makes at most: some seconds, and some hundred megabytes."""


@attrs.frozen
class _Options:
    text: str
    values: Mapping[str, str]

    def wrong(self, why: str) -> TraceError:
        return TraceError(f"workload {self.text!r}: {why}")

    def whole(self, name: str, default: int, least: int = 0) -> int:
        text = self.values.get(name, str(default))
        try:
            number = int(plain(text))
        except ValueError:
            raise self.wrong(f"{name} is {text!r}, expected a whole number") from None
        if number < least:
            raise self.wrong(f"{name} is {number}, expected at least {least}")
        return number

    def real(self, name: str, default: float, least: float = 0.0, above: bool = True) -> float:
        text = self.values.get(name, str(default))
        try:
            number = float(plain(text))
        except ValueError:
            raise self.wrong(f"{name} is {text!r}, expected a number") from None
        if not (least < number < float("inf") or (not above and number == least)):
            raise self.wrong(f"{name} is {text}, expected a number {'above' if above else 'of at least'} {least:g}")
        return number

    def lengths(self, name: str, default: Lengths) -> Lengths:
        if name not in self.values:
            return default
        median, dots, p99 = self.values[name].partition("..")
        try:
            return Lengths(int(plain(median)), int(plain(p99)) if dots else None)
        except ValueError:
            why = "expected tokens (512) or their median and 99th percentile (1020..4142)"
            raise self.wrong(f"{name} is {self.values[name]!r}, {why}") from None


def load_workload(text: str, format: str | None = None) -> Workload:
    """A workload by name. ``format`` is needed for a file, and only there. Raises :class:`TraceError`, OSError."""
    head, colon, tail = text.partition(":")
    if head in GENERATORS and (colon or not Path(text).exists()):
        return _generate(text, head, tail)
    if format is None:
        # A file is hardly called like that.
        near = difflib.get_close_matches(head, GENERATORS, 1)
        if (near or colon) and not Path(text).exists():
            close = f", did you mean {near[0]}?" if near else ";"
            known = f"known: {', '.join(GENERATORS)}; for a file, name its format: {', '.join(FORMATS)}"
            raise TraceError(f"{text}: there is no generator {head!r}{close} {known}")
        raise TraceError(
            f"{text}: name the format of this file ({', '.join(FORMATS)}), or use a generator "
            f"({', '.join(GENERATORS)}), as in poisson:rate=5,n=1000"
        )
    if format not in FORMATS:
        raise TraceError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    return FORMATS[format](Path(text))


def _generate(text: str, name: str, arguments: str) -> Workload:
    values: dict[str, str] = {}
    for part in filter(None, arguments.split(",")):
        key, equals, value = part.partition("=")
        if not equals or key not in GENERATORS[name]:
            near = difflib.get_close_matches(key, GENERATORS[name], 1)
            close = f"; did you mean {near[0]}?" if near and key != near[0] else ""
            raise TraceError(
                f"workload {text!r}: {part!r} is not one of {', '.join(GENERATORS[name])}, as key=value{close}"
            )
        if key in values:
            raise TraceError(f"workload {text!r}: {key} is given twice")
        values[key] = value
    options = _Options(text, values)
    try:
        made = _made(text, name, values, options)
    except ArithmeticError:
        raise options.wrong("its numbers are too large or too small to draw arrivals and lengths with") from None
    finite([one.arrival for one in made.conversations], f"workload {text!r}")
    return made


def _made(text: str, name: str, values: Mapping[str, str], options: _Options) -> Workload:
    n, seed = options.whole("n", 1000, 1), options.whole("seed", 0)
    turns = options.whole("turns", 10, 1) if name == "agents" else 1
    if n * turns > LARGEST:
        raise options.wrong(f"it makes {counted(n * turns, 'turn')}, at most {LARGEST:,} are made; give a smaller n")
    output = options.lengths("output", OUTPUT)
    if name == "agents":
        rate = options.real("rate", 1.0) if "rate" in values else None
        return agents(
            text,
            n,
            turns,
            options.lengths("first", PROMPT),
            options.lengths("append", Lengths(256, 2048)),
            output,
            options.real("tool", 5.0, above=False),
            options.whole("system", 0),
            rate,
            seed,
        )
    return requests(text, _times(name, options), n, options.lengths("prompt", PROMPT), output, seed)


def _times(name: str, options: _Options) -> Callable[[random.Random], Iterator[float]]:
    rate = options.real("rate", 1.0)
    if name == "gamma":
        cv = options.real("cv", 1.0)
        return lambda draw: gamma_times(rate, cv, draw)
    if name == "bursts":
        fano = options.real("fano", 4.0, 1.0, above=False)
        return lambda draw: burst_times(rate, fano, draw)
    return lambda draw: poisson_times(rate, draw)
