"""Tool calls: parsing what a model wrote, checking arguments, registration, and the description for a prompt."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo_core.resources import Resource
from mtpo_core.tools import (
    Args,
    Footprint,
    Param,
    ParamType,
    RecordingView,
    Tool,
    Toolbox,
    ToolCall,
    ToolError,
    View,
    WriteClass,
    parse_call,
    read_tool,
    write_tool,
)

PARAMS = (
    Param("path", "where"),
    Param("count", "how often", ParamType.INTEGER, 1),
    Param("force", "", ParamType.BOOLEAN, False),
    Param("names", "", ParamType.STRINGS, ()),
)


def _look(view: View, args: Args) -> str:
    value = view.get(args["path"])
    if value is None:
        raise ToolError("absent")
    return str(view.listing("d/"))


def _nothing(resource: Resource, args: Args) -> str:
    return ""


LOOK = read_tool("look", "look at it", PARAMS, _look)
SET = write_tool("set", "set it", (), WriteClass.BLIND, lambda view, args: Footprint(), _nothing)


def test_the_first_call_in_a_text_is_found() -> None:
    call = ToolCall("look", {"path": 'a</tool_call>"ü', "names": ["x"]})
    text = f"I will look.\n{call.text()} and then {ToolCall('set').text()}"
    assert parse_call(text) == call
    assert parse_call("no call in here") is None
    assert parse_call('<tool_call>\n{"name": "set"}\n') == ToolCall("set")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<tool_call>", "not JSON: Expecting value at character 0"),
        ('<tool_call>{"name": "look", args}</tool_call>', 'near \'{"name": "look", args}</tool_call>\''),
        ('<tool_call>{"name": "look"', "not JSON"),
        ('<tool_call>{"name": "look", "args": {"count": ' + "1" * 5_000 + "}}</tool_call>", "number that is too long"),
        ('<tool_call>{"name": "look"} {"name": "set"}</tool_call>', "goes on after its JSON"),
        ('<tool_call>["look"]</tool_call>', 'needs an object with a "name"'),
        ('<tool_call>{"name": 3}</tool_call>', 'needs an object with a "name"'),
        ('<tool_call>{"name": "look", "arguments": {}}</tool_call>', "unknown field 'arguments'"),
        ('<tool_call>{"name": "look", "args": [1]}</tool_call>', '"args" must be an object, got [1]'),
        ('<tool_call>{"name": "look", "args": {"count": NaN}}</tool_call>', "NaN, which is not JSON"),
        ("<tool_call>" + "[" * 100_000, "tool call"),
    ],
)
def test_a_malformed_call_is_one_line_that_quotes_the_place(text: str, why: str) -> None:
    with pytest.raises(ToolError) as refusal:
        parse_call(text)
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


@given(st.text())
def test_any_text_is_a_call_or_none_or_one_line(text: str) -> None:
    for attempt in (text, f"<tool_call>{text}</tool_call>", f'<tool_call>{{"name": {json.dumps(text)}}}</tool_call>'):
        try:
            parse_call(attempt)
        except ToolError as error:
            assert len(str(error).splitlines()) == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.text(st.characters(codec="utf-8")), st.dictionaries(st.text(max_size=5), values, max_size=3))
def test_a_written_call_is_read_back(name: str, args: dict[str, Any]) -> None:
    assert parse_call(ToolCall(name, args).text()) == ToolCall(name, args)


def test_arguments_are_completed_and_frozen() -> None:
    bound = LOOK.bind({"path": "a", "names": ["x", "y"]})
    assert dict(bound) == {"path": "a", "count": 1, "force": False, "names": ("x", "y")}
    with pytest.raises(TypeError):
        bound["path"] = "b"  # type: ignore[index]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({}, "look: parameter 'path' is missing; known: path, count, force, names"),
        ({"path": None}, "parameter 'path' is missing"),
        ({"path": "a", "where": 1}, "look: unknown parameter 'where'; known: path, count, force, names"),
        ({"path": 3}, "parameter 'path' must be a string, got 3"),
        ({"path": "a", "count": True}, "parameter 'count' must be a integer, got True"),
        ({"path": "a", "count": 1.0}, "must be a integer, got 1.0"),
        ({"path": "a", "force": 1}, "must be a boolean, got 1"),
        ({"path": "a", "names": "x"}, "must be a list of strings, got 'x'"),
        ({"path": "a", "names": ["x", 1]}, "must be a list of strings"),
        ({"path": "\ud800"}, "lone surrogate"),
        ({"path": "a", "names": ["\udfff"]}, "lone surrogate"),
    ],
)
def test_a_wrong_argument_is_named(args: dict[str, Any], why: str) -> None:
    with pytest.raises(ToolError) as refusal:
        LOOK.bind(args)
    assert why.replace("a integer", "an integer") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_unknown_tool_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ToolError, match="unknown tool 'lock'; known: look, set"):
        Toolbox([LOOK, SET]).bind(ToolCall("lock"))
    with pytest.raises(ToolError, match="known: none"):
        Toolbox().bind(ToolCall("look"))


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        (attrs.evolve(SET, reverse=Tool.__attrs_attrs__.reverse.default), "invertible without prepare and reverse"),
        (attrs.evolve(SET, prepare=Tool.__attrs_attrs__.prepare.default), "invertible without prepare and reverse"),
        (attrs.evolve(SET, invertible=False), "has a reverse and is declared not invertible"),
        (attrs.evolve(SET, exec=Tool.__attrs_attrs__.exec.default), "without exec"),
        (attrs.evolve(SET, read=_look), "a write tool must not have read"),
        (attrs.evolve(LOOK, read=Tool.__attrs_attrs__.read.default), "without read"),
        (attrs.evolve(LOOK, exec=_nothing), "must not have exec"),
        (attrs.evolve(LOOK, name="Look!"), "no tool name"),
        (attrs.evolve(LOOK, params=(*PARAMS, PARAMS[0])), "declared twice"),
        (attrs.evolve(LOOK, params=(Param("n", "", ParamType.INTEGER, "1"),)), "the default of 'n' is no integer"),
        (LOOK, "registered already"),
    ],
)
def test_registration_refuses_what_is_not_well_formed(tool: Tool, why: str) -> None:
    box = Toolbox([LOOK])
    with pytest.raises(ToolError, match=why):
        box.register(tool)
    assert dict(box) == {"look": LOOK}


def test_phases_that_a_tool_lacks_refuse() -> None:
    resource: Resource = object()  # type: ignore[assignment]
    push = write_tool("push", "", (), WriteClass.RMW, lambda view, args: Footprint(), _nothing, invertible=False)
    assert push.prepare(resource, {}, Footprint()) == b""
    with pytest.raises(ToolError, match="no inverse"):
        push.reverse(resource, {}, b"")
    with pytest.raises(ToolError, match="only reads"):
        LOOK.exec(resource, {})
    with pytest.raises(ToolError, match="writes"):
        SET.read(RecordingView({}.get), {})


def test_the_footprint_of_a_read_tool_is_what_it_looks_at_even_when_it_fails() -> None:
    args = LOOK.bind({"path": "a"})
    assert LOOK.footprint(RecordingView({}.get), args) == Footprint(reads=["a"])
    assert LOOK.footprint(RecordingView({"a": b""}.get), args) == Footprint(reads=["a", "d/"])


def test_a_view_looks_once_and_remembers() -> None:
    asked: list[str] = []

    def source(object: str) -> bytes | None:
        asked.append(object)
        return b"x\ny/\n" if object == "d/" else None

    view = RecordingView(source)
    assert [view.listing("d/"), view.listing("d/"), view.listing("e/")] == [("x", "y/"), ("x", "y/"), None]
    assert asked == ["d/", "e/"]
    assert view.reads == {"d/": b"x\ny/\n", "e/": None}


def test_a_toolbox_describes_itself_for_a_prompt() -> None:
    text = Toolbox([LOOK, SET]).describe()
    assert '<tool_call>{"name": "TOOL"' in text
    assert "look(path, count, force, names): look at it\n  path (string): where" in text
    assert "  count (integer, default 1): how often" in text
