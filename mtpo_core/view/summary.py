"""What a run comes to: the trajectories of its objects, its figures, its verdict."""

from __future__ import annotations

from mtpo_core.view.conflicts import Conflict
from mtpo_core.view.gather import Call, Gathered
from mtpo_core.view.names import WITHDRAWN, Names
from mtpo_core.view.shapes import Entry, Fact, Trajectory, Verdict
from mtpo_core.view.texts import clip, counted, listed


def trajectories(names: Names) -> list[Trajectory]:
    """T(o) of every object that a call wrote: files first, then listings."""
    writes: dict[str, list[Call]] = {}
    for call in names.run.calls.values():
        for name in call.out or call.writes:
            if call.status not in ("failed", "running", "held"):
                writes.setdefault(name, []).append(call)
    return [_trajectory(names, name, writes[name]) for name in sorted(writes, key=lambda n: (n.endswith("/"), n))]


def _trajectory(names: Names, name: str, calls: list[Call]) -> Trajectory:
    in_rank = names.run.mode != "naive"
    calls.sort(key=lambda call: call.key if in_rank else (call.applied_seq, 0))
    below = names.run.initial.get(name)
    initial = "(absent)" if below is None else names.values.text(below)
    top = below
    entries: list[Entry] = []
    for call in calls:
        new = call.out.get(name)
        gone = call.status in ("undone", "cancelled", "stranded", "retracted")
        found = next((seen.digest for seen in call.saw if seen.object == name), None)
        # A withdrawn write differs from what it found then; any other from what lies below it now.
        base = found if gone or top is None else top
        diff = names.values.diff(base, new) if base is not None and new is not None else ()
        status = WITHDRAWN.get(call.status, call.status)
        label = f"{names.who(call.rank)} {call.id} {clip(call.tool, 40)}"
        entries.append(Entry(f"call:{call.id}", call.rank, label, status, names.values.text(new), diff, gone))
        top = top if gone else new
    final = (names.run.final or {}).get(name)
    return Trajectory(
        clip(name, 400), initial, tuple(entries), None if final is None else names.values.text(final),
        "in rank order" if in_rank else "in the order applied",
        None if final is None or top is None else final == top,
    )  # fmt: skip


def _undos(run: Gathered) -> int:
    return sum(len(call.undos) for call in run.calls.values())


def facts(names: Names, right: bool | None) -> tuple[Fact, ...]:
    """The figures by which runs of one case are compared."""
    run = names.run
    state = {True: Fact("Final state", "right", "good"), False: Fact("Final state", "wrong", "bad")}
    new, prompt = sum(one.new for one in run.inferences), sum(one.prompt for one in run.inferences)
    acted = sum(note.verdict in ("repair", "retract") for note in run.notes.values())
    heeded = f" ({acted} acted on)" if run.notes else ""
    return (
        Fact("Final state", "not checked") if right is None else state[right],
        Fact("Time", f"{run.end:.1f} s", number=run.end),
        Fact("Tokens written", f"{new:,}", number=float(new)),
        Fact("Tokens read", f"{prompt:,}", number=float(prompt)),
        Fact("Tool calls", f"{len(run.calls):,}", number=float(len(run.calls))),
        Fact("Notifications", f"{len(run.notes):,}{heeded}", number=float(len(run.notes))),
        Fact("Undos", f"{_undos(run):,}", number=float(_undos(run))),
    )


def verdict_of(names: Names, right: bool | None, circle: tuple[Conflict, ...]) -> Verdict:
    """The sentence that the log alone supports; ``circle`` is the cycle of conflicts of a run without repair."""
    run, order = names.run, names.order()
    external = sum(record.kind == "external" for record in run.events)
    repairs = run.mode == "mtpo"
    reasons: list[str] = []
    if external:
        reasons.append(f"{counted(external, 'change')} came from outside the run.")
    if run.outcome is None:
        ended = f"the log ends at {run.end:.1f} s after {counted(run.records, 'record')}, without a close"
        return Verdict("warn", f"Incomplete: {ended}.", tuple(reasons))
    if run.outcome != "complete":
        why = f": {clip(run.error, 400)}" if run.error else ""
        return Verdict("bad", f"Halted{why}", tuple(reasons))
    if circle:
        reasons = [names.conflict_text(edge) + "." for edge in circle] + reasons
        who = listed([names.who(edge.first_rank) for edge in circle])
        sentence = f"Not serializable: the reads and writes of {who} fit no serial order."
        return Verdict("warn" if right else "bad", sentence, tuple(reasons))
    if right is False:
        return Verdict("bad", "Wrong: the final state is not that of a serial run.", tuple(reasons))
    if repairs:
        gone = [name for name, agent in run.agents.items() if agent.state != "committed"]
        if gone:
            who = listed([names.who(rank) for rank in gone])
            return Verdict("warn", f"Closed, but {who} did not commit.", tuple(reasons))
        acted = sum(note.verdict in ("repair", "retract") for note in run.notes.values())
        told = counted(len(run.notes), "notification")
        work = f"{told} sent, {acted} acted on; {counted(_undos(run), 'write')} undone"
        reasons.insert(0, f"{work}, {sum(len(call.redos) for call in run.calls.values())} re-applied.")
    if right:
        return Verdict("good", f"Right: the final state is that of the serial run {order}.", tuple(reasons))
    what = "every agent committed" if repairs else "every agent finished"
    return Verdict("plain", f"Complete: {what}, in order {order}. Not checked.", tuple(reasons))
