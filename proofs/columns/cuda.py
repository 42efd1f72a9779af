"""The array program as CUDA: each function one kernel, a thread for each word of 64 states.

The same lines as everywhere, over registers instead of arrays; all steps are one kernel, in which a word knows whose it
is. It is the C that CUDA has in common with any C compiler, so that it can be checked where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.proofs.columns.circuit import TRUE, Gate
from mtpo.proofs.columns.columns import Columns, Gates
from mtpo.proofs.columns.gatecode import Output, lines

THREADS: Final = 128
"""Threads of a block."""

PREFIX: Final = 'extern "C" __global__ '

_HEAD: Final = """\
typedef long long word;

"""

Launch = Callable[..., None]
"""``launch(name, last, *arrays)`` runs a kernel on arrays, then ``last``, then how many words a row of it has."""


def cuda_source(gates: Gates) -> str:
    """The kernels ``guards``, ``holds``, ``allows``, ``steps``, and ``canonical`` where there is symmetry."""

    def rows(outputs: Sequence[tuple[int, Gate]]) -> list[Output]:
        return [(f"out[{row} * n + l]", gate) for row, gate in outputs]

    functions = [
        _kernel(gates, "guards", ("s",), rows(gates.guards)),
        _kernel(gates, "holds", ("s",), rows(gates.holds)),
        _kernel(gates, "allows", ("s", "t"), rows(gates.allows)),
        _steps(gates),
    ]
    if gates.canonical is not None:
        functions.append(_kernel(gates, "canonical", ("t",), rows(gates.canonical)))
    return _HEAD + "\n".join(functions)


def kernels(columns: Columns, launch: Launch, given: Callable[[npt.NDArray[Any]], Any]) -> Columns:
    """The program by kernels; ``given`` makes an array of NumPy's one that they take."""

    def guards(s: Any, out: Any) -> None:
        launch("guards", out, s)

    def holds(s: Any, out: Any) -> None:
        launch("holds", out, s)

    def allows(s: Any, t: Any, out: Any) -> None:
        launch("allows", out, s, t)

    def canonical(t: Any, out: Any) -> None:
        launch("canonical", out, t)

    def steps(s: Any, t: Any, out: Any, lengths: npt.NDArray[np.int64]) -> None:
        launch("steps", out, s, t, given(np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)))

    return attrs.evolve(
        columns,
        guards=guards,
        holds=holds,
        allows=allows,
        steps=steps,
        canonical=None if columns.canonical is None else canonical,
    )


_THREAD: Final = "word l = (word)blockIdx.x * blockDim.x + threadIdx.x; if (l >= n) return;"


def _kernel(gates: Gates, name: str, given: Sequence[str], outputs: Sequence[Output]) -> str:
    arguments = "".join(f"const word *{row}, " for row in given)
    body = "\n".join(f"    {line}" for line in _statements(gates, outputs))
    return f"{PREFIX}void {name}({arguments}word *out, word n) {{\n    {_THREAD}\n{body}\n}}\n"


def _steps(gates: Gates) -> str:
    """``whose`` is the number of the move that the states of a word take."""
    cases = []
    for number, (changes, fits) in enumerate(zip(gates.steps, gates.fits, strict=True)):
        outputs = [(f"t[{plane} * n + l]", gate) for plane, gate in changes]
        outputs += [("out[l]", fits)] if fits != TRUE else []
        body = "\n".join(f"        {line}" for line in _statements(gates, outputs))
        cases.append(f"    case {number}: {{\n{body}\n        break;\n    }}")
    head = f"{PREFIX}void steps(const word *s, word *t, const int *whose, word *out, word n) {{\n    {_THREAD}"
    return "\n".join([head, "    switch (whose[l]) {", *cases, "    }", "}", ""])


def _statements(gates: Gates, outputs: Sequence[Output]) -> list[str]:
    found = lines(gates.circuit, outputs, {"s": "s[{} * n + l]", "t": "t[{} * n + l]"})
    registers = sorted({line.partition(" ")[0] for line in found if line.startswith("r")}, key=lambda r: int(r[1:]))
    return [*([f"word {', '.join(registers)};"] if registers else []), *(f"{line};" for line in found)]
