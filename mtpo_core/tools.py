"""Tools: what an agent may call, with the footprint and the three phases that concurrency control needs.

A tool declares what a call reads and writes (its *footprint*), whether its effect depends on the values it replaces
(its *write class*), and, if it writes, three phases: ``prepare`` captures what undo needs before the effect, ``exec``
acts, ``reverse`` undoes and may be called at any time after ``prepare`` (CoAgent, sections 3 and 4).
"""

from __future__ import annotations

import abc
import contextlib
import enum
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from mtpo_core.resources import Resource


class ToolError(ValueError):
    """A tool refused or failed: one line that says what and where. The call had no effect."""


class WriteClass(enum.Enum):
    """How a call's effect relates to the state: none, independent of the values it replaces, or dependent on them."""

    READ = "read"
    BLIND = "blind"
    RMW = "rmw"


def _names(objects: Iterable[str]) -> frozenset[str]:
    return frozenset(objects)


@attrs.frozen
class Footprint:
    """The objects that one call reads and those that it writes; a written listing is also read.

    ``kept``: those of both that the call only keeps up, whatever else they hold, as it does a listing to which it adds
    a name. What else becomes of them is told to nobody who has not looked at them. A blind call keeps up all that it
    reads and writes; it need not say so.
    """

    reads: frozenset[str] = attrs.field(default=(), converter=_names)
    writes: frozenset[str] = attrs.field(default=(), converter=_names)
    kept: frozenset[str] = attrs.field(default=(), converter=_names)


class View(abc.ABC):
    """The state at one position of the serial order."""

    @abc.abstractmethod
    def get(self, object: str) -> bytes | None:
        """The value of ``object`` at this position, None when it is absent. Counts as a read of it."""

    def listing(self, directory: str) -> tuple[str, ...] | None:
        """The sorted names in ``directory`` (a subdirectory's ends in ``/``), None when it is absent; one read."""
        value = self.get(directory)
        return None if value is None else listing_names(value)


@attrs.define
class RecordingView(View):
    """A view over ``source`` (a mapping's ``get``, a resource's ``read``) that keeps what was looked at in ``reads``.

    A second look at an object gives what the first one gave, so that a read is consistent with itself.
    """

    source: Callable[[str], bytes | None]
    reads: dict[str, bytes | None] = attrs.field(factory=dict, init=False)

    def get(self, object: str) -> bytes | None:
        if object not in self.reads:
            self.reads[object] = self.source(object)
        return self.reads[object]


def listing_value(names: Iterable[str]) -> bytes:
    """The value of a listing: its names sorted by code point, one per line."""
    return "".join(f"{name}\n" for name in sorted(names)).encode()


def listing_names(value: bytes) -> tuple[str, ...]:
    """The names in the value of a listing."""
    return tuple(value.decode().split("\n")[:-1])


class ParamType(enum.Enum):
    """The types of arguments; the value is what a prompt calls the type."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRINGS = "list of strings"

    @property
    def article(self) -> str:
        return "an" if self is ParamType.INTEGER else "a"


@attrs.frozen
class Param:
    """One parameter: optional when it has a ``default`` that is not None."""

    name: str
    doc: str
    type: ParamType = ParamType.STRING
    default: str | int | bool | tuple[str, ...] | None = None

    def accepts(self, value: object) -> bool:
        """Whether ``value`` (decoded from JSON) has this parameter's type."""
        if self.type is ParamType.STRINGS:
            return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        if self.type is ParamType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        return isinstance(value, str if self.type is ParamType.STRING else bool)


Args = Mapping[str, Any]
"""Arguments by name, bound by :meth:`Tool.bind`: complete, of the declared types, lists as tuples."""


def _no_read(view: View, args: Args) -> str:
    raise ToolError("this tool writes: it has exec, not read")


def _no_prepare(resource: Resource, args: Args, footprint: Footprint) -> bytes:
    return b""


def _no_exec(resource: Resource, args: Args) -> str:
    raise ToolError("this tool only reads: it has read, not exec")


def _no_reverse(resource: Resource, args: Args, undo: bytes) -> None:
    raise ToolError("this tool has no inverse: its calls can't be undone")


