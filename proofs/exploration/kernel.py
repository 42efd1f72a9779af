"""The compiled interpretation of a spec: code that expands a state, made into machine code by numba.

The code is Python, generated from the spec: quantifiers become loops, whose conditions are tested as far out as their
variables allow; a function-valued parameter is enumerated cell by cell, and every clause is tested as soon as the cells
that it mentions are chosen, so most choices are never made. :mod:`mtpo.spec.concrete` is the reference that it is
tested against.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final, TypeVar, cast

import attrs

from mtpo.proofs.exploration import kernelcache
from mtpo.proofs.exploration.bounds import check_arithmetic
from mtpo.proofs.exploration.packing import Packing
from mtpo.proofs.exploration.symmetry import Symmetry
from mtpo.spec.concrete import Code, Emitter, Instance, InstanceError, text
from mtpo.spec.language import Action, Bool, Function, Term, conjuncts, formals_of
from mtpo.spec.language.terms import conj, walk

BLOCKS: Final = 20
"""Loops in one another that CPython allows in a function."""

MAX_NESTING: Final = BLOCKS - 3
"""Loops over what an action, or a quantifier, may choose."""

MAX_TURNS: Final = 1 << 40
"""Turns of a loop over several variables."""

MAX_UNROLLED: Final = 4096
"""Instances of a quantified conjunct that are tested one by one; of more it is tested as a whole, after all choices."""

Env = Mapping[Any, Any]


COUNT, BAD, KIND, TRANSITIONS, STOP, REACHED = range(6)
"""Places in the control row: states found; the state that violates something (or -1) and what; steps taken; why the
search stopped; from here on, for each goal, the first state that satisfies it (or -1)."""

RUNNING, FULL, CROWDED, WIDE, VIOLATED = range(5)
"""Why the search stopped: it has not; more room is needed for states, or for successors; an integer is too wide for its
cell; something is violated."""

STATE, STEP = 1, 2
"""What is violated: a property of a state, or of a step from it."""

_CONTROL: Final = {
    name: globals()[name]
    for name in (
        *("COUNT", "BAD", "KIND", "TRANSITIONS", "STOP", "REACHED"),
        *("FULL", "CROWDED", "WIDE", "VIOLATED", "STATE", "STEP"),
    )
}

_HEAD: Final = """\
import numpy as np
from numba import njit

"""

_SLOW_HEAD: Final = """\
import numpy as np

def njit(cache):
    return lambda function: function

"""

_PLAIN: Final = """
@njit(cache=True)
def canonical(t, w, u, v):
    return pack(t, w)
"""

_CANONICAL: Final = """
@njit(cache=True)
def canonical(t, w, u, v):
    if pack(t, w):
        return 1
    for g in range(1, PLACE.shape[0]):
        for i in range(WIDTH):
            k = SORT[i]
            u[PLACE[g, i]] = t[i] if k < 0 else RELABEL[g, k, t[i]]
        pack(u, v)
        for k in range(w.shape[0]):
            if v[k] != w[k]:
                if v[k] < w[k]:
                    w[:] = v
                break
    return 0
