"""Asking a spec for evidence in a notebook: ``mtpo.explore(agents=2)``, ``mtpo.prove()``, ``mtpo.ablate()``.

What the commands of these names do of a spec is here, with options of the same names; where a command writes a file,
the answer has a method: ``picture``, ``itf``, ``record``, ``as_json``. The work is that of ``mtpo.proofs``, which is
loaded when it is asked for: a spec alone needs neither a solver nor it. What is asked of no spec alone are functions,
:func:`explain` and :func:`verify`. What is of another type than is declared here, or out of the range that the
command has, and a file or a folder that can't be written, is a ValueError of one line.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

Place = str | Path


class Answer(Protocol):
    """What was found: printed as a table, in a notebook with the counterexamples as pictures.

    ``holds`` everything asked for does; ``verdicts`` one for each property (for each mutant its fate, for each rule
    what breaks without it); ``picture`` writes the runs as a page.
    """

    @property
    def holds(self) -> bool: ...

    @property
    def verdicts(self) -> Sequence[Any]: ...

    def picture(self, path: str) -> str: ...

    def as_json(self) -> dict[str, Any]: ...

    def _repr_html_(self) -> str: ...


class Text(Protocol):
    """What is told of an id or a log: printed as a text."""

    @property
    def lines(self) -> Sequence[str]: ...

    def as_json(self) -> dict[str, Any]: ...

    def _repr_html_(self) -> str: ...


def _silent(text: str) -> None:
    """Nobody is told how far it is."""


class Studied:
    """What can be asked of a spec. ``progress``, where there is one, is called with a line that says how far it is:
    ``progress=print``."""

    def explore(
        self,
        *,
        size: int | None = None,
        faults: bool = False,
        predicates: bool = False,
        limit: int = 5_000_000,
        engine: str | None = None,
        compiled: bool = False,
        symmetry: bool = False,
        jobs: int | None = None,
        checkpoint: Place | None = None,
        checkpoint_every: float = 10.0,
        resume: bool = False,
        coverage: bool = False,
        live: bool = False,
        goal: str | None = None,
        may: Sequence[str] = (),
        walks: int | None = None,
        footprints: int | None = None,
        seed: int | None = None,
        depth: int | None = None,
        unreachable: Mapping[str, str] | None = None,
        progress: Callable[[str], None] = _silent,
        **sizes: int,
    ) -> Answer:
        """Every reachable state of a small instance, as ``mtpo explore`` does, whose help says what each option means.

        ``sizes`` for mtpo are agents, calls (of each agent) and objects; for other specs elements by the name of the
        sort, such as ``Process=3``; ``size`` is that of the sorts not named. ``live`` looks at whole runs, ``walks``
        and ``footprints`` at some of many. ``unreachable`` is what a file lists for ``coverage``. Raises ValueError for
        a size that does not fit, an engine that is not there, and for options that do not go together.
        """
        return cast(Answer, _ask("explored", Studied.explore, locals()))

    def prove(
        self,
        *properties: str,
        property: str | Sequence[str] = (),
        timeout: float = 10.0,
        jobs: int | None = None,
        remember: Place | None = None,
        cvc5: bool = False,
        smt2: Place | None = None,
        progress: Callable[[str], None] = _silent,
    ) -> Answer:
        """The properties (all, if none is named) for any number of elements of each sort, as ``mtpo prove`` does.

        ``timeout`` in seconds for each question to a solver. Raises ValueError for a property that the spec lacks.
        """
        return cast(Answer, _ask("proved", Studied.prove, locals()))

    def mutate(
        self,
        only: str = "",
        *,
        size: int | None = None,
        traces: bool = False,
        equivalent: Mapping[str, str] | None = None,
        progress: Callable[[str], None] = _silent,
    ) -> Answer:
        """Each guard conjunct and each update dropped, as ``mtpo mutate`` does; ``only`` those whose id contains it.

        ``traces`` shows the runs that caught them. ``equivalent`` are mutants that change nothing (``ID`` or
        ``ID@DIGEST``), with the reasons. Raises ValueError for a spec that does not hold as it stands.
        """
        return cast(Answer, _ask("mutated", Studied.mutate, locals()))

    def ablate(
        self,
        only: str = "",
        *,
        size: int | None = None,
        limit: int = 400_000,
        traces: bool = False,
        equivalent: Mapping[str, str] | None = None,
        progress: Callable[[str], None] = _silent,
        **sizes: int,
    ) -> Answer:
        """What breaks when a rule is dropped, each property with a shortest run, as ``mtpo ablate`` does.

        ``only`` rules whose id contains it; ``traces`` shows the runs; ``sizes`` and ``size`` as for :meth:`explore`,
        ``equivalent`` as for :meth:`mutate`. Raises ValueError for a spec that is violated as it stands.
        """
        return cast(Answer, _ask("ablated", Studied.ablate, locals()))

    def explain(self, id: str | None = None, *, rules: bool = False) -> Text:
        """What an id of the spec stands for, its evidence and its mutants, as ``mtpo explain`` does; with ``rules``
        what the papers say, and the clauses that carry it. Raises ValueError for an id that the spec lacks."""
        return cast(Text, _ask("explained", Studied.explain, locals()))


def explain(id: str | None = None, *, rules: bool = False, log: Place | None = None, findings: bool = False) -> Text:
    """What any id stands for: of a built-in spec, a finding (F29), a check of a log (run.gate), a rule (closure); with
    ``log`` what a call of that run (1.4) went through. Raises ValueError for what is none."""
    return cast(Text, _ask("explained", explain, {**locals(), "self": None}))


def verify(
    log: Place,
    *,
    certificate: Place | None = None,
    save: Place | None = None,
    shrink: Place | None = None,
    all: bool = False,
    jobs: int | None = None,
    progress: Callable[[str], None] = _silent,
) -> Text:
    """A run judged by its log, and replayed against the spec, as ``mtpo verify`` does; the answer ``holds`` or not.

    Raises ValueError for a log that can't be read and for files that can't be written.
    """
    return cast(Text, _ask("verified", verify, locals()))


def _ask(what: str, asked: Callable[..., object], given: dict[str, Any]) -> object:
    """What the spec that is ``given`` as self, if one is, answers to what is ``asked`` with the rest."""
    try:
        study = importlib.import_module("mtpo.proofs.notebook.study")
        of = [given.pop("self")] if "self" in given else []
        name = getattr(of[0] if of else None, "name", asked.__name__)
        options = study.checked(name, asked, given)
        with study.places(name):
            return getattr(study, what)(*of, **options)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("z3", "cvc5", "numba", "numpy"):
            raise ModuleNotFoundError(
                f"this needs {error.name}: pip install '.[verify]' in a clone", name=error.name
            ) from None
        raise
