"""What a spec answers in a notebook to ``explore()``, ``prove()`` and ``mutate()``: tables, and pictures."""

from __future__ import annotations

import abc
import contextlib
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from mtpo.proofs.explore import ENGINES, Engine, Exploration, explore
from mtpo.proofs.instances import is_mtpo, mtpo_instance, sizes_for, small_instance
from mtpo.proofs.picture import Case, pictures_of, reasons_of, timeline_of, write_picture
from mtpo.proofs.verdicts import Status, Verdict
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Spec
from mtpo_core.view.tables import state_table
from mtpo_core.view.texts import clip, counted, visible

_GOOD = (Status.PROVED, Status.CHECKED)
_COLOURS: Mapping[str, str] = {
    "PROVED": "#23774d",
    "CHECKED": "#23774d",
    "killed": "#23774d",
    "equivalent": "#5b6069",
    "UNKNOWN": "#97620a",
}
_BAD = "#bf3527"


class StudyError(ValueError):
    """A question that does not fit the spec: one line that says what would."""


@attrs.frozen(repr=False)
class _Answer(abc.ABC):
    """A title, rows of (word, id, remark), and the counterexamples."""

    spec: Spec
    title: str

    @abc.abstractmethod
    def rows(self) -> Iterable[tuple[str, str, str]]:
        """What is shown, a line each."""

    def cases(self) -> Sequence[Case]:
        """The counterexamples."""
        return ()

    def picture(self, path: str) -> str:
        """Write the counterexamples as a page in one file; returns its path. Raises StudyError if there are none."""
        if not write_picture(self.cases(), Path(path), self.title):
            raise StudyError(f"{self.spec.name}: nothing is violated, so there is nothing to draw")
        return path

    def __repr__(self) -> str:
        lines = [self.title, *(f"{word:<10} {id:<36} {remark}".rstrip() for word, id, remark in self.rows())]
        for case in self.cases():
            lines += ["", f"{case.property}:", *(f"  {line}" for line in case.trace.lines())]
            lines += [f"  {line}" for reason in reasons_of(case.trace, case.property) for line in reason.lines()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="color:{_COLOURS.get(word, _BAD)};text-align:left;padding-right:14px">{_text(word)}</td>'
            f'<td style="font-family:monospace;text-align:left;padding-right:14px">{_text(id)}</td>'
            f'<td style="text-align:left">{_text(remark)}</td></tr>'
            for word, id, remark in self.rows()
        )
        return f"<div><p>{_text(self.title)}</p><table>{rows}</table>{''.join(map(_drawn, self.cases()))}</div>"


def _drawn(case: Case) -> str:
    """A counterexample without script: the verdict, why, and the states."""
    line = timeline_of(case)
    why = _text("\n".join(line.verdict.reasons))
    return (
        f'<h4 style="color:{_BAD};margin:14px 0 4px">{_text(line.verdict.sentence)}</h4>'
        f'<pre style="white-space:pre-wrap">{why}</pre>{state_table(line.states) if line.states else ""}'
    )


def _text(text: str) -> str:
    return html.escape(visible(clip(text, 2_000)))


def _remark(verdict: Verdict, english: str) -> str:
    why = verdict.detail.get("why", "")
    return f"{verdict.method}: {why}" if why else f"{verdict.method}   {english}".strip()


@attrs.frozen(repr=False)
class Explored(_Answer):
    """What an exploration showed; ``exploration`` has the counts."""

    exploration: Exploration

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """One for each property."""
        return self.exploration.verdicts

    @property
    def holds(self) -> bool:
        """Everything holds, in every state that can be reached."""
        return all(v.status in _GOOD for v in self.verdicts)

    def rows(self) -> Iterable[tuple[str, str, str]]:
        for v in self.verdicts:
            yield str(v.status), v.property, _remark(v, _english(self.spec, v.property))

    def cases(self) -> Sequence[Case]:
        return pictures_of(self.verdicts)


@attrs.frozen(repr=False)
class Proved(_Answer):
    """What a solver showed for any number of elements."""

    verdicts: Sequence[Verdict]

    @property
    def holds(self) -> bool:
        """Everything asked for is proven."""
        return all(v.status in _GOOD for v in self.verdicts)

    def rows(self) -> Iterable[tuple[str, str, str]]:
        for v in self.verdicts:
            yield str(v.status), v.property, _remark(v, _english(self.spec, v.property))

    def cases(self) -> Sequence[Case]:
        return pictures_of(self.verdicts)


@attrs.frozen(repr=False)
class Mutated(_Answer):
    """What became of each mutant: ``verdicts`` are their fates."""

    verdicts: Sequence[Any]

    @property
    def holds(self) -> bool:
        """Every mutant is caught, or is known to change nothing."""
        return not any(f.survived or f.mislisted for f in self.verdicts)

    def rows(self) -> Iterable[tuple[str, str, str]]:
        for f in self.verdicts:
            word = (
                "MISLISTED" if f.mislisted else "SURVIVED" if f.survived else "killed" if f.killed_by else "equivalent"
            )
            yield word, f.mutant.id, ", ".join(f.killed_by) or f.reason or f.mutant.what

    def trace(self, id: str) -> Case:
        """How a mutant was caught, to be drawn. Raises StudyError when there is no run that shows it."""
        for f in self.verdicts:
            if f.mutant.id == id and f.trace is not None and f.killed_by:
                return Case(f.trace, f.killed_by[0], tab=f"without {id}")
        raise StudyError(f"{id}: no mutant of that id was caught by a run")