@attrs.frozen
class Tool:
    """A registered operation.

    ``footprint(view, args)`` is computed from the state at the caller's position, so the same arguments may write a
    directory's listing (a file is created) or not (it is overwritten). A READ tool has ``read(view, args)``, a pure
    function of the view that returns the result's text. A write tool has ``exec(resource, args)``, which acts and
    returns the result's text, and, if ``invertible``, ``prepare(resource, args, footprint)``, which captures what undo
    needs, and ``reverse(resource, args, undo)``, which is idempotent. Each raises :class:`ToolError` when it refuses or
    fails, and has then changed nothing. Build one with :func:`read_tool` or :func:`write_tool`.
    """

    name: str
    doc: str
    params: tuple[Param, ...]
    write_class: WriteClass
    invertible: bool
    footprint: Callable[[View, Args], Footprint]
    read: Callable[[View, Args], str] = _no_read
    prepare: Callable[[Resource, Args, Footprint], bytes] = _no_prepare
    exec: Callable[[Resource, Args], str] = _no_exec
    reverse: Callable[[Resource, Args, bytes], None] = _no_reverse

    def bind(self, args: Mapping[str, object]) -> Args:
        """Check arguments against the parameters and fill in defaults. Raises :class:`ToolError` naming the culprit."""
        known = ", ".join(param.name for param in self.params) or "none"
        for name in args:
            if all(name != param.name for param in self.params):
                raise ToolError(f"{self.name}: unknown parameter {name!r}; known: {known}")
        bound: dict[str, Any] = {}
        for param in self.params:
            value: object = args.get(param.name, param.default)
            if value is None:
                raise ToolError(f"{self.name}: parameter {param.name!r} is missing; known: {known}")
            if not param.accepts(value):
                wanted = f"must be {param.type.article} {param.type.value}"
                raise ToolError(f"{self.name}: parameter {param.name!r} {wanted}, got {brief(value)}")
            bound[param.name] = tuple(value) if isinstance(value, list) else value
            for text in value if isinstance(value, list | tuple) else [value]:
                if isinstance(text, str) and not encodable(text):
                    raise ToolError(f"{self.name}: parameter {param.name!r} holds a lone surrogate, which is not text")
        return MappingProxyType(bound)

    def describe(self) -> str:
        """The tool for a prompt: one line, then one line per parameter."""
        lines = [f"{self.name}({', '.join(param.name for param in self.params)}): {self.doc}"]
        for param in self.params:
            default = "" if param.default is None else f", default {json.dumps(param.default)}"
            lines.append(f"  {param.name} ({param.type.value}{default}): {param.doc}")
        return "\n".join(lines)

    def flaw(self) -> str | None:
        """Why this tool can't be registered, in one line; None when it can."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            return f"{self.name!r} is no tool name: lower-case letters, digits and underscores"
        names = [param.name for param in self.params]
        if len(set(names)) != len(names):
            return f"{self.name}: a parameter is declared twice"
        for param in self.params:
            if param.default is not None and not param.accepts(param.default):
                return f"{self.name}: the default of {param.name!r} is no {param.type.value}"
        if self.write_class is WriteClass.READ:
            if self.read is _no_read:
                return f"{self.name}: a read tool without read"
            if self.exec is not _no_exec or self.reverse is not _no_reverse:
                return f"{self.name}: a read tool must not have exec or reverse"
            return None
        if self.exec is _no_exec:
            return f"{self.name}: a write tool without exec"
        if self.read is not _no_read:
            return f"{self.name}: a write tool must not have read"
        if self.invertible and (self.reverse is _no_reverse or self.prepare is _no_prepare):
            return (
                f"{self.name}: declared invertible without prepare and reverse; give both, or declare invertible=False"
            )
        if not self.invertible and self.reverse is not _no_reverse:
            return f"{self.name}: has a reverse and is declared not invertible; drop one of the two"
        return None


def read_tool(name: str, doc: str, params: Iterable[Param], read: Callable[[View, Args], str]) -> Tool:
    """A READ tool. Its footprint is what ``read`` looks at, even when it then fails."""

    def footprint(view: View, args: Args) -> Footprint:
        recording = RecordingView(view.get)
        with contextlib.suppress(ToolError):  # a refusal is a result too, and rests on what was looked at
            read(recording, args)
        return Footprint(reads=recording.reads)

    return Tool(name, doc, tuple(params), WriteClass.READ, True, footprint, read=read)


def write_tool(
    name: str,
    doc: str,
    params: Iterable[Param],
    write_class: WriteClass,
    footprint: Callable[[View, Args], Footprint],
    exec: Callable[[Resource, Args], str],
    *,
    prepare: Callable[[Resource, Args, Footprint], bytes] | None = None,
    reverse: Callable[[Resource, Args, bytes], None] | None = None,
    invertible: bool = True,
) -> Tool:
    """A write tool. Without ``prepare`` and ``reverse`` an invertible one is undone by putting the old values back."""
    if invertible and prepare is None and reverse is None:
        prepare, reverse = prepare_preimage, reverse_preimage
    return Tool(
        name,
        doc,
        tuple(params),
        write_class,
        invertible,
        footprint,
        prepare=prepare or _no_prepare,
        exec=exec,
        reverse=reverse or _no_reverse,
    )


def prepare_preimage(resource: Resource, args: Args, footprint: Footprint) -> bytes:
    """The ready-made ``prepare`` of a tool whose inverse is "put the old values back"."""
    return resource.capture(footprint.writes)


def reverse_preimage(resource: Resource, args: Args, undo: bytes) -> None:
    """The ready-made ``reverse`` that goes with :func:`prepare_preimage`."""
    resource.reinstate(undo)


@attrs.frozen
class ToolCall:
    """What a model asks for: a tool's name and arguments, not yet checked."""

    name: str
    args: Mapping[str, Any] = attrs.field(factory=dict)

    def text(self) -> str:
        """The call as a model writes it; :func:`parse_call` reads it back."""
        return f"{OPEN}{json.dumps({'name': self.name, 'args': dict(self.args)}, ensure_ascii=False)}{CLOSE}"


