"""Each way in which a tool can lie is caught, under its own property."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from mtpo_core.foreign import footprint_of
from mtpo_core.resources import Resource
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.toolcheck import check_tool
from mtpo_core.tools import (
    Args,
    Footprint,
    Param,
    RecordingView,
    Tool,
    Toolbox,
    ToolError,
    View,
    WriteClass,
    read_tool,
    write_tool,
)


@pytest.fixture
def factory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], FileSystem]:
    def make() -> FileSystem:
        tree = FileSystem(tmp_path_factory.mktemp("t"))
        for name in ("a", "b", "c"):
            tree.write(name, f"{name}\n".encode())
        return tree

    return make


def wrote(resource: Resource, name: str, value: bytes | None) -> None:
    resource.restore(name, value)


def writer(
    exec: Callable[[Resource, Args], str],
    write_class: WriteClass = WriteClass.RMW,
    reads: str = "a",
    writes: str = "a",
    **more: object,
) -> Tool:
    tool = write_tool("liar", "", (), write_class, lambda view, args: Footprint(reads, writes), exec)
    return attrs.evolve(tool, **more)


def found(tool: Tool, factory: Callable[[], FileSystem]) -> set[str]:
    problems = check_tool(tool, factory, {})
    assert all(problem.where == "liar" and "\n" not in str(problem) for problem in problems)
    return {problem.property for problem in problems}


def both(resource: Resource, args: Args) -> str:
    wrote(resource, "a", b"1")
    wrote(resource, "b", b"1")
    return ""


def honest(resource: Resource, args: Args) -> str:
    wrote(resource, "a", (resource.read("a") or b"") + b"1")
    return ""


def failing(resource: Resource, args: Args) -> str:
    wrote(resource, "a", b"half")
    raise ToolError("liar: gave up half-way")


def leaning(resource: Resource, args: Args) -> str:
    wrote(resource, "a", resource.read("b"))
    return ""


def revealing(resource: Resource, args: Args) -> str:
    wrote(resource, "a", b"1")
    return (resource.read("c") or b"").decode()


def forgetful(resource: Resource, args: Args, undo: bytes) -> None:
    wrote(resource, "a", b"not what it was")


def toggling(resource: Resource, args: Args, undo: bytes) -> None:
    """Right once after exec, wrong at any other time."""
    wrote(resource, "a", b"a\n" if resource.read("a") == b"a\n1" else b"toggled")


def careless(resource: Resource, args: Args, footprint: Footprint) -> bytes:
    undo = resource.capture(footprint.writes)
    wrote(resource, "c", b"touched by prepare")
    return undo


def test_an_honest_tool_passes(factory: Callable[[], FileSystem]) -> None:
    assert found(writer(honest), factory) == set()


@pytest.mark.parametrize(
    ("tool", "properties"),
    [
        (writer(both), {"tool.footprint", "tool.inverse"}),
        (writer(failing), {"tool.failed-clean"}),
        (writer(leaning), {"tool.reads"}),
        (writer(revealing), {"tool.reads"}),
        (writer(honest, WriteClass.BLIND, reads=""), {"tool.blind"}),
        (writer(honest, reverse=forgetful), {"tool.inverse", "tool.inverse-early"}),
        (writer(honest, reverse=toggling), {"tool.inverse-early", "tool.inverse-idempotent"}),
        (writer(honest, prepare=careless), {"tool.prepare-pure"}),
        (attrs.evolve(writer(honest), invertible=False), {"tool.declared"}),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else "",
)
def test_a_lie_is_caught_by_name(tool: Tool, properties: set[str], factory: Callable[[], FileSystem]) -> None:
    assert found(tool, factory) == properties


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        (writer(honest, prepare=lambda resource, args: b""), "TypeError: "),  # type: ignore[arg-type,misc]
        (writer(lambda resource, args: 1 / 0), "ZeroDivisionError: division by zero"),  # type: ignore[arg-type,return-value]
    ],
)
def test_a_tool_that_can_not_be_called_is_a_problem(tool: Tool, says: str, factory: Callable[[], FileSystem]) -> None:
    (problem,) = check_tool(tool, factory, {})
    assert problem.property == "tool.callable" and says in str(problem)


def test_a_read_tool_that_writes_or_wavers(tmp_path: Path, factory: Callable[[], FileSystem]) -> None:
    tree = FileSystem(tmp_path)
    counter = iter(range(100))

    def scribbling(view: View, args: Args) -> str:
        tree.write("trace", str(next(counter)).encode())
        return ""

    def wavering(view: View, args: Args) -> str:
        return str(next(counter))

    assert found(read_tool("liar", "", (), scribbling), lambda: tree) == {"tool.footprint", "tool.read-pure"}
    assert found(read_tool("liar", "", (), wavering), factory) == {"tool.read-pure"}


def test_refused_arguments_are_refused(factory: Callable[[], FileSystem]) -> None:
    with pytest.raises(ToolError, match="unknown parameter 'x'"):
        check_tool(Toolbox(file_tools())["read_file"], factory, {"x": 1})


def test_a_declared_write_that_is_never_made_is_told_as_that(factory: Callable[[], FileSystem]) -> None:
    def one(resource: Resource, args: Args) -> str:
        wrote(resource, "a", b"1")
        return ""

    def shown(resource: Resource, args: Args) -> str:
        wrote(resource, "a", b"1")
        return (resource.read("b") or b"").decode()

    def joined(resource: Resource, args: Args) -> str:
        wrote(resource, "a", resource.read("b"))
        return ""

    depends = "liar: its effect depends on the values it replaced: b"
    unwritten = "liar: declared, but not written: b"
    for exec, said in ((one, [unwritten]), (shown, [unwritten, depends]), (joined, [unwritten, depends])):
        tool = writer(exec, WriteClass.BLIND, reads="", writes="ab")
        assert [str(p) for p in check_tool(tool, factory, {})] == [f"tool.blind: {each}" for each in said]


@pytest.mark.parametrize(
    ("footprint", "said"),
    [
        (Footprint("a", "ab", kept="b"), "footprint keeps up b, which it does not both read and write"),
        (Footprint("a", [""]), "footprint writes '', which is no object's name"),
        ({"a"}, "footprint returned set, not a Footprint"),
    ],
)
def test_a_footprint_that_no_call_can_have_is_told_as_a_session_tells_it(
    footprint: Footprint, said: str, factory: Callable[[], FileSystem]
) -> None:
    tool = attrs.evolve(writer(honest), footprint=lambda view, args: footprint)
    assert [str(p) for p in check_tool(tool, factory, {})] == [f"tool.footprint: liar: {said}"]
    with pytest.raises(ToolError, match=re.escape(said)):
        footprint_of(tool, RecordingView(factory().read), {})
    kept = attrs.evolve(writer(honest), footprint=lambda view, args: Footprint("a", "a", "a"))
    assert found(kept, factory) == set()


def test_what_is_no_text_or_no_bytes_is_told(factory: Callable[[], FileSystem]) -> None:
    silent = writer(lambda resource, args: wrote(resource, "a", b"1"))  # type: ignore[arg-type,return-value]
    undo = writer(honest, prepare=lambda resource, args, footprint: "text")
    shown = read_tool("liar", "", (), lambda view, args: view.get("a"))  # type: ignore[arg-type,return-value]
    for tool, said in (
        (silent, "exec returned NoneType, not text"),
        (undo, "prepare returned str, not bytes"),
        (shown, "read returned bytes, not text"),
    ):
        assert [str(p) for p in check_tool(tool, factory, {})] == [f"tool.callable: liar: {said}"]


def parsing(resource: Resource, args: Args) -> str:
    """Fails, of a value that is no JSON, with what Python raises."""
    wrote(resource, "a", str(json.loads(resource.read("c") or b"0")).encode())
    return ""


def counting(resource: Resource, args: Args) -> str:
    wrote(resource, "c", str(json.loads(resource.read("c") or b"0") + 1).encode())
    return ""


def comparing(resource: Resource, args: Args) -> str:
    """Rests on two objects of which neither makes a difference alone."""
    wrote(resource, "a", b"1")
    return str(resource.read("b") != b"b\n" and resource.read("c") != b"1")


def both_shown(resource: Resource, args: Args) -> str:
    result = revealing(resource, args)
    leaning(resource, args)
    return result


@pytest.fixture
def numbered(factory: Callable[[], FileSystem]) -> Callable[[], FileSystem]:
    """The same, with a number in c and more that nobody looks at."""

    def make() -> FileSystem:
        tree = factory()
        for name, value in (("c", b"1"), ("d", b"d"), ("e", b"e")):
            tree.write(name, value)
        return tree

    return make


@pytest.mark.parametrize(
    ("exec", "objects"),
    [(leaning, "b"), (revealing, "c"), (both_shown, "b, c"), (comparing, "b, c"), (parsing, "c")],
)
def test_only_what_an_effect_depends_on_is_named(
    exec: Callable[[Resource, Args], str], objects: str, numbered: Callable[[], FileSystem]
) -> None:
    (problem,) = check_tool(writer(exec), numbered, {})
    assert str(problem) == f"tool.reads: liar: its effect depends on undeclared objects: {objects}"


def test_a_blind_write_that_fails_of_another_value_is_not_blind(numbered: Callable[[], FileSystem]) -> None:
    (problem,) = check_tool(writer(counting, WriteClass.BLIND, reads="", writes="c"), numbered, {})
    assert str(problem) == "tool.blind: liar: its effect depends on the values it replaced: c"
    assert check_tool(writer(counting, reads="c", writes="c"), numbered, {}) == []


def test_a_call_without_inverse_is_checked_for_the_rest(factory: Callable[[], FileSystem]) -> None:
    footprint: Callable[[View, Args], Footprint] = lambda view, args: Footprint("a", "a")  # noqa: E731
    tool = write_tool("liar", "", (Param("p", "", default="x"),), WriteClass.RMW, footprint, both, invertible=False)
    assert found(tool, factory) == {"tool.footprint"}
    assert isinstance(RecordingView(factory().read).get("a"), bytes)
