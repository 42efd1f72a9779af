"""What a spec answers in a notebook: a table, and below it what breaks a property as pictures."""

from __future__ import annotations

import abc
import contextlib
import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtpo.proofs.exploration.deadends import data_of
from mtpo.proofs.pictures.picture import Case, reasons_of, timeline_of, write_picture
from mtpo.proofs.pictures.shown import pictures_of, why_lines
from mtpo.proofs.verdicts import EXIT_CODES, Status, Verdict
from mtpo.spec.language import Spec
from mtpo_core.view.tables import state_table
from mtpo_core.view.texts import clip, counted, visible

_COLOURS: Mapping[str, str] = {
    **dict.fromkeys(("PROVED", "CHECKED", "SAMPLED", "killed", "breaks", "holds", "exercised"), "#23774d"),
    **dict.fromkeys(("equivalent", "by a lemma", "not asked", "listed", ""), "#5b6069"),
    **dict.fromkeys(("UNKNOWN", "incomplete", "not so far"), "#97620a"),
}
_BAD = "#bf3527"


class StudyError(ValueError):
    """A question that does not fit the spec: one line that says what would."""


@contextlib.contextmanager
def places(of: str) -> Iterator[None]:
    """What the system says of a file or a folder is a :class:`StudyError` that names it."""
    try:
        yield
    except OSError as error:
        if error.filename is None or not error.strerror:
            raise
        raise StudyError(f"{of}: {error.filename}: {error.strerror}") from error


@attrs.frozen(repr=False)
class Answer(abc.ABC):
    """A title, rows of (word, id, remark), notes, and the runs that are shown."""

    spec: Spec
    title: str

    @abc.abstractmethod
    def rows(self) -> Iterable[tuple[str, str, str]]:
        """What is shown, a line each."""

    @abc.abstractmethod
    def as_json(self) -> dict[str, Any]:
        """Plain data, as ``--json`` prints it."""

    def notes(self) -> Sequence[str]:
        """What is to be said besides, below the rows."""
        return ()

    def cases(self) -> Sequence[Case]:
        """The runs that are shown."""
        return ()

    def drawn(self) -> Sequence[Case]:
        """The runs that :meth:`picture` draws."""
        return self.cases()

    def why(self, case: Case) -> Sequence[str]:
        """What is false at the end of a run that is shown, and for which elements."""
        return [line for reason in reasons_of(case.trace, case.property) for line in reason.lines()]

    def picture(self, path: str) -> str:
        """Write the runs as a page in one file; returns its path. Raises StudyError if there are none."""
        with places(self.spec.name):
            drawn = write_picture(self.drawn(), Path(path), self.title)
        if not drawn:
            raise StudyError(f"{self.spec.name}: no picture: there is no run to draw, so {path} is not written")
        return path

    def __repr__(self) -> str:
        lines = [self.title, *(f"{word:<10} {id:<36} {remark}".rstrip() for word, id, remark in self.rows())]
        lines += self.notes()
        for case in self.cases():
            lines += ["", f"{case.property}:", *(f"  {line}" for line in case.trace.lines())]
            lines += [f"  {line}" for line in self.why(case)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="color:{_COLOURS.get(word, _BAD)};text-align:left;padding-right:14px">{text(word)}</td>'
            f'<td style="font-family:monospace;text-align:left;padding-right:14px">{text(id)}</td>'
            f'<td style="text-align:left">{text(remark)}</td></tr>'
            for word, id, remark in self.rows()
        )
        notes = "".join(f"<p>{text(note)}</p>" for note in self.notes())
        return f"<div><p>{text(self.title)}</p><table>{rows}</table>{notes}{''.join(map(_drawn, self.cases()))}</div>"


def _drawn(case: Case) -> str:
    """A run without script: the verdict, why, and the states."""
    line = timeline_of(case)
    colour = _BAD if line.verdict.tone == "bad" else _COLOURS["holds"]
    why = text("\n".join(line.verdict.reasons))
    return (
        f'<h4 style="color:{colour};margin:14px 0 4px">{text(line.verdict.sentence)}</h4>'
        f'<pre style="white-space:pre-wrap">{why}</pre>{state_table(line.states) if line.states else ""}'
    )


def text(said: str, most: int = 2_000) -> str:
    """A text in a page, at most so many characters of it."""
    return html.escape(visible(clip(said, most)))


def english(spec: Spec, id: str) -> str:
    """What a claim says, in words."""
    found = spec.claims.get(id)
    return found.doc if found else ""