"""

_SEARCH: Final = '''
@njit(cache=True)
def find(table, states, row):
    """The slot of a state in the table: its own, or the empty one where it belongs."""
    h = np.uint64(0x9E3779B97F4A7C15)
    for k in range(row.shape[0]):
        h ^= row[k]
        h *= np.uint64(0xFF51AFD7ED558CCD)
        h ^= h >> np.uint64(32)
    mask = np.uint64(table.shape[0] - 1)
    slot = h & mask
    while True:
        position = table[slot]
        if position == 0:
            return slot
        same = True
        for k in range(row.shape[0]):
            if states[position - 1, k] != row[k]:
                same = False
                break
        if same:
            return slot
        slot = (slot + np.uint64(1)) & mask


@njit(cache=True)
def rehash(table, states, count):
    for position in range(count):
        table[find(table, states, states[position])] = position + 1


@njit(cache=True)
def look(t, position, control):
    for n in range(GOALS):
        if control[REACHED + n] < 0 and goal(t, n):
            control[REACHED + n] = position
    if not holds(t, t, t):
        control[STOP], control[BAD], control[KIND] = VIOLATED, position, STATE
        return True
    return False


@njit(cache=True)
def seed(rows, states, parents, table, control, w):
    """Keep the first states, each its own parent, up to one that violates something. Non-zero: a value is too wide."""
    u, v = np.zeros(WIDTH, DTYPE), np.zeros_like(w)
    for n in range(rows.shape[0]):
        if canonical(rows[n], w, u, v):
            return 1
        slot = find(table, states, w)
        if table[slot] == 0:
            count = control[COUNT]
            states[count] = w
            parents[count] = count
            table[slot] = count + 1
            control[COUNT] = count + 1
            if look(rows[n], count, control):
                return 0
    return 0


@njit(cache=True)
def advance(lo, hi, states, parents, table, control, taken, out, by, w):
    """Expand the states from lo to hi; returns how far it got. A state that was not done is expanded again."""
    s, f, u, v = np.zeros(WIDTH, DTYPE), np.zeros(SCRATCH, DTYPE), np.zeros(WIDTH, DTYPE), np.zeros_like(w)
    for here in range(lo, hi):
        unpack(states[here], s)
        found = expand(s, f, out, by)
        if found < 0:
            control[STOP] = CROWDED
            return here
        if control[COUNT] + found > states.shape[0]:
            control[STOP] = FULL
            return here
        for n in range(found):
            t = out[n]
            if canonical(t, w, u, v):
                control[STOP] = WIDE
                return here
            control[TRANSITIONS] += 1
            taken[by[n]] += 1
            if not allows(s, t, s):
                control[STOP], control[BAD], control[KIND] = VIOLATED, here, STEP
                return here
            slot = find(table, states, w)
            if table[slot] == 0:
                count = control[COUNT]
                states[count] = w
                parents[count] = here
                table[slot] = count + 1
                control[COUNT] = count + 1
                if look(t, count, control):
                    return here
    return hi
'''


@attrs.frozen(eq=False)
class Kernel:
    """Code for one instance: ``source`` is what was generated from the spec, ``code`` has the functions.

    ``s``, ``t`` are rows of cells, ``w`` words; the rest is scratch. ``expand(s, f, out, by)`` writes the successors to
    rows of ``out``, the number of the action of each to ``by``, and returns how many there are, -1 when there are more
    than rows. ``holds(s, s, s)`` every invariant, ``allows(s, t, s)`` every step property, ``goal(s, n)`` the n-th of
    ``goals``. ``unpack(w, s)``; ``canonical(t, w, u, v)`` packs the representative of a row, non-zero when an integer
    is too wide. Of the search: ``seed`` keeps the first states, ``advance`` expands a range of them and returns how far
    it got, ``find(table, states, w)`` is the slot of a state, ``rehash(table, states, count)`` fills an empty table.
    """

    packing: Packing
    source: str
    goals: tuple[str, ...]
    scratch: int
    code: ModuleType


def compile_kernel(
    instance: Instance,
    int_bits: int = 4,
    symmetry: Symmetry | None = None,
    *,
    signed: bool = False,
    jit: bool = True,
) -> Kernel:
    """The kernel of an instance; without ``jit`` the same code is run by Python, slowly.

    Raises :class:`InstanceError` when an action has too many choices to be loops, or a number may leave 64 bits.
    """
    spec, packing = instance.spec, Packing(instance, int_bits, signed)
    check_arithmetic(instance, packing.held)
    writer = _Writer(instance)
    for name, roles in (("holds", ("invariant", "lemma")), ("allows", ("step",))):
        writer.formula(name, conj(*(p.formula for p in spec.role(*roles))))
    goals = spec.role("reachable")
    for number, goal in enumerate(goals):
        writer.formula(f"goal{number}", goal.formula)
    choices = [f"    if n == {n}:\n        return goal{n}(s, s, s)" for n in range(len(goals))]
    writer.define("def goal(s, n):", [*choices, "    return 0"])
    writer.define("def unpack(words, s):", _unpack_lines(packing))
    writer.define("def pack(t, w):", _pack_lines(packing))
    for number, action in enumerate(spec.actions.values()):
        writer.action(number, action)
    calls = [f"    n = a{n}(s, f, out, by, n)\n    if n < 0:\n        return n" for n in range(len(spec.actions))]
    writer.define("def expand(s, f, out, by):", ["    n = 0", *calls, "    return n"])
    source = "\n".join(writer.functions)
    scratch = max(1, writer.scratch)
    whole = source + _tail(packing, len(goals), scratch, symmetry, jit)
    code = kernelcache.load(spec.name, _HEAD + whole) if jit else kernelcache.plain(spec.name, _SLOW_HEAD + whole)
    return Kernel(packing, source, tuple(g.id for g in goals), scratch, code)


def _tail(packing: Packing, goals: int, scratch: int, symmetry: Symmetry | None, jit: bool) -> str:
    """The search, and the canonical form of a state: of its images under the renamings, that of the least words."""
    renamings = "" if symmetry is None else _renaming_tables(symmetry)
    dtype = packing.dtype.__name__ if jit else "int64"
    values = {"GOALS": goals, "WIDTH": len(packing.cells), "SCRATCH": scratch, "DTYPE": f"np.{dtype}"}
    text = _SEARCH
    for name, value in {**values, **_CONTROL}.items():
        text = re.sub(rf"\b{name}\b", str(value), text)
    return renamings + (_PLAIN if symmetry is None else _CANONICAL).replace("WIDTH", str(len(packing.cells))) + text


def _renaming_tables(symmetry: Symmetry) -> str:
    tables = {"PLACE": symmetry.place, "RELABEL": symmetry.relabel, "SORT": symmetry.sort}
    return "".join(f"{name} = np.array({table.tolist()}, dtype=np.int32)\n" for name, table in tables.items())


class _Writer(Emitter):
    """Functions in the subset of Python that numba compiles."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance, grounded=False)
        self.functions = [
            f"c_{name} = np.array({list(table)}, dtype=np.int64)\n" for name, table in instance.constants.items()
        ]
        self.scratch = 0
        self._made: dict[object, str] = {}
        self._tables: dict[Function[Any], int] = {}
        """Where the cells of function parameters lie in the scratch row."""

    def define(self, head: str, lines: Sequence[str]) -> None:
        """Add a function."""
        self.functions.append("\n".join(["@njit(cache=True)", head, *lines, "\n"]))

    def formula(self, name: str, term: Term) -> None:
        """A closed formula over a state and the next, as a function: each conjunct is tested in turn."""
        lines = []
        for part in conjuncts(cast(Bool, term)):
            code = self.code(part, {})
            if code != 1:
                lines += [f"    if not ({text(code)}):", "        return 0"]
        self.define(f"def {name}(s, t, f):", [*lines, "    return 1"])

    # -- expressions -------------------------------------------------------------------------------------------

    def apply(self, term: Term, env: Env) -> Code:
        symbol, _ = term.data
        if symbol.kind != "param":
            return super().apply(term, env)
        return f"f[{self.place(symbol, term.args, env, self._tables[symbol])}]"

    def quantifier(self, term: Term, env: Env) -> Code:
        """A call of a function of its own, made once for the same term in the same environment."""
        free = [v for v in _free(term) if v in env]
        names = sorted({str(env[v]) for v in free if isinstance(env[v], str)})
        key = (id(term), tuple((id(v), str(env[v])) for v in free))
        if key not in self._made:
            name = self._made[key] = f"q{len(self._made)}"
            inner = {**env, **{v: self.name(v) for v in term.data}}
            forall = term.op == "forall"
            tests, leaf = _implication(term.args[0]) if forall else (conjuncts(cast(Bool, term.args[0])), None)
            lines = self._loops(
                [(inner[v], self.instance.size(v.sort), v) for v in term.data],
                [(test, inner) for test in tests],
                f"return {int(forall)}",
            )
            pad = "    " * (1 + min(len(term.data), MAX_NESTING))
            if leaf is None:
                lines.append(f"{pad}return {int(not forall)}")
            else:
                lines += [f"{pad}if not ({text(self.code(leaf, inner))}):", f"{pad}    return 0"]
            self.define(f"def {name}({', '.join(['s', 't', 'f', *names])}):", [*lines, f"    return {int(forall)}"])
        return f"{self._made[key]}({', '.join(['s', 't', 'f', *names])})"

    def _loops(self, loops: Sequence[tuple[str, int, Term]], tests: Sequence[tuple[Term, Env]], skip: str) -> list[str]:
        """Nested loops over variables; each test stands as far out as its variables allow, and skips what is inside.

        ``skip`` is what to do outside all loops when a test fails.
        """
        lines: list[str] = []
        unbound = {id(v) for _, _, v in loops}
        waiting = list(tests)
        groups = _grouped(loops, MAX_NESTING)
        for depth in range(len(groups) + 1):
            pad = "    " * (1 + depth)
            ready = [not unbound & {id(v) for v in _free(term)} for term, _ in waiting]
            now = [test for test, is_ready in zip(waiting, ready, strict=True) if is_ready]
            waiting = [test for test, is_ready in zip(waiting, ready, strict=True) if not is_ready]
            for test in now:
                code = self.code(*test)
                if code != 1:
                    lines += [f"{pad}if not ({text(code)}):", f"{pad}    {'continue' if depth else skip}"]
            if depth < len(groups):
                lines += [pad + line for line in self._heads([(name, size) for name, size, _ in groups[depth]])]
                unbound -= {id(variable) for _, _, variable in groups[depth]}
        return lines

    def _heads(self, loops: Sequence[tuple[str, int]]) -> list[str]:
        """One loop over names with sizes."""
        if len(loops) == 1:
            return [f"for {loops[0][0]} in range({loops[0][1]}):"]
        total = math.prod(size for _, size in loops)
        if total > MAX_TURNS:
            raise InstanceError(
                f"{self.instance.spec.name}: {len(loops)} variables have {total:,} values together: choose smaller "
                "sizes or fewer variables"
            )
        lines, stride = list[str](), 1
        for name, size in reversed(loops):
            lines.append(f"    {name} = {loops[0][0]}_on // {stride} % {size}")
            stride *= size
        return [f"for {loops[0][0]}_on in range({total}):", *reversed(lines)]

    # -- actions -----------------------------------------------------------------------------------------------

    def action(self, number: int, action: Action) -> None:
        """``aN``: writes the successors that the action gives from row n on; returns the next free row."""
        names = dict(zip(action.params, formals_of(action), strict=True))
        env: dict[Any, Any] = {p: f"p_{names[p]}" for p in action.elements}
        cells: list[tuple[Function[Any], int]] = []
        for function in action.functions:
            self._tables[function] = len(cells)
            env[function] = function.name
            cells += [(function, n) for n in range(self.instance.cells(function))]
        self.scratch = max(self.scratch, len(cells))
        if len(action.elements) + len(cells) > MAX_NESTING:
            raise InstanceError(
                f"{self.instance.spec.name}: action {action.name} has {len(cells)} cells of function parameters; "
                f"the compiled exploration takes {MAX_NESTING - len(action.elements)}: choose smaller sizes"
            )
        plain, chosen = list[tuple[Term, Env]](), list[tuple[Term, Env]]()
        for clause in action.guard:
            for part in conjuncts(clause.formula):
                for test in self._spread(part, env):
                    (chosen if _mentions_param(test[0]) else plain).append(test)
        lines = self._loops([(env[p], self.instance.size(p.sort), p) for p in action.elements], plain, "return n")
        lines += self._choices(cells, chosen, 1 + len(action.elements))
        pad = "    " * (1 + len(action.elements) + len(cells))
        room = BLOCKS - len(action.elements) - len(cells)
        inner = ["if n == out.shape[0]:", "    return -1", "t = out[n]", f"by[n] = {number}", "n += 1"]
        lines += [f"{pad}{line}" for line in (*inner, *self._update_lines(action, env, room))]
        self.define(f"def a{number}(s, f, out, by, n):", ["    t = s", *lines, "    return n"])

    def _spread(self, part: Term, env: Env) -> Iterator[tuple[Term, Env]]:
        """A conjunct in parts; of those that mention function parameters the quantifiers are unrolled.

        A part of a body may mention none: it is a test of its own, before any cell is chosen.
        """
        if part.op == "and":
            for arg in part.args:
                yield from self._spread(arg, env)
        elif part.op == "forall" and self._unrolled(part):
            for point in itertools.product(*(range(self.instance.size(v.sort)) for v in part.data)):
                yield from self._spread(part.args[0], {**env, **dict(zip(part.data, point, strict=True))})
        else:
            yield part, env

    def _unrolled(self, part: Term) -> bool:
        return _mentions_param(part) and math.prod(self.instance.size(v.sort) for v in part.data) <= MAX_UNROLLED

    def _choices(
        self, cells: Sequence[tuple[Function[Any], int]], tests: list[tuple[Term, Env]], depth: int
    ) -> list[str]:
        """Loops over the cells of the function parameters, each test where the last cell that it needs is chosen."""
        needs = [(self._last_cell(term, env), self.code(term, env)) for term, env in tests]
        lines: list[str] = []
        for number, (function, _) in enumerate(cells):
            pad = "    " * (depth + number)
            lines += [
                f"{pad}for f{number} in range({self.instance.size(function.range)}):",
                f"{pad}    f[{number}] = f{number}",
            ]
            for code in dict.fromkeys(code for last, code in needs if last == number and code != 1):
                lines += [f"{pad}    if not ({text(code)}):", f"{pad}        continue"]
        return lines

    def _last_cell(self, term: Term, env: Env) -> int:
        """The last cell of function parameters that a test depends on."""
        last = -1
        for part in walk(term):
            if part.op == "apply" and part.data[0].kind == "param":
                function = part.data[0]
                if all(v in env for arg in part.args for v in _free(arg)):
                    place = self.place(function, part.args, env, self._tables[function])
                    last = max(last, int(place) if place.isdigit() else self._end(function))
                else:
                    last = max(last, self._end(function))
        return last

    def _end(self, function: Function[Any]) -> int:
        return self._tables[function] + self.instance.cells(function) - 1

    def _update_lines(self, action: Action, env: Env, room: int) -> list[str]:
        """``room``: how many loops may still be nested."""
        lines = ["t[:] = s"]
        for update in action.updates:
            offset = self.instance.offsets[update.variable.name]
            flag = update.variable.range is Bool
            if not update.whole:
                place = self.place(update.variable, update.args, env, offset)
                lines.append(f"t[{place}] = {self._value(update.value, env, flag)}")
                continue
            inner = {**env, **{v: self.name(v) for v in update.args}}
            loops = [(inner[v], self.instance.size(v.sort)) for v in update.args]
            pad = ""
            for group in _grouped(loops, room):
                lines += [pad + line for line in self._heads(group)]
                pad += "    "
            place = self.place(update.variable, update.args, inner, offset)
            lines.append(f"{pad}t[{place}] = {self._value(update.value, inner, flag)}")
        return lines

    def _value(self, term: Term, env: Env, flag: bool) -> str:
        code = self.code(term, env)
        return f"1 if {code} else 0" if flag and isinstance(code, str) else text(code)


