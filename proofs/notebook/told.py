"""What is told in a notebook of an id, and of the log of a run: the text of ``mtpo explain`` and ``mtpo verify``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from mtpo.proofs.notebook.answers import StudyError, built_in, places, text
from mtpo.proofs.notebook.exploring import refusing
from mtpo.proofs.replay.judge import Judgment, judge
from mtpo.spec.language import Spec

_LONG = 200_000
"""Characters of a text that are shown in a notebook."""


@attrs.frozen(repr=False)
class Told:
    """A text; ``found`` is what it is of, ``as_json()`` the same as plain data."""

    lines: tuple[str, ...]
    data: Mapping[str, Any]
    found: Any = None

    def as_json(self) -> dict[str, Any]:
        """Plain data, as ``--json`` prints it."""
        return dict(self.data)

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        return f'<pre style="white-space:pre-wrap">{text(repr(self), _LONG)}</pre>'


@attrs.frozen(repr=False)
class Finding(Told):
    """A finding, whose traces can be drawn."""

    def picture(self, path: str) -> str:
        """Draw its traces, what mends it and the evidence for that, as a page in one file; returns its path."""
        from mtpo_core.cli.common import out
        from mtpo_core.cli.explained_findings import draw_finding

        with refusing(self.data["id"]), places(self.data["id"]), out.capture():
            draw_finding(self.data["id"], Path(path), False)
        return path


@attrs.frozen(repr=False)
class Verified(Told):
    """The judgment of a run by its log, in ``found``."""

    @property
    def holds(self) -> bool:
        """Nothing is violated, and nothing is left open."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """That of the command: 0 holds, 1 violated, 3 not known."""
        judgment: Judgment = self.found
        return judgment.exit_code


def explained(
    spec: Spec | None, *, id: str | None, rules: bool, log: Path | None = None, findings: bool = False
) -> Told:
    """See :func:`mtpo.spec.study.explain`."""
    what = id or (spec.name if spec else "explain")
    given = [name for name, one in (("rules", rules), ("log", log), ("findings", findings)) if one]
    if len(given) > 1 or (findings and (id is not None or spec is not None)):
        raise StudyError(f"{what}: {' and '.join(given)} means nothing here: give an id, or one of them")
    if findings:
        return _findings()
    if log is not None:
        return _story(log, id)
    if rules:
        return _rules(what, id or (spec.name if spec else ""))
    if id is None:
        raise StudyError(f"{what}: explain wants an id, such as mtpo.one-way, or rules=True")
    return _of_specs(spec, id) if spec is not None else _any(id)


def _findings() -> Told:
    from mtpo.proofs.findings import findings

    every = list(findings().values())
    rows = tuple(f"{one.id:<4} {one.title}" for one in every)
    return Told(rows, {"findings": [one.as_json() for one in every]}, every)


def _any(id: str) -> Told:
    """Whatever has that id."""
    from mtpo_core.cli.explain import is_of_rules

    if is_of_rules(id):
        return _rules(id, id)
    return _other(id) or _of_specs(None, id)


def _other(id: str) -> Told | None:
    """A finding, a rule, a check of a log and the like, if it is one."""
    from mtpo_core.cli.explained import explained as other
    from mtpo_core.cli.specs import find_specs

    found = other(id, find_specs(None))
    if found is None:
        return None
    make = Finding if found.data["kind"] == "finding" else Told
    return make(found.lines, found.data, found)


def _of_specs(spec: Spec | None, id: str) -> Told:
    """A property, an action, a clause or a mutant."""
    from mtpo.proofs.evidence import explain
    from mtpo.spec.rules import carried
    from mtpo_core.cli.common import out
    from mtpo_core.cli.explain import _tell
    from mtpo_core.cli.explained import others
    from mtpo_core.cli.specs import find_specs

    ours = spec is None or built_in(spec)
    if spec is None:
        found = explain(id, find_specs(None), others=others())
    else:
        found = explain(id, [spec], None if ours else [])
    with out.capture() as said:
        _tell(found, False, "" if ours else _unrecorded(found.kind, id))
    rules = [rule.id for rule in carried(found.id)] if ours else []
    return Told(tuple(said.get().rstrip("\n").split("\n")), {**found.as_json(), "rules": rules}, found)


def _unrecorded(kind: str, id: str) -> str:
    """What shows something of a spec that is asked in a notebook, where it need not be in a file."""
    if kind == "assumption":
        return "taken, not shown: it is an assumption"
    if kind in ("mutant", "action", "guard clause"):
        only = id if kind == "mutant" else id.partition(".")[2]
        shows = "who catches it" if kind == "mutant" else "what it is for"
        return f"nothing recorded: `.mutate({only!r})` of the spec shows {shows}"
    asked = {"reachable": "explore()", "goal of whole runs": "explore(live=True)"}.get(kind, f"prove({id!r})")
    return f"nothing recorded: `.{asked}` of the spec {'tells whether it is so' if kind == 'ending' else 'shows it'}"


def _rules(what: str, wanted: str) -> Told:
    """What the papers say, and the clauses that carry it."""
    from mtpo_core.cli.explain import rules_data, rules_of, rules_text

    with refusing(what):
        shown, back = rules_of(wanted)
    return Told(tuple(rules_text(shown, back)), rules_data(shown, back), shown)


def _story(log: Path, call: str | None) -> Told:
    """What a call of a run went through."""
    from mtpo.proofs.replay.story import story

    if call is None:
        raise StudyError(f"{log}: explain wants the call of the run, such as 1.4")
    found = story(_opened(log), call)
    return Told(tuple(found.lines()), found.as_json(), found)


def _opened(log: Path) -> Any:
    """The log in a file; raises as :func:`mtpo_core.logfile.read_log` does for one that can't be read."""
    from mtpo_core.logfile import read_log
    from mtpo_core.loglines import is_jsonl, read_jsonl

    return read_jsonl(log) if is_jsonl(log) else read_log(log)


def verified(
    log: Path,
    *,
    certificate: Path | None,
    save: Path | None,
    shrink: Path | None,
    all: bool,
    jobs: int | None,
    progress: Callable[[str], None],
) -> Verified:
    """See :func:`mtpo.spec.study.verify`."""
    from mtpo.proofs.runs.certificate import RunCertificate
    from mtpo_core.cli.judged import named, rows, violations
    from mtpo_core.cli.logs import one_line
    from mtpo_core.cli.verify import _check_places, _shrunk, _why

    with refusing(str(log)):
        _check_places(log, certificate, save, shrink)
    run = _opened(log)
    found = judge(run, RunCertificate.load(certificate) if certificate else None, progress, jobs)
    if save is not None:
        if found.differences:
            raise StudyError(f"{save}: not written: {log} is not the log that {certificate} is for")
        found.certificate.save(save)
    why = _why(run, found, log, True)
    smaller = _shrunk(run, shrink, True) if shrink is not None else ""
    lines = rows(found.certificate.properties, all)
    lines += [named(line, run) for line in violations(found.problems, found.report.unfinished, all)]
    lines += ["", *why.lines()] if why is not None else []
    lines += ["", smaller] if smaller else []
    lines += ["", "The verdict rests on", *found.certificate.assumed(), named(found.verdict, run)]
    data = {**found.certificate.as_json(), "verdict": found.verdict, "shrunk": smaller or None}
    data["violated"] = [attrs.asdict(p) for p in found.problems]
    data["unmatched"] = why.as_json() if why else None
    return Verified(tuple(one_line(line) for line in lines), data, found)
