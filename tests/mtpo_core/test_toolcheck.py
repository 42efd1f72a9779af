"""Each way in which a tool can lie is caught, under its own property."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

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

    depends = "liar: its effect depends on the values it replaced: a, b"
    unwritten = "liar: declared, but not written: b"
    for exec, said in ((one, [unwritten]), (shown, [unwritten, depends]), (joined, [unwritten, depends])):
        tool = writer(exec, WriteClass.BLIND, reads="", writes="ab")
        assert [str(p) for p in check_tool(tool, factory, {})] == [f"tool.blind: {each}" for each in said]


def test_a_call_without_inverse_is_checked_for_the_rest(factory: Callable[[], FileSystem]) -> None:
    footprint: Callable[[View, Args], Footprint] = lambda view, args: Footprint("a", "a")  # noqa: E731
    tool = write_tool("liar", "", (Param("p", "", default="x"),), WriteClass.RMW, footprint, both, invertible=False)
    assert found(tool, factory) == {"tool.footprint"}
    assert isinstance(RecordingView(factory().read).get("a"), bytes)
