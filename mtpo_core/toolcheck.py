"""Does a tool do what it declares? Run one call of it on a copy of the state and look.

What the protocol relies on, and what is checked here for one state and one set of arguments: the footprint is one that
a call can have and nothing outside it changes, ``reverse`` restores the state from wherever the call got to, the effect
rests on nothing that was not declared, and a read tool leaves no trace (CoAgent, section 4: tools are audited before
they are registered).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Mapping, Sequence

import attrs

from mtpo_core.foreign import footprint_flaw, one_line, text_of
from mtpo_core.problems import Problem
from mtpo_core.resources.base import Resource
from mtpo_core.tools import Args, Footprint, RecordingView, Tool, ToolError, WriteClass

_State = Mapping[str, bytes | None]


@attrs.frozen
class _Effect:
    """What one ``exec`` did: its result or error, every changed object and every declared one with its value."""

    result: str
    failed: bool
    changes: _State
    left: _State


def check_tool(tool: Tool, resource_factory: Callable[[], Resource], args: Mapping[str, object]) -> list[Problem]:
    """Every way in which one call of ``tool`` breaks its declaration; empty when it keeps it.

    ``resource_factory`` gives a fresh resource in the same state each time. A call that raises :class:`ToolError` must
    leave the state as it was. What each property asks (``tool.reads``) is in :data:`mtpo_core.problems.MEANINGS`, and
    `mtpo explain` tells it. Raises :class:`ToolError` when the arguments are refused.
    """
    flaw = tool.flaw()
    if flaw is not None:
        return [Problem("tool.declared", tool.name, flaw)]
    bound = tool.bind(args)
    try:
        return _problems(tool, resource_factory, bound)
    except ToolError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a tool raises is its own fault
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [Problem("tool.callable", tool.name, f"{type(error).__name__}: {one_line(error)} ({where.name})")]


def _problems(tool: Tool, resource_factory: Callable[[], Resource], bound: Args) -> list[Problem]:
    resource = resource_factory()
    before = _state(resource)
    footprint = tool.footprint(RecordingView(resource.read), bound)
    problems: list[Problem] = []

    def report(id: str, changed: _State, what: str) -> None:
        if changed:
            problems.append(Problem(id, tool.name, f"{what}: {', '.join(sorted(changed)[:5])}"))

    def text(phase: str, result: object) -> None:
        try:
            text_of(phase, result)
        except ToolError as error:
            problems.append(Problem("tool.callable", tool.name, str(error)))

    report("tool.footprint", _changes(before, _state(resource)), "computing the footprint changed")
    flaw = footprint_flaw(footprint)
    if flaw is not None:
        return [*problems, Problem("tool.footprint", tool.name, flaw)]
    if tool.write_class is WriteClass.READ:
        results = [_read(tool, resource, bound), _read(tool, resource, bound)]
        text("read", results[0])
        report("tool.read-pure", _changes(before, _state(resource)), "reading changed")
        if results[0] != results[1]:
            problems.append(Problem("tool.read-pure", tool.name, "two reads of one state give two results"))
        return problems

    if tool.invertible:
        untouched = resource_factory()
        start = _state(untouched)
        undo = tool.prepare(untouched, bound, footprint)
        prepared = _state(untouched)
        report("tool.prepare-pure", _changes(start, prepared), "prepare changed")
        if not isinstance(undo, bytes):
            what = f"prepare returned {type(undo).__name__}, not bytes"
            return [*problems, Problem("tool.callable", tool.name, what)]
        tool.reverse(untouched, bound, undo)
        report("tool.inverse-early", _changes(prepared, _state(untouched)), "reverse before exec changed")

    undo = tool.prepare(resource, bound, footprint)
    before = _state(resource)
    effect = _exec(tool, resource, bound, footprint, before)
    text("exec", effect.result)
    undeclared = {object: value for object, value in effect.changes.items() if object not in footprint.writes}
    report("tool.footprint", undeclared, "wrote outside its footprint")
    if effect.failed:
        report("tool.failed-clean", effect.changes, f"failed ({effect.result}) and yet changed")
    if tool.invertible:
        tool.reverse(resource, bound, undo)
        report("tool.inverse", _changes(before, _state(resource)), "reverse after exec did not restore")
        settled = _state(resource)
        tool.reverse(resource, bound, undo)
        report("tool.inverse-idempotent", _changes(settled, _state(resource)), "a second reverse changed")

    def rerun(objects: Collection[str]) -> _Again:
        return _again(tool, resource_factory(), bound, footprint, effect, objects)

    for id, objects, what in (
        ("tool.reads", before.keys() - footprint.reads - footprint.writes, "undeclared objects"),
        ("tool.blind", footprint.writes - footprint.reads, "the values it replaced"),
    ):
        if id == "tool.reads" or tool.write_class is WriteClass.BLIND:
            again = rerun(objects)
            if again.unwritten:
                problems.append(Problem(id, tool.name, f"declared, but not written: {', '.join(again.unwritten[:5])}"))
            if again.differs:
                named = _mattering(again.disturbed, lambda some: rerun(some).differs)
                problems.append(Problem(id, tool.name, f"its effect depends on {what}: {', '.join(named[:5])}"))
    return problems


@attrs.frozen
class _Again:
    """What a call did where some objects, the ``disturbed`` ones, had other values: whether what it returns or leaves
    is another, and the declared objects that it did not write, neither then nor before.
    """

    disturbed: Sequence[str]
    differs: bool
    unwritten: Sequence[str]


def _again(
    tool: Tool, resource: Resource, args: Args, footprint: Footprint, effect: _Effect, objects: Collection[str]
) -> _Again:
    """Give ``objects`` other values and run the call again, whose ``effect`` was that on the values as they are."""
    start = _state(resource)
    disturbed = [object for object in sorted(objects) if start.get(object) is not None and _disturb(resource, object)]
    if not disturbed:
        return _Again((), False, ())
    before = _state(resource)
    try:
        again = _exec(tool, resource, args, footprint, before)
    except Exception:  # noqa: BLE001 - it raised nothing on the values as they are, so it depends on them
        return _Again(disturbed, True, ())
    same = (again.result, again.failed) == (effect.result, effect.failed)
    differing = () if effect.failed or again.failed else tuple(_changes(effect.left, again.left))
    unwritten = [object for object in sorted(differing) if object not in effect.changes and object not in again.changes]
    return _Again(disturbed, not same or len(differing) > len(unwritten), unwritten)


def _mattering(objects: Sequence[str], differs: Callable[[Sequence[str]], bool]) -> list[str]:
    """Those of ``objects``, which make a difference together, that make one: by halves, since each try takes a copy of
    the state. Where neither half makes one alone it takes them all.
    """
    if len(objects) == 1:
        return list(objects)
    middle = len(objects) // 2
    halves = [half for half in (objects[:middle], objects[middle:]) if differs(half)]
    return [object for half in halves for object in _mattering(half, differs)] or list(objects)


def _disturb(resource: Resource, object: str) -> bool:
    """Another value for one object; False where this kind of object can't have just any value."""
    old = resource.read(object)
    try:
        resource.restore(object, (old or b"") + b"disturbed\n")
    except ToolError:
        return False
    return resource.read(object) != old


def _exec(tool: Tool, resource: Resource, args: Args, footprint: Footprint, before: _State) -> _Effect:
    try:
        result, failed = tool.exec(resource, args), False
    except ToolError as error:
        result, failed = str(error), True
    after = _state(resource)
    return _Effect(result, failed, _changes(before, after), {object: after.get(object) for object in footprint.writes})


def _read(tool: Tool, resource: Resource, args: Args) -> str:
    try:
        return tool.read(RecordingView(resource.read), args)
    except ToolError as error:
        return str(error)


def _state(resource: Resource) -> _State:
    return {object: resource.read(object) for object in resource.objects()}


def _changes(before: _State, after: _State) -> _State:
    """What differs, with its value afterwards."""
    return {o: after.get(o) for o in before.keys() | after.keys() if before.get(o) != after.get(o)}