def _english(spec: Spec, id: str) -> str:
    found = spec.properties.get(id) or spec.variants.get(id)
    return found.doc if found else ""


# -- questions ---------------------------------------------------------------------------------------------------------


def explored(
    spec: Spec, *, size: int | None, limit: int, engine: str, symmetry: bool, sizes: Mapping[str, int]
) -> Explored:
    """See ``Spec.explore``."""
    instance, initial = instance_of(spec, size, sizes)
    engine = engine or ("numpy" if symmetry else "python")
    if engine not in ENGINES:
        raise StudyError(f"{spec.name}: no engine {engine!r}; there are {', '.join(ENGINES)}")
    found = explore(instance, initial, limit=limit, engine=cast(Engine, engine), symmetry=symmetry)
    elements = ", ".join(f"{n} {sort.__name__}" for sort, n in instance.sizes.items())
    extent = "all states" if found.complete else "not all states"
    title = f"{spec.name}: {elements}; {found.states:,} states, {found.transitions:,} steps, {extent}"
    return Explored(spec, title, found)


_OF_MTPO: Mapping[str, int] = {"agents": 2, "calls": 1, "objects": 2}
_MOST: Mapping[str, int] = {"agents": 4, "calls": 4, "objects": 3}
"""What is explored of mtpo in a lifetime; other specs have up to six elements of a sort."""


def instance_of(spec: Spec, size: int | None, sizes: Mapping[str, int]) -> tuple[Instance, Any]:
    """The instance that sizes by name mean, and its initial states. Raises :class:`StudyError` for a size it lacks."""
    known = _OF_MTPO if is_mtpo(spec) else {sort.__name__: n for sort, n in sizes_for(spec, size).items()}
    for name, n in ({} if size is None else {"size": size}).items() | sizes.items():
        if name not in known and (name != "size" or is_mtpo(spec)):
            raise StudyError(f"{spec.name}: no size {name!r}; it has {', '.join(known)}")
        if not isinstance(n, int) or n < 1:
            raise StudyError(f"{spec.name}: {name}={n!r}: a size is a number of at least 1")
        if n > (most := _MOST[name] if is_mtpo(spec) else 6):
            raise StudyError(f"{spec.name}: {name}={n}: at most {most}, or there are more states than can be looked at")
    chosen = {**known, **sizes}
    if is_mtpo(spec):
        return mtpo_instance(chosen["agents"], chosen["calls"], chosen["objects"], spec=spec)
    return small_instance(spec, {sort: chosen[sort.__name__] for sort in spec.sorts})


def proved(spec: Spec, *, properties: Sequence[str], timeout: float, cvc5: bool) -> Proved:
    """See ``Spec.prove``."""
    from mtpo.proofs.inductive import prove
    from mtpo.proofs.second import SecondSolver
    from mtpo.proofs.surviving import proven

    provable = [*(p.id for p in spec.role("invariant", "lemma", "step")), *spec.variants]
    for id in properties:
        if id not in provable:
            raise StudyError(f"{spec.name}: {id!r} is nothing to prove; there are {', '.join(provable)}")
    with SecondSolver(timeout) if cvc5 else contextlib.nullcontext() as second:

        def asked(what: Spec, ids: frozenset[str]) -> list[Verdict]:
            return prove(what, properties=ids, timeout_ms=int(timeout * 1000), confirm=second)

        verdicts, _ = proven(spec, properties or provable, asked, asked)
    count = sum(v.status is Status.PROVED for v in verdicts)
    return Proved(spec, f"{spec.name}: {count} of {len(verdicts)} proved, for any number of elements", verdicts)


def mutated(spec: Spec, *, only: str, size: int | None, equivalent: Mapping[str, str]) -> Mutated:
    """See ``Spec.mutate``."""
    from mtpo.proofs.chosen import held_before, mutate_chosen
    from mtpo.proofs.listed import check_listed
    from mtpo.proofs.mutate import EQUIVALENT, mutants, mutate
    from mtpo_core.cli.specs import find_source

    check_listed(equivalent, mutants(spec), f"{spec.name}: equivalent")
    built_in = find_source(None)
    ours = any(one is spec for one in built_in.specs)
    listed = {**EQUIVALENT, **(built_in.equivalent if ours else {}), **equivalent}
    if only:
        held = ours and size is None and held_before(spec.name)
        fates = mutate_chosen(spec, only, held=held, equivalent=listed, size=size)
    else:
        fates = mutate(spec, size=size, equivalent=listed)
    if not fates:
        raise StudyError(f"{spec.name}: no mutant's id contains {only!r}; an id is SPEC.ACTION.CLAUSE")
    killed = sum(bool(f.killed_by) for f in fates)
    return Mutated(spec, f"{spec.name}: {counted(len(fates), 'mutant')}, {killed} killed", fates)
