"""What a spec answers in a notebook to ``explore()``: the options are the command's, and so is what it refuses."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import typer

from mtpo.proofs.exploration.instances import is_mtpo
from mtpo.proofs.exploration.refuted import with_refuting_runs
from mtpo.proofs.notebook.answers import Explored, OfVerdicts, StudyError
from mtpo.proofs.notebook.sizing import drawn_of, instance_of
from mtpo.spec.language import Spec
from mtpo_core.view.texts import counted

Tell = Callable[[str], None]


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """What a command refuses with a line on standard error is a :class:`StudyError`, options by their names here."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except typer.Exit:
        line = said.getvalue().strip().removeprefix("mtpo: ").removeprefix(f"{what}: ")
        line = re.sub(r"--([a-z][a-z0-9-]*)", lambda option: option[1].replace("-", "_"), line)
        raise StudyError(f"{what}: {line}") from None


@attrs.frozen(kw_only=True)
class Exploring:
    """The options of ``Spec.explore``, by the names that they have on the command line."""

    size: int | None = None
    sizes: Mapping[str, int]
    faults: bool
    predicates: bool
    limit: int
    engine: str | None
    compiled: bool
    symmetry: bool
    jobs: int | None
    checkpoint: Path | None
    checkpoint_every: float
    resume: bool
    coverage: bool
    live: bool
    goal: str | None
    may: Sequence[str]
    walks: int | None
    footprints: int | None
    seed: int | None
    depth: int | None
    unreachable: Mapping[str, str]
    progress: Tell

    def way(self, spec: Spec) -> Any:
        """How it is explored. Raises :class:`StudyError` for options that do not go together."""
        from mtpo_core.cli.explored import check_what_goes_together
        from mtpo_core.cli.exploring import Way, engine_of

        modes = {name: getattr(self, name) for name in ("live", "walks", "footprints", "coverage")}
        options = {name: getattr(self, name) for name in ("goal", "seed", "depth", "checkpoint")}
        options |= {"may": list(self.may), "record": None}
        with refusing(spec.name):
            engine = engine_of(self.engine, self.compiled, self.symmetry)
            check_what_goes_together(
                {f"--{name}": given for name, given in modes.items()},
                {f"--{name}": given for name, given in options.items()},
                engine in ("auto", "python") and not self.symmetry and self.jobs is None,
            )
            every = self.checkpoint_every
            way = Way(engine, self.limit, self.symmetry, self.jobs, self.checkpoint, every, self.resume)
        if self.footprints and (way.engine not in ("auto", "numpy") or self.symmetry):
            raise StudyError(f"{spec.name}: footprints are explored by numpy: leave out engine and symmetry")
        if self.footprints and not is_mtpo(spec):
            raise StudyError(f"{spec.name}: footprints are those of mtpo; walks looks at states of any spec")
        return way

    def made(self, spec: Spec) -> tuple[Any, Any]:
        """The instance, and its initial states."""
        chosen = {"faults": self.faults, "predicates": self.predicates}
        return instance_of(spec, self.size, self.sizes, limit=self.limit, **chosen)

    def saved_as(self) -> dict[str, Any]:
        """What a checkpoint of mtpo is of, as the command says it."""
        from mtpo_core.cli.sized import Sizes

        agents, calls, objects = (self.sizes.get(name) for name in ("agents", "calls", "objects"))
        return Sizes(agents, calls, objects, self.faults, self.predicates, None).options()