@attrs.frozen(repr=False)
class OfVerdicts(Answer):
    """One verdict for each property. ``found`` is what the engine that was asked has counted, if it counts."""

    verdicts: Sequence[Verdict]
    found: Any = None
    more: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        """Nothing that was asked for is violated or unknown; of SAMPLED, in what was looked at."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """That of the command: 0 holds, 1 violated, 3 unknown."""
        codes = {EXIT_CODES.get(status, 0) for status in self.statuses()}
        return next((code for code in (1, 3) if code in codes), 0)

    def statuses(self) -> Iterable[Status]:
        """All that decides."""
        return (v.status for v in self.verdicts)

    def rows(self) -> Iterable[tuple[str, str, str]]:
        for v in self.verdicts:
            why, says = v.detail.get("why", ""), english(self.spec, v.property)
            said = f"{says} ({why})" if says and why else says or why
            yield str(v.status), v.property, f"{v.method}   {said}".rstrip()

    def notes(self) -> Sequence[str]:
        return self.more

    def cases(self) -> Sequence[Case]:
        return pictures_of(self.verdicts)

    def why(self, case: Case) -> Sequence[str]:
        of = next(v for v in self.verdicts if v.trace is case.trace and v.property == case.property)
        return why_lines(of, case.trace)

    def itf(self, folder: str) -> list[Path]:
        """Write each run that violates, or refutes what must be refuted, into a folder, in ITF (Apalache, Quint);
        returns the files. Where there is none, no folder is made."""
        from mtpo.proofs.pictures.itf import write_itf

        with places(self.spec.name):
            return write_itf(self.verdicts, Path(folder))

    def record(self, ledger: str) -> None:
        """Write what holds into a ledger, as ``--record`` does: of a built-in spec, what is shown of all states."""
        from mtpo.proofs.ledger import entries_of, record

        shown = [v for v in self.verdicts if v.status in (Status.PROVED, Status.CHECKED)]
        check_record(self.spec, ledger)
        if any(v.status is Status.SAMPLED for v in self.verdicts):
            raise StudyError(f"{self.spec.name}: what is SAMPLED is shown of no instance, so it is not recorded")
        with places(self.spec.name):
            record(Path(ledger), entries_of(shown, {v.property: english(self.spec, v.property) for v in shown}))

    def as_json(self) -> dict[str, Any]:
        if self.found is not None:
            live = any(v.method == "live" for v in self.verdicts)
            return data_of(self.found) if live else dict(self.found.as_json())
        return {"spec": self.spec.name, "verdicts": [v.as_json() for v in self.verdicts]}


def check_record(spec: Spec, ledger: str) -> None:
    """Refuse to record what is not of a built-in spec, and where it can't be written."""
    from mtpo_core.cli.specs import BUILT_IN, NoSuchSpec, check_ledger

    if not built_in(spec):
        raise StudyError(f"{spec.name}: record is for the built-in specs ({', '.join(BUILT_IN)}), as they are")
    try:
        check_ledger(Path(ledger), spec.name)
    except NoSuchSpec as error:
        raise StudyError(f"{spec.name}: {str(error).removeprefix('--')}") from None


def built_in(spec: Spec) -> bool:
    """Whether it is one of the specs that come along, as it is."""
    from mtpo_core.cli.specs import find_specs

    return any(one is spec for one in find_specs(None))


@attrs.frozen(repr=False)
class Explored(OfVerdicts):
    """What an exploration showed; ``exploration`` has the counts, ``coverage`` what was exercised if that was asked."""

    coverage: Any = None

    @property
    def exploration(self) -> Any:
        """The counts."""
        return self.found

    def statuses(self) -> Iterable[Status]:
        yield from OfVerdicts.statuses(self)
        if self.coverage is not None:
            yield self.coverage.status

    def rows(self) -> Iterable[tuple[str, str, str]]:
        yield from OfVerdicts.rows(self)
        for line in () if self.coverage is None else self.coverage.lines:
            for value in line.missing:
                yield ("NEVER" if self.coverage.complete else "not so far"), f"{line.id} {value}", line.what
            if line.kind == "action" and line.count:
                yield "exercised", line.id, counted(line.count, "step")

    def as_json(self) -> dict[str, Any]:
        told = dict(self.found.as_json())
        return told | ({"coverage": self.coverage.as_json()} if self.coverage is not None else {})


@attrs.frozen(repr=False)
class Proved(OfVerdicts):
    """What a solver showed for any number of elements."""
