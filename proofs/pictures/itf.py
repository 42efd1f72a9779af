"""Traces in ITF, the Informal Trace Format of Apalache and Quint (JSON), for their viewers and replayers.

A constant or variable with arguments is a map, from elements or tuples of them; elements of sorts are strings, such as
``call2``. As in Quint's traces, ``mbt::actionTaken`` names the step that led to a state and ``mbt::nondetPicks`` its
arguments.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtpo.proofs.pictures.shown import run_of, sentence_of
from mtpo.proofs.verdicts import Trace, Verdict, element
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Bool, Function, Int, Term, formals_of

ACTION, PICKS = "mbt::actionTaken", "mbt::nondetPicks"


def itf_of(trace: Trace, description: str = "") -> dict[str, Any]:
    """A trace as an ITF object."""
    instance, spec = trace.instance, trace.instance.spec
    states: list[dict[str, Any]] = []
    for number, state in enumerate(trace.states):
        step = trace.steps[number - 1] if number else None
        action = spec.actions[step.action] if step else None
        picks: dict[str, Any] = {}
        if action is not None and step is not None:
            for name, param, arg in zip(formals_of(action), action.params, step.args, strict=True):
                if isinstance(param, Function):
                    picks[name] = _some(_function(instance, param, arg))
                elif isinstance(arg, int):
                    picks[name] = _some(_value(param.sort, arg))
        row: dict[str, Any] = {"#meta": {"index": number}, ACTION: step.action if step else "init", PICKS: picks}
        for name, symbol in {**spec.constants, **spec.variables}.items():
            table = instance.constants.get(name)
            if table is None:
                start = instance.offsets[name]
                table = tuple(state[start : start + instance.cells(symbol)])
            row[name] = _function(instance, symbol, table)
        states.append(row)
    meta = {
        "format": "ITF",
        "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
        "source": spec.name,
        "description": description,
        "first-state": "allowed by every property, not necessarily reachable" if trace.inductive else "initial",
    }
    return {"#meta": meta, "params": list(spec.constants), "vars": [*spec.variables, ACTION, PICKS], "states": states}


def write_itf(verdicts: Iterable[Verdict], folder: Path) -> list[Path]:
    """One file ``PROPERTY.itf.json`` for each verdict with a run to show, in a folder that is made if there is one.
    Raises OSError where it can't be, and for what is no folder."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    written = []
    for verdict in verdicts:
        if (run := run_of(verdict)) is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{verdict.property}.itf.json"
            data = itf_of(run, sentence_of(verdict, run))
            path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            written.append(path)
    return written


def _value(sort: type[Term], value: int) -> Any:
    if sort is Bool:
        return bool(value)
    return {"#bigint": str(value)} if sort is Int else element(sort, value)


def _function(instance: Instance, symbol: Function[Any], table: Any) -> Any:
    if not symbol.domain:
        return _value(symbol.range, table[0])
    pairs = []
    for point, value in zip(instance.points(symbol), table, strict=True):
        args = [_value(sort, arg) for sort, arg in zip(symbol.domain, point, strict=True)]
        pairs.append([args[0] if len(args) == 1 else {"#tup": args}, _value(symbol.range, value)])
    return {"#map": pairs}


def _some(value: Any) -> dict[str, Any]:
    return {"tag": "Some", "value": value}
