"""Why a log stops being a run of the spec: of the first record that is no step, every guard clause that is false, the
elements for which it is, the facts that make it so, since when, and which step would make it true.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.blocks import TAB
from mtpo.proofs.catalogue import Catalogue
from mtpo.proofs.compiling import Compiler
from mtpo.proofs.disjuncts import Atom, Compare, Disjunct, Literal, Never, Operand, disjuncts, free, name_of
from mtpo.proofs.incremental import Incremental
from mtpo.proofs.numbering import OF_AGENTS, SLICED, Numbering, Taken
from mtpo.proofs.replay import Progress, Run, Sparse
from mtpo.spec.language import Action, Clause, Term
from mtpo.spec.mtpo import Agent, Call
from mtpo.spec.records import Record
from mtpo.spec.terms import Function

_SIGNS: Final = {"eq": "=", "ne": "!=", "lt": "<", "le": "<="}


@attrs.frozen
class FalseClause:
    """A guard clause that is false. ``elements`` for which (name, value), and the ``facts`` there; ``until`` says which
    record made it false, empty if it never held; ``remedies`` are steps possible here that would make it true."""

    id: str
    formula: str
    elements: tuple[tuple[str, str], ...]
    facts: tuple[str, ...]
    until: str
    remedies: tuple[str, ...]

    def lines(self) -> list[str]:
        """The clause as text."""
        out = [f"{self.id} is false: {self.formula}"]
        if self.elements:
            out.append(f"  for {', '.join(f'{name} = {value}' for name, value in self.elements)}")
        if self.facts:
            out.append(f"  since {', '.join(self.facts)}")
        out.append(f"  it held until {self.until}" if self.until else "  it had never held before")
        if self.remedies:
            out.append(f"  it would hold after: {', '.join(self.remedies)}")
        return out


@attrs.frozen
class Unmatched:
    """The record that is no step, its false clauses, and the steps of its agent and call that are possible instead."""

    record: Record
    clauses: tuple[FalseClause, ...]
    instead: tuple[str, ...]

    def lines(self) -> list[str]:
        """The whole as text."""
        record = self.record
        head = f"record {record.seq} ({record.kind}{f' {record.call}' if record.call else ''}) is no step of the spec"
        out = [head, *(line for clause in self.clauses for line in clause.lines())]
        return [*out, f"possible here: {', '.join(self.instead) if self.instead else 'no step of this agent or call'}"]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "record": self.record.seq,
            "clauses": [attrs.asdict(clause) for clause in self.clauses],
            "instead": list(self.instead),
        }


Witness = Callable[..., "tuple[int, dict[str, int]] | None"]


class _Finder:
    """Finds the elements for which a clause is false; None if it holds."""

    def __init__(self, spec: Incremental, action: Action, clause: Clause) -> None:
        self.disjuncts = disjuncts(clause.formula, False)
        self.catalogue: Catalogue = spec.program.catalogue
        compiler = Compiler(spec.spec, tuple(SLICED.items()), catalogue=self.catalogue)
        params, before = self.catalogue.parameters(action), len(self.catalogue.source)
        out = [f"def witness({', '.join(params)}):"]
        for place, given in enumerate(self.disjuncts):
            found = self.catalogue.given(given)
            if found is None:
                continue
            named = found.names & {name for x in found.literals for name in free(x)}
            lines = compiler.search(found, params, lambda place=place: [f"return {place}, locals()"], sorted(named))  # type: ignore[misc]
            out += [f"{TAB}{line}" for line in lines]
        text = "\n".join([*self.catalogue.source[before:], *out, f"{TAB}return None"])
        self.find: Witness = spec.define(text, "witness")


def unmatched(
    records: Sequence[Record],
    place: int,
    absent: str | None = None,
    progress: Progress = lambda done, total: None,
) -> Unmatched:
    """Why the record at a place is no step, all before it being some (:attr:`mtpo.proofs.replay.Replay.refused`)."""
    numbering = Numbering(records, absent)
    step = numbering.step(records[place])
    assert step is not None
    sparse = Sparse(numbering)
    run = Run(numbering, sparse)
    action = sparse.spec.spec.actions[step[0]]
    finders = {clause.id: _Finder(sparse.spec, action, clause) for clause in action.guard}
    held: dict[str, bool] = {id: finder.find(*step[1]) is None for id, finder in finders.items()}
    until: dict[str, Record] = {}
    for number, record in enumerate(itertools.islice(records, place)):
        if number % 4096 == 0:
            progress(number, place)
        taken = run.steps
        run.take(record)
        if run.steps != taken:
            for id, finder in finders.items():
                now = finder.find(*step[1]) is None
                if held[id] and not now:
                    until[id] = record
                held[id] = now
    clauses = []
    for clause in action.guard:
        found = finders[clause.id].find(*step[1])
        if found is not None:
            told = _Told(numbering, sparse.spec, action, step)
            remedies = [
                told.named(other)
                for other in _near(numbering, sparse, step, found[1].values())
                if _makes(sparse, other, lambda clause=clause: finders[clause.id].find(*step[1]) is None)  # type: ignore[misc]
            ]
            elements, facts = told.of(finders[clause.id].disjuncts[found[0]], found[1])
            last = until.get(clause.id)
            ended = "" if last is None else f"record {last.seq} ({last.kind}{f' {last.call}' if last.call else ''})"
            clauses.append(FalseClause(clause.id, repr(clause.formula), elements, facts, ended, tuple(remedies)))
    told = _Told(numbering, sparse.spec, action, step)
    instead = [told.named(s) for s in _near(numbering, sparse, step, ()) if sparse.refused(s) is None]
    return Unmatched(records[place], tuple(clauses), tuple(instead))


def _near(numbering: Numbering, sparse: Sparse, step: Taken, more: Any) -> Iterator[Taken]:
    """Steps by the calls and agents that a step names, who undoes those, and ``more``; functions are 0 everywhere."""
    spec = sparse.spec.spec
    first = [step[1][0]] if step[1] and spec.actions[step[0]].params else []
    sorts = [p.sort for p in spec.actions[step[0]].elements]
    numbers = {n for n in more if isinstance(n, int)}
    calls = {n for n in (*numbers, *(first if Call in sorts else [])) if 0 < n <= len(numbering.keys)}
    calls |= {sparse.spec.value("undoer", n) for n in calls} - {0}
    agents = {numbering.keys[n - 1][0] for n in calls} | {n for n in numbers if n < numbering.agents}
    agents |= set(first) if Agent in sorts else set()
    for action in spec.actions.values():
        if any(p.sort not in (Agent, Call) for p in action.elements):
            continue
        choices: list[Any] = [
            [{}] if isinstance(p, Function) else sorted(calls if p.sort is Call else agents) for p in action.params
        ]
        yield from ((action.name, args) for args in itertools.product(*choices))


def _makes(sparse: Sparse, step: Taken, holds: Callable[[], bool]) -> bool:
    """Whether a step may be taken, and something holds then; nothing is changed in the end."""
    if sparse.refused(step) is not None:
        return False
    sparse.perform(step)
    found = holds()
    sparse.spec.take_back()
    return found


class _Told:
    """A search that succeeded, in the names of the log."""

    def __init__(self, numbering: Numbering, spec: Incremental, action: Action, step: Taken) -> None:
        self.numbering, self.catalogue = numbering, spec.program.catalogue
        self.given = {name_of(p): (str(p.data[0]), p.sort) for p in action.params if not isinstance(p, Function)}

    def named(self, step: Taken) -> str:
        """A step in the names of the log."""
        if not step[1]:
            return step[0]
        sort = Agent if step[0] in OF_AGENTS else Call
        who = self.numbering.element(sort, step[1][0])
        return f"{step[0]} of rank {who}" if sort is Agent else f"{step[0]} {who}"

    def of(self, found: Disjunct, values: Mapping[str, int]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """The elements, and the facts, of an instance."""
        sorts: dict[str, type[Term]] = {name: sort for name, (_, sort) in self.given.items()} | dict(found.variables)
        own = {x.value: x for x in found.literals if isinstance(x, Atom) and x.value is not None}
        for name, atom in own.items():
            sorts[str(name)] = self.catalogue.signatures[atom.symbol].range
        elements = tuple(
            (name.rpartition("_")[0], self.numbering.element(sort, values[name]))
            for name, sort in sorts.items()
            if name in values and name not in own
        )

        def shown(operand: Operand) -> str:
            if isinstance(operand, str) and operand in own:
                atom = own[operand]
                text = f"{atom.symbol[2:]}({', '.join(map(shown, atom.args))})"
                return text if operand not in values else f"{text} ({element(operand)})"
            return element(operand)

        def element(operand: Operand) -> str:
            if isinstance(operand, str) and operand in values and operand in sorts:
                return self.numbering.element(sorts[operand], values[operand])
            return "the initial state" if operand == "K__origin" else str(operand).removeprefix("K__")

        facts = [text for x in found.literals if x not in own.values() and (text := fact(x, shown, element))]
        return elements, tuple(dict.fromkeys(facts))


def fact(literal: Literal, shown: Callable[[Operand], str], element: Callable[[Operand], str]) -> str:
    """A literal as text; empty for what would say nothing."""
    if isinstance(literal, Never):
        return ""
    if isinstance(literal, Compare):
        if literal.op == "eq" and literal.right == 0 and isinstance(literal.left, str) and literal.left[:3] == "K__":
            return f"not {literal.left[3:]}"
        return f"{shown(literal.left)} {_SIGNS[literal.op]} {shown(literal.right)}"
    args = f"({', '.join(map(element, literal.args))})" if literal.args else ""
    return f"{'' if literal.positive else 'not '}{literal.symbol[2:]}{args}"


__all__ = ["FalseClause", "Unmatched", "unmatched"]