Loop = TypeVar("Loop")


def _grouped(loops: Sequence[Loop], room: int) -> list[list[Loop]]:
    """Each loop alone, or, where they would be too many in one another, the last ones together."""
    if len(loops) <= room:
        return [[loop] for loop in loops]
    return [*([loop] for loop in loops[: room - 1]), list(loops[room - 1 :])]


def _unpack_lines(packing: Packing) -> list[str]:
    lines = []
    for n, c in enumerate(packing.cells):
        value = f"(words[{c.word}] >> np.uint64({c.shift})) & np.uint64({c.mask})" if c.bits else "0"
        lines.append(f"    s[{n}] = np.int64({value}) - {-c.low}" if c.low else f"    s[{n}] = {value}")
    return lines


def _pack_lines(packing: Packing) -> list[str]:
    lines = []
    checked = [n for n, c in enumerate(packing.cells) if packing.integer[n]]
    for n in checked:
        lines += [f"    if t[{n}] < {packing.held[0]} or t[{n}] > {packing.held[1]}:", "        return 1"]
    for word in range(packing.words):
        parts = [
            f"(np.uint64(t[{n}]{f' + {-c.low}' if c.low else ''}) << np.uint64({c.shift}))"
            for n, c in enumerate(packing.cells)
            if c.word == word and c.bits
        ]
        lines.append(f"    w[{word}] = {' | '.join(parts) or 'np.uint64(0)'}")
    return [*lines, "    return 0"]


def _implication(body: Term) -> tuple[list[Term], Term | None]:
    """A formula as premises and a conclusion; no conclusion: it must not be that all premises hold."""
    if body.op != "or":
        return [], body
    premises, rest = list[Term](), list[Term]()

    def look(part: Term) -> None:
        if part.op == "or":
            for arg in part.args:
                look(arg)
        elif part.op == "not":
            premises.extend(conjuncts(cast(Bool, part.args[0])))
        else:
            rest.append(part)

    look(body)
    if not rest:
        return premises, None
    return premises, rest[0] if len(rest) == 1 else Bool("or", tuple(rest))


def _free(term: Term) -> set[Term]:
    """The variables that occur free."""
    if term.op == "bound":
        return {term}
    found = set[Term]().union(*map(_free, term.args)) if term.args else set()
    return found - set(term.data) if term.op in ("forall", "exists") else found


def _mentions_param(term: Term) -> bool:
    return any(t.op == "apply" and t.data[0].kind == "param" for t in walk(term))
