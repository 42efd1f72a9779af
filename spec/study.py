"""Asking a spec for evidence in a notebook: ``mtpo.explore(agents=2)``, ``mtpo.prove()``, ``mtpo.mutate()``.

The work is that of ``mtpo.proofs``, which is loaded when it is asked for: a spec alone needs neither a solver nor it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast


class Answer(Protocol):
    """What was found: printed as a table, in a notebook with the counterexamples as pictures.

    ``holds`` everything asked for does; ``verdicts`` one for each property (for each mutant, its fate); ``picture``
    writes the counterexamples as a page.
    """

    @property
    def holds(self) -> bool: ...

    @property
    def verdicts(self) -> Sequence[Any]: ...

    def picture(self, path: str) -> str: ...

    def _repr_html_(self) -> str: ...


class Studied:
    """What can be asked of a spec."""

    def explore(
        self,
        *,
        size: int | None = None,
        limit: int = 5_000_000,
        engine: str = "",
        symmetry: bool = False,
        **sizes: int,
    ) -> Answer:
        """Every reachable state of a small instance, as ``mtpo explore`` does.

        ``sizes`` for mtpo are agents, calls (of each agent) and objects; for other specs elements by the name of the
        sort, such as ``Process=3``; ``size`` is that of the sorts not named. ``engine`` python, compiled, numpy, torch
        or cupy; python unless there is ``symmetry``. Raises ValueError for a size that does not fit, and for an engine
        that is not there.
        """
        given = {"size": size, "limit": limit, "engine": engine, "symmetry": symmetry, "sizes": sizes}
        return cast(Answer, _ask("explored", self, **given))

    def prove(self, *properties: str, timeout: float = 10.0, cvc5: bool = False) -> Answer:
        """The properties (all, if none is named) for any number of elements of each sort, as ``mtpo prove`` does.

        ``timeout`` in seconds for each question to a solver. Raises ValueError for a property that the spec lacks.
        """
        return cast(Answer, _ask("proved", self, properties=properties, timeout=timeout, cvc5=cvc5))

    def mutate(self, only: str = "", *, size: int | None = None, equivalent: Mapping[str, str] | None = None) -> Answer:
        """Each guard conjunct and each update dropped, as ``mtpo mutate`` does; ``only`` those whose id contains it.

        ``equivalent`` are mutants that change nothing (``ID`` or ``ID@DIGEST``), with the reasons. Raises ValueError
        for a spec that does not hold as it stands.
        """
        return cast(Answer, _ask("mutated", self, only=only, size=size, equivalent=equivalent or {}))


def _ask(what: str, spec: Studied, **given: Any) -> object:
    try:
        study = importlib.import_module("mtpo.proofs.study")
        return getattr(study, what)(spec, **given)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("z3", "cvc5", "numba", "numpy"):
            how = "pip install '.[verify]' in a clone"
            raise ModuleNotFoundError(f"this needs {error.name}: {how}", name=error.name) from None
        raise