def explored(spec: Spec, **options: Any) -> OfVerdicts:
    """See ``Spec.explore``."""
    asked = Exploring(**options)
    way = asked.way(spec)
    if asked.walks:
        return _walked(spec, asked)
    instance, initial = asked.made(spec)
    if asked.footprints:
        return _footprints(spec, asked, instance)
    if asked.live:
        return _live(spec, asked, instance, initial)
    if not spec.role("invariant", "lemma", "step", "reachable"):
        raise StudyError(f"{spec.name}: no invariant, step property or reachable formula to check")
    from mtpo_core.cli.common import frontier
    from mtpo_core.cli.covered import measure
    from mtpo_core.cli.exploring import saying_what_is_saved

    with refusing(spec.name):
        saved = way.saved(instance, asked.saved_as())
    with saying_what_is_saved(saved):
        found = way.explore(instance, initial, saved, asked.progress)
    found = with_refuting_runs(found, initial)
    covered = None
    if asked.coverage:
        with refusing(spec.name):
            covered = measure(instance, initial, asked.limit, asked.unreachable, frontier(asked.progress))
    extent = "all states" if found.complete else "not all states"
    title = f"{_elements(instance)}; {counted(found.states, 'state')}, {counted(found.transitions, 'step')}, {extent}"
    return Explored(spec, title, found.verdicts, found, coverage=covered)


def _elements(instance: Any) -> str:
    sizes = ", ".join(f"{n} {sort.__name__}" for sort, n in instance.sizes.items())
    return f"{instance.spec.name}: {sizes or 'no sorts'}"


def _walked(spec: Spec, asked: Exploring) -> OfVerdicts:
    from mtpo.proofs.exploration.walks import DEPTH, walk

    instance, draw = drawn_of(spec, asked.size, asked.sizes, faults=asked.faults, predicates=asked.predicates)
    if not spec.role("invariant", "lemma", "step"):
        raise StudyError(f"{spec.name}: no invariant or step property to check")

    def tell(done: int, steps: int) -> None:
        asked.progress(f"{done:,} of {asked.walks:,} walks, {steps:,} steps")

    depth, seed = asked.depth or DEPTH, asked.seed or 0
    found = walk(instance, draw, walks=asked.walks or 0, seed=seed, depth=depth, progress=tell)
    numbers = ((found.walks, "walk"), (found.steps, "step"), (found.states, "state"))
    extent = f"{', '.join(counted(number, noun) for number, noun in numbers)}, seed {found.seed}"
    more = _never(found.taken, found.unreached, "on these walks")
    return OfVerdicts(spec, f"{_elements(instance)}; {extent}", found.verdicts, found, more)


def _footprints(spec: Spec, asked: Exploring, instance: Any) -> OfVerdicts:
    from mtpo.proofs.exploration.footprints import explore_footprints

    count = asked.footprints or 0
    how: dict[str, Any] = {"seed": asked.seed or 0, "limit": asked.limit, "jobs": asked.jobs}
    found = explore_footprints(instance, count, **how, progress=lambda now: asked.progress(now.text(count)))
    extent = f"{found.explored:,} of {found.total:,} footprints, seed {found.seed}; {found.found.states:,} states"
    more = _never(found.found.taken, found.unreached, "in these footprints")
    return OfVerdicts(spec, f"{_elements(instance)}; {extent}", found.verdicts, found, more)


def _never(taken: Mapping[str, int], unreached: Sequence[str], where: str) -> list[str]:
    idle = [name for name, count in taken.items() if not count]
    told = (("never taken", idle), ("never reached", unreached))
    return [f"{what} {where}: {', '.join(ids)}" for what, ids in told if ids]


def _live(spec: Spec, asked: Exploring, instance: Any, initial: Any) -> OfVerdicts:
    from mtpo.proofs.exploration.liveness import check_goal
    from mtpo_core.cli.common import frontier
    from mtpo_core.cli.lively import _goal

    with refusing(spec.name):
        goal = _goal(spec, asked.goal, asked.may)
    found = check_goal(instance, initial, goal, limit=asked.limit, progress=frontier(asked.progress))
    extent = "all runs" if found.complete else "not all runs"
    title = f"{_elements(instance)}; {counted(found.states, 'state')}, {counted(found.transitions, 'step')}, {extent}"
    more = [f"{goal.id}: {goal.doc}"]
    if needless := [name for name in spec.actions if name in goal.may]:
        more.append(f"need never be taken: {', '.join(needless)}")
    if found.complete:
        cycles = f"{found.cyclic:,} states on cycles" if found.cyclic else "no cycle"
        more.append(f"a run may end in {counted(found.ends, 'state')}, {cycles}")
    return OfVerdicts(spec, title, [found.verdict], found, more)