class Toolbox(Mapping[str, Tool]):
    """The tools of a run, by name, in the order of registration."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            self.register(tool)

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def register(self, tool: Tool) -> None:
        """Add a tool. Raises :class:`ToolError` when it is not well formed or its name is taken."""
        if not isinstance(tool, Tool):
            raise ToolError(f"{brief(tool)} is no tool: build one with read_tool or write_tool")
        flaw = tool.flaw()
        if flaw is None and tool.name in self._tools:
            flaw = f"{tool.name}: a tool of that name is registered already"
        if flaw is not None:
            raise ToolError(flaw)
        self._tools[tool.name] = tool

    def bind(self, call: ToolCall) -> tuple[Tool, Args]:
        """The tool that a call names and its checked arguments. Raises :class:`ToolError` naming what is unknown."""
        tool = self._tools.get(call.name)
        if tool is None:
            raise ToolError(f"unknown tool {brief(call.name)}; known: {', '.join(self._tools) or 'none'}")
        return tool, tool.bind(call.args)

    def writes(self, name: str) -> bool:
        """Whether that is a tool that writes."""
        tool = self._tools.get(name)
        return tool is not None and tool.write_class is not WriteClass.READ

    def describe(self) -> str:
        """Every tool and how to call one, as text for a prompt."""
        form = f'{OPEN}{{"name": "TOOL", "args": {{"PARAMETER": VALUE}}}}{CLOSE}'
        return "\n".join([f"Call a tool by writing {form}", "", *(tool.describe() for tool in self._tools.values())])


OPEN: Final = "<tool_call>"
CLOSE: Final = "</tool_call>"


def parse_call(text: str) -> ToolCall | None:
    """The first tool call in a model's text, or None when there is none.

    A call at the very end may lack its closing tag (a stop string cuts it off). Raises :class:`ToolError` that quotes
    the place when what follows the opening tag is not a call.
    """
    _, found, rest = text.partition(OPEN)
    if not found:
        return None
    body = rest.lstrip()
    try:
        data, end = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(body)
    except json.JSONDecodeError as error:
        place = brief(body[max(0, error.pos - 20) : error.pos + 20])
        raise ToolError(f"tool call is not JSON: {error.msg} at character {error.pos}, near {place}") from None
    except ToolError:
        raise
    except ValueError:  # the one other case: more digits than Python converts
        raise ToolError(f"tool call holds a number that is too long, near {brief(body[:40])}") from None
    except RecursionError:
        raise ToolError(f"tool call is nested too deeply, near {brief(body[:40])}") from None
    tail = body[end:].lstrip()
    if tail and not tail.startswith(CLOSE):
        raise ToolError(f"tool call goes on after its JSON, near {brief(tail[:40])}; expected {CLOSE}")
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise ToolError(f'tool call needs an object with a "name", got {brief(data)}')
    odd = sorted(data.keys() - {"name", "args"})
    if odd:
        raise ToolError(f'tool call has unknown field {brief(odd[0])}; known: "name", "args"')
    args = data.get("args", {})
    if not isinstance(args, dict):
        raise ToolError(f'tool call {brief(data["name"])}: "args" must be an object, got {brief(args)}')
    return ToolCall(data["name"], args)


def _refuse_constant(name: str) -> object:
    raise ToolError(f"tool call holds {name}, which is not JSON")


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def brief(value: object) -> str:
    """A value for an error message: JSON-like, on one line, at most 60 characters, plain characters only."""
    try:
        shown = ascii(value)
    except Exception:  # noqa: BLE001 - too long a number, too deep a nesting, a repr of somebody's own
        shown = f"a value of type {type(value).__name__}"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
