"""Circuits as code: one line a gate, over arrays of words of 64 states.

The same lines run on NumPy, PyTorch and CuPy, which agree about ``& | ^ ~``. An array is given up, or overwritten, as
soon as nothing needs it any more, so that what is at hand stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from mtpo.proofs.columns.circuit import FALSE, TRUE, Circuit, Gate

_SIGN: Final = {"and": "&", "or": "|", "xor": "^"}

Output = tuple[str, Gate]
"""Where a gate goes, as the text of an assignment's target."""


def order(circuit: Circuit, outputs: Iterable[Gate]) -> list[Gate]:
    """The gates that outputs need, each after those that it needs."""
    found: dict[Gate, None] = {FALSE: None, TRUE: None}
    for output in outputs:
        work = [output]
        while work:
            gate = work[-1]
            if gate in found:
                work.pop()
                continue
            missing = [g for g in _needs(circuit, gate) if g not in found]
            if missing:
                work += missing[::-1]
            else:
                found[gate] = None
                work.pop()
    return list(found)[2:]


def _needs(circuit: Circuit, gate: Gate) -> tuple[Gate, ...]:
    op = circuit.op[gate]
    if op in _SIGN:
        return circuit.left[gate], circuit.right[gate]
    return (circuit.left[gate],) if op == "not" else ()


def lines(circuit: Circuit, outputs: Sequence[Output], inputs: Mapping[str, str]) -> list[str]:
    """Assignments that evaluate the outputs; ``inputs`` has the text of an input of each row, with ``{}`` for which.

    A constant output is assigned 0 or -1.
    """
    gates = order(circuit, (gate for _, gate in outputs))
    uses: dict[Gate, int] = {}
    for gate in gates:
        for needed in _needs(circuit, gate):
            uses[needed] = uses.get(needed, 0) + 1
    targets: dict[Gate, list[str]] = {}
    for target, gate in outputs:
        targets.setdefault(gate, []).append(target)
    out = [f"{target} = {-1 if gate else 0}" for gate in (FALSE, TRUE) for target in targets.get(gate, ())]
    place: dict[Gate, str] = {}
    owned: set[Gate] = set()
    idle: list[str] = []
    names = 0

    def fresh() -> str:
        nonlocal names
        if idle:
            return idle.pop()
        names += 1
        return f"r{names}"

    def done(gate: Gate) -> None:
        if not uses.get(gate):
            name = place.pop(gate)
            owned.discard(gate)
            idle.append(name)

    for gate in gates:
        op = circuit.op[gate]
        needs = _needs(circuit, gate)
        for each in needs:
            uses[each] -= 1
        if op in _SIGN:
            a, b = sorted(needs, key=lambda g: bool(uses[g] or g not in owned))
            if a in owned and not uses[a]:
                out.append(f"{place[a]} {_SIGN[op]}= {place[b]}")
                place[gate] = place.pop(a)
                owned.discard(a)
                if b != a:
                    done(b)
            else:
                name = fresh()
                out.append(f"{name} = {place[a]} {_SIGN[op]} {place[b]}")
                place[gate] = name
                done(a)
                done(b)
            owned.add(gate)
        elif op == "not":
            (a,) = needs
            name = fresh()
            out.append(f"{name} = ~{place[a]}")
            place[gate] = name
            owned.add(gate)
            done(a)
        else:
            name = fresh()
            out.append(f"{name} = {inputs[op].format(circuit.left[gate])}")
            place[gate] = name
        out += [f"{target} = {place[gate]}" for target in targets.get(gate, ())]
        done(gate)
    return out


def function(name: str, head: str, body: Sequence[str]) -> Callable[..., Any]:
    """Lines as a function of the arguments in ``head``."""
    source = "\n".join([f"def {name}({head}):", *(f"    {line}" for line in body or ["pass"])])
    scope: dict[str, Any] = {}
    exec(compile(source, f"<{name}>", "exec"), scope)
    found: Callable[..., Any] = scope[name]
    return found
