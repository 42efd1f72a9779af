"""From a run's log to its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from mtpo.spec.records import Record
from mtpo_core.view.conflicts import Conflict, conflicts, cycle
from mtpo_core.view.gather import Call, Gathered, Note, gather, strings
from mtpo_core.view.names import WITHDRAWN, Names
from mtpo_core.view.serial import serialize
from mtpo_core.view.shapes import (
    Arrow,
    Field,
    Lane,
    Link,
    Mark,
    MarkKind,
    Span,
    Timeline,
    Verdict,
    ViewError,
)  # fmt: skip
from mtpo_core.view.summary import facts, trajectories, verdict_of
from mtpo_core.view.texts import Values, clip, listed, short

__all__ = ["Timeline", "Verdict", "timeline_of"]

_MODES = {"mtpo": "MTPO", "naive": "Naive", "serial": "Serial"}


def timeline_of(
    records: Sequence[Record],
    values: Mapping[str, bytes | None],
    *,
    case: str | None = None,
    right: bool | None = None,
    verdict: Verdict | None = None,
    notes: Sequence[str] = (),
) -> Timeline:
    """The picture of a run, from its log alone.

    ``values`` maps digests to values (None: the object is absent); a digest it lacks was redacted and is shown so.
    ``case`` is the heading under which runs of one scenario in several modes are compared (default: the scenario that
    the log names). ``right`` says whether the final state is that of a serial run, where a caller has checked that;
    ``verdict`` replaces the sentence that the log alone supports; ``notes`` are further remarks. Incomplete logs are
    drawn as far as they go. Raises :class:`ViewError` when there is no record.
    """
    if not records:
        raise ViewError("no records: the log is empty, so there is nothing to draw")
    drawn = _Drawing(gather(records), Values(values)).timeline(case, right, verdict)
    return attrs.evolve(drawn, notes=(*drawn.notes, *(clip(note, 400) for note in notes)))


class _Drawing(Names):
    """One run being drawn: marks and arrows accumulate, then become a timeline."""

    def __init__(self, run: Gathered, values: Values) -> None:
        super().__init__(run, values)
        self.spans: list[Span] = []
        self.marks: list[Mark] = []
        self.arrows: list[Arrow] = []
        self.told: dict[str, list[Note]] = {}
        for note in run.notes.values():
            if note.by is not None:
                self.told.setdefault(note.by, []).append(note)

    def timeline(self, case: str | None, right: bool | None, verdict: Verdict | None) -> Timeline:
        run = self.run
        self._inferences()
        for call in sorted(run.calls.values(), key=lambda call: (call.began, call.key)):
            self._call(call)
        self._events()
        for note in run.notes.values():
            self._notification(note)
        circle = () if run.mode == "mtpo" else cycle(conflicts(run.calls.values()))
        for index, edge in enumerate(circle):
            self._conflict(index, edge)
        spans, marks, serial_end = self.spans, sorted(self.marks, key=lambda mark: mark.at), None
        if run.mode in ("mtpo", "serial"):
            spans, marks, serial_end = serialize(run.agents, spans, marks)
        return Timeline(
            case=clip(case if case is not None else run.scenario or f"run {run.run}", 120),
            mode=_MODES.get(run.mode, run.mode),
            lanes=tuple(
                Lane(agent.rank, clip(agent.name, 200), clip(agent.task, 2_000), agent.state)
                for _, agent in sorted(run.agents.items())
            ),
            spans=tuple(spans),
            marks=tuple(marks),
            arrows=tuple(self.arrows),
            trajectories=tuple(trajectories(self)),
            verdict=verdict or verdict_of(self, right, circle),
            facts=facts(self, right),
            end=run.end,
            serial_end=serial_end,
            notes=(f"inference: {clip(run.inference, 200)}",) if run.inference else (),
        )

    # Spans and marks

    def _inferences(self) -> None:
        for one in self.run.inferences:
            fields = [Field("Tokens", f"{one.prompt:,} read, {one.new:,} written")]
            if len(one.steps) == 2:
                fields.append(Field("Engine steps", f"{one.steps[0]:,} to {one.steps[1]:,}"))
            if one.text is not None:
                fields.append(Field("Text", self.values.text(one.text), code=True))
            label = f"{one.new:,} tok"
            self.spans.append(Span(f"infer:{one.seq}", one.rank, "infer", one.began, one.ended, label, tuple(fields)))

    def _objects(self, call: Call) -> list[str]:
        return list(call.writes or call.out or [seen.object for seen in call.saw])

    def _call(self, call: Call) -> None:
        name = f"call:{call.id}"
        objects = self._objects(call)
        # A file tells more than the listing that changed with it.
        telling = sorted(objects, key=lambda item: item.endswith("/")) if call.kind == "write" else objects
        more = f" +{len(telling) - 1}" if len(telling) > 1 else ""
        label = f"{clip(call.tool, 40)} {short(telling[0])}{more}" if telling else clip(call.tool, 60)
        kind: MarkKind = "failed" if call.status == "failed" else "read" if call.kind == "read" else "write"
        at = call.ended if call.ended is not None else self.run.end if call.status == "running" else call.began
        if call.status == "held":
            at = self.run.end
        struck = call.status in WITHDRAWN
        title = f"{self.who(call.rank)} {call.id}: {clip(call.tool, 80)} {listed(map(short, telling))}".rstrip()
        self.marks.append(Mark(name, call.rank, kind, at, label, title, tuple(self._details(call)), struck))
        began = call.began
        if call.held_from is not None:
            waits = listed([self.who(rank) for rank in call.waits_for]) or "lower ranks"
            fields = (
                Field("Held", f"It cannot be undone, so it waited until {waits} had committed."),
                Field("Call", links=(Link(name, title),)),
            )
            until = call.ended if call.ended is not None else self.run.end
            self.spans.append(
                Span(f"held:{call.id}", call.rank, "held", call.held_from, until, f"waits for {waits}", fields, of=name)
            )
            began = until
        if call.ended is not None and call.ended > began:
            self.spans.append(Span(f"tool:{call.id}", call.rank, "tool", began, call.ended, label, of=name))
        self._repair_marks(call, name, telling)

    def _repair_marks(self, call: Call, name: str, objects: Sequence[str]) -> None:
        what = listed(map(short, objects)) or clip(call.tool, 60)
        for index, undo in enumerate(call.undos):
            mark = f"undone:{call.id}:{index}"
            fields = [
                Field("Undone", f"{self.who(call.rank)}'s {call.id} was taken back.", links=self.link(call.id)),
                Field("Because of", "a late write of lower rank", links=self.link(undo.by)),
            ]
            self.marks.append(
                Mark(mark, call.rank, "undone", undo.at, f"undo {call.id}", f"undo of {call.id}: {what}", tuple(fields))
            )
            source = f"call:{undo.by}" if undo.by in self.run.calls else None
            if source is not None and undo.by is not None:
                self._undo_arrow(undo.by, undo.at, call.rank, mark)
            previous = mark
            if index < len(call.redos):
                redo = call.redos[index]
                mark = f"redone:{call.id}:{index}"
                fields = [
                    Field("Re-applied", f"{self.who(call.rank)}'s {call.id} ran again, on top of the late write."),
                    Field("Call", links=self.link(call.id)),
                    *self._changes(call),
                ]
                self.marks.append(
                    Mark(
                        mark,
                        call.rank,
                        "redone",
                        redo.at,
                        f"redo {call.id}",
                        f"redo of {call.id}: {what}",
                        tuple(fields),
                    )
                )
                self.arrows.append(
                    Arrow(
                        f"redo:{call.id}:{index}", "redo", call.rank, undo.at, call.rank, redo.at, "re-applied",
                        f"{call.id} undone, then re-applied", fields=(Field("Call", links=self.link(call.id)),),
                        source=previous, target=mark,
                    )
                )  # fmt: skip
        if call.withdrawn is not None:
            kinds: dict[str, MarkKind] = {"cancelled": "cancelled", "retracted": "retracted"}
            kind = kinds.get(call.status, "stranded")
            fields = [Field(kind.capitalize(), WITHDRAWN[kind], links=self.link(call.id))]
            if call.error:
                fields.append(Field("Error", clip(call.error, 400)))
            reissue = self._reissue(call)
            if reissue:
                fields.append(Field("Reissued as", links=self.link(reissue)))
            at = call.withdrawn.at
            mark = f"{kind}:{call.id}"
            self.marks.append(
                Mark(mark, call.rank, kind, at, f"{kind} {call.id}", f"{kind}: {call.id}, {what}", tuple(fields))
            )
            if reissue:
                later = self.run.calls[reissue]
                self.arrows.append(
                    Arrow(
                        f"reissue:{call.id}", "redo", call.rank, at, call.rank, later.ended or later.began,
                        "reissued", f"{call.id} reissued as {reissue}",
                        fields=(Field("Calls", links=(*self.link(call.id), *self.link(reissue))),),
                        source=mark, target=f"call:{reissue}",
                    )
                )  # fmt: skip

    def _reissue(self, call: Call) -> str | None:
        """The author's next call, once it knew, that writes one of the same objects."""
        objects = set(self._objects(call))
        known = [
            note.delivered
            for note in self.run.notes.values()
            if note.delivered is not None and any(row.get("call") == call.id for row in note.results)
        ]
        if not known:
            return None
        later = [
            other
            for other in self.run.calls.values()
            if other.rank == call.rank and other.kind == "write" and other.began >= min(known) and other.key > call.key
            and objects & set(self._objects(other))
        ]  # fmt: skip
        return min(later, key=lambda other: other.key).id if later else None

    def _undo_arrow(self, by: str, at: float, lane: int, mark: str) -> None:
        cause = self.run.calls[by]
        start = cause.ended if cause.ended is not None else cause.began
        self.arrows.append(
            Arrow(
                f"because:{mark}", "undo", cause.rank, min(start, at), lane, at, "",
                f"{by} is late: it undoes work above it", (Field("Late write", links=self.link(by)),),
                f"call:{by}", mark,
            )
        )  # fmt: skip

    def _changes(self, call: Call) -> list[Field]:
        found = {seen.object: seen.digest for seen in call.saw}
        fields = []
        for name, new in call.out.items():
            old = found.get(name)
            diff = self.values.diff(old, new) if name in found else ()
            shown = self.values.text(new) if not diff else ""
            label = f"Wrote {clip(name, 200)}" + (" (value unchanged)" if name in found and old == new else "")
            fields.append(Field(label, shown, code=bool(shown), diff=diff))
        return fields

    def _details(self, call: Call) -> list[Field]:
        fields = []
        status = {"running": "no outcome in the log", "held": "held", "failed": "failed, no effect"}.get(call.status)
        if status:
            fields.append(Field("Status", status if not call.error else f"{status}: {clip(call.error, 400)}"))
        if call.undos or (call.withdrawn and call.status != "retracted"):
            by = call.undos[-1].by if call.undos else call.withdrawn.by if call.withdrawn else None
            fields.append(
                Field("Undone", "because a call of lower rank came late on what it touched:", links=self.link(by))
            )
        if call.redos:
            fields.append(
                Field("Re-applied", f"at {call.redos[-1].at:.2f} s", links=(
                    Link(f"redone:{call.id}:{len(call.redos) - 1}", "see the redo"),
                ))
            )  # fmt: skip
        if call.withdrawn is not None:
            reissue = self._reissue(call)
            aborted = self.run.agents[call.rank].aborted
            text = {
                "cancelled": "withdrawn by policy",
                "retracted": "its author gave up" if aborted else "its author judged that it had to go",
            }.get(call.status, f"stranded: {clip(call.error, 400)}")
            fields.append(Field("Withdrawn", text, links=self.link(reissue)))
        if call.kind == "write":
            what = "read-modify-write" if call.write_class == "rmw" else "blind write"
            fields.append(Field("Class", what if call.invertible else f"{what}, cannot be undone"))
        if call.args is not None:
            fields.append(Field("Arguments", self.values.arguments(call.args), code=True))
        reads = [seen for seen in call.saw if seen.object not in call.out]
        for seen in reads[:12]:
            came = "the initial value" if seen.write is None else "the version written by"
            fields.append(Field(f"Saw {clip(seen.object, 200)}", came, links=self.link(seen.write)))
        if len(reads) > 12:
            fields.append(Field("Saw", f"and {len(reads) - 12} more objects"))
        if call.filtered:
            fields.append(
                Field("Screened", "A higher rank had already written here; the reader got the value at its own rank.")
            )
        fields += self._changes(call)
        if call.result is not None:
            fields.append(Field("Result", self.values.text(call.result), code=True))
        for note in self.told.get(call.id, []):
            link = Link(f"note:{note.id}", f"told {self.who(note.reader)}")
            fields.append(Field("Notified", links=(link,)))
        return fields

    def _events(self) -> None:
        for record in self.run.events:
            rank, body = record.agent, record.body
            if record.kind == "external":
                name = str(body.get("object") or "?")
                change: tuple[Field, ...] = (
                    Field("Object", clip(name, 400)),
                    Field("Change", diff=self.values.diff(_string(body.get("expected")), _string(body.get("found")))),
                )
                lane = rank if rank is not None else min(self.run.agents, default=0)
                self._mark(record, lane, f"outside change {short(name)}", "changed by something outside", change)
            elif record.kind == "recover":
                lane = min(self.run.agents, default=0)
                text = Field("Recovered", "The runtime died; the run was continued from its log.")
                self._mark(record, lane, "recovered", "run recovered after a crash", (text,))
            elif rank is None:
                continue
            elif record.kind == "bounce":
                unread = strings(body.get("ids"))
                tool = clip(str(body.get("tool") or "call"), 40)
                refusal: tuple[Field, ...] = (
                    Field("Refused", "Its author had unread notifications, so nothing ran."),
                    Field("Arguments", self.values.arguments(_string(body.get("args"))), code=True),
                    Field("Unread", links=tuple(Link(f"note:{item}", item) for item in unread)),
                )
                self._mark(record, rank, f"bounced {tool}", f"{self.who(rank)}: {tool} bounced", refusal)
            elif record.kind == "deliver":
                notes = [self.run.notes[item] for item in strings(body.get("ids")) if item in self.run.notes]
                self._told(record, rank, notes)
            else:
                said = {
                    "finish": "reported its task complete", "reopen": "is at work again", "commit": "committed: final",
                    "abort": "gave up; its writes are undone",
                }[record.kind]  # fmt: skip
                self._mark(record, rank, record.kind, f"{self.who(rank)} {said}", ())

    def _mark(self, record: Record, lane: int, label: str, title: str, fields: tuple[Field, ...]) -> None:
        kind: Any = "told" if record.kind == "deliver" else record.kind
        self.marks.append(Mark(f"{record.kind}:{record.seq}", lane, kind, record.t, label, title, fields))

    def _told(self, record: Record, rank: int, notes: Sequence[Note]) -> None:
        verdicts = sorted({note.verdict for note in notes if note.verdict})
        fields = [field for note in notes for field in self._news(note)]
        label = f"told: {listed(verdicts)}" if verdicts else "told"
        self._mark(record, rank, label, f"{self.who(rank)} reads its notifications", tuple(fields))

    # Arrows

    def _news(self, note: Note) -> list[Field]:
        fields = [Field("From", links=self.link(note.by))] if note.by else []
        for row in note.premises:
            name = clip(str(row.get("object") or "?"), 200)
            diff = self.values.diff(_string(row.get("was")), _string(row.get("now")))
            fields.append(Field(f"Premise changed: {name}", diff=diff, links=self.link(_string(row.get("call")))))
        for row in note.results:
            status = str(row.get("status") or "changed")
            diff = self.values.diff(_string(row.get("was")), _string(row.get("now"))) if row.get("now") else ()
            fields.append(Field(f"Own write {status}", diff=diff, links=self.link(_string(row.get("call")))))
        if note.verdict:
            meaning = {
                "ignore": "ignored it: nothing it did depends on this",
                "repair": "repaired the work that depended on it",
                "retract": "took back the work that depended on it",
            }.get(note.verdict, clip(note.verdict, 100))
            how = f" (waiver: {clip(note.waiver, 40)})" if note.waiver else ""
            fields.append(Field("Judgement", f"{self.who(note.reader)} {meaning}{how}"))
        return fields

    def _notification(self, note: Note) -> None:
        cause = self.run.calls.get(note.by or "")
        lane = cause.rank if cause else note.reader
        changed = [short(str(row.get("object") or "?")) for row in note.premises]
        status = [f"{row.get('call')} {row.get('status')}" for row in note.results]
        arrived = note.delivered is not None
        until = self.run.end if note.delivered is None else note.delivered
        fields = self._news(note)
        if not arrived:
            fields.insert(0, Field("Status", "not consumed by the end of the log"))
        self.arrows.append(
            Arrow(
                f"note:{note.id}",
                "notify",
                source_lane=lane,
                source_at=note.at,
                target_lane=note.reader,
                target_at=until,
                label=listed(changed or status, 1),
                title=f"{self.named(note.by)} notifies {self.who(note.reader)}",
                fields=tuple(fields),
                source=f"call:{note.by}" if cause else None,
                target=f"deliver:{note.delivery}" if arrived else None,
                open=not arrived,
            )
        )

    def _conflict(self, index: int, edge: Conflict) -> None:
        words = {"read before": "read {} first", "wrote before": "wrote {} first", "read from": "{} read from here"}
        first, second = self.run.calls[edge.first], self.run.calls[edge.second]
        self.arrows.append(
            Arrow(
                f"conflict:{index}", "conflict", first.rank, first.ended or first.began, second.rank,
                second.ended or second.began, words[edge.reason].format(short(edge.object)), self.conflict_text(edge),
                (Field("First", links=self.link(first.id)), Field("Then", links=self.link(second.id))),
                f"call:{first.id}", f"call:{second.id}",
            )
        )  # fmt: skip


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None
