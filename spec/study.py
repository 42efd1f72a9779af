"""Asking a spec for evidence in a notebook: ``mtpo.explore(agents=2)``, ``mtpo.prove()``, ``mtpo.ablate()``.

What the commands of these names do of a spec is here, with options of the same names; where a command writes a file,
the answer has a method: ``picture``, ``itf``, ``record``, ``as_json``. The work is that of ``mtpo.proofs``, which is
loaded when it is asked for: a spec alone needs neither a solver nor it. What is asked of no spec alone are functions,
:func:`explain` and :func:`verify`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

Place = str | Path

_TEXT: Final = (str, type(None))
_WANTED: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "only": ((str,), "a text, part of an id"),
    "id": (_TEXT, "a text, such as 'mtpo.one-way'"),
    "goal": (_TEXT, "a text, the id of a property"),
    "engine": (_TEXT, "a text, such as 'numpy'"),
    "timeout": ((int, float), "seconds"),
    "checkpoint_every": ((int, float), "seconds"),
    "equivalent": ((Mapping,), "reasons by mutant, such as {'ID': 'because ...'}"),
    "unreachable": ((Mapping,), "reasons by what is not exercised, such as {'ID': 'because ...'}"),
}
"""What some options are, and how that is said to who gives something else."""


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
        given = {name: value for name, value in locals().items() if name != "self"}
        given |= {"checkpoint": _path(checkpoint), "may": _several(may), "unreachable": unreachable or {}}
        return cast(Answer, _ask("explored", self, **given))

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
        given = {"timeout": timeout, "jobs": jobs, "cvc5": cvc5, "progress": progress}
        wanted = (*properties, *_several(property))
        return cast(
            Answer, _ask("proved", self, properties=wanted, remember=_path(remember), smt2=_path(smt2), **given)
        )

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
        given = {"only": only, "size": size, "traces": traces, "progress": progress}
        return cast(Answer, _ask("mutated", self, equivalent=equivalent or {}, **given))

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
        given = {"only": only, "size": size, "sizes": sizes, "limit": limit, "traces": traces, "progress": progress}
        return cast(Answer, _ask("ablated", self, equivalent=equivalent or {}, **given))

    def explain(self, id: str | None = None, *, rules: bool = False) -> Text:
        """What an id of the spec stands for, its evidence and its mutants, as ``mtpo explain`` does; with ``rules``
        what the papers say, and the clauses that carry it. Raises ValueError for an id that the spec lacks."""
        return cast(Text, _ask("explained", self, id=id, rules=rules, log=None, findings=False))


def explain(id: str | None = None, *, rules: bool = False, log: Place | None = None, findings: bool = False) -> Text:
    """What any id stands for: of a built-in spec, a finding (F29), a check of a log (run.gate), a rule (closure); with
    ``log`` what a call of that run (1.4) went through. Raises ValueError for what is none."""
    return cast(Text, _ask("explained", None, id=id, rules=rules, log=_path(log), findings=findings))


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
    places = {"certificate": _path(certificate), "save": _path(save), "shrink": _path(shrink)}
    return cast(Text, _ask("verified", _path(log), every=all, jobs=jobs, progress=progress, **places))


def _path(place: Place | None) -> Path | None:
    if not isinstance(place, str | Path | None):
        raise ValueError(f"{place!r}: wants the path of a file or a folder")
    return None if place is None else Path(place)


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    for name in found:
        if not isinstance(name, str):
            raise ValueError(f"{name!r}: wants a text, a name or several")
    return found


def _ask(what: str, of: Studied | Path | None, **given: Any) -> object:
    for name, (kinds, wants) in _WANTED.items():
        if name in given and not isinstance(given[name], kinds):
            whose = getattr(of, "name", what.removesuffix("ed"))
            raise ValueError(f"{whose}: {name}={given[name]!r}: wants {wants}")
    try:
        study = importlib.import_module("mtpo.proofs.study")
        return getattr(study, what)(of, **given)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("z3", "cvc5", "numba", "numpy"):
            raise ModuleNotFoundError(
                f"this needs {error.name}: pip install '.[verify]' in a clone", name=error.name
            ) from None
        raise
