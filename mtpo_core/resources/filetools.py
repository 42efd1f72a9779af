"""Tools on a file tree: reading, searching, writing, and moving files about.

Creating or removing a file also writes the listing of its directory, and of each directory above that thereby appears
or vanishes; overwriting a file writes only the file. A listing that a call writes is also read: one name is added to it
or taken out, the others stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from mtpo_core.resources.base import Resource
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.names import ROOT, child, file_name, is_listing, last, listing_name, parent
from mtpo_core.tools import (
    Args,
    Footprint,
    Param,
    ParamType,
    Tool,
    ToolError,
    View,
    WriteClass,
    brief,
    read_tool,
    write_tool,
)

MATCHES = 200
"""How many matching lines a search shows; it says how many more there are."""


EMPTY = "(empty)"
"""What ``list_dir`` says of a root without files."""


def touched_listings(view: View, added: Iterable[str], removed: Iterable[str]) -> frozenset[str]:
    """The listings that change when files appear and disappear."""
    names: dict[str, set[str]] = {}
    before: dict[str, frozenset[str]] = {}

    def known(listing: str) -> set[str]:
        if listing not in names:
            before[listing] = frozenset(view.listing(listing) or ())
            names[listing] = set(before[listing])
        return names[listing]

    for object in added:
        while object != ROOT and last(object) not in known(parent(object)):
            known(parent(object)).add(last(object))
            object = parent(object)
    for object in removed:
        while object != ROOT and last(object) in known(parent(object)):
            known(parent(object)).discard(last(object))
            if known(parent(object)):
                break
            object = parent(object)
    return frozenset(listing for listing in names if names[listing] != before[listing])


def files_below(view: View, listing: str) -> Iterator[str]:
    """Every file in a directory and its subdirectories, in order. Reads each listing."""
    for name in view.listing(listing) or ():
        object = child(listing, name)
        if is_listing(object):
            yield from files_below(view, object)
        else:
            yield object


def file_tools() -> tuple[Tool, ...]:
    """The tools of a file tree; each of them works on any :class:`FileSystem`."""
    return FILE_TOOLS


def _tree(resource: Resource) -> FileSystem:
    if not isinstance(resource, FileSystem):
        raise ToolError(f"file tools need a file tree, not a {type(resource).__name__}")
    return resource


def _text(object: str, value: bytes | None) -> str:
    if value is None:
        raise ToolError(f"{object}: no such file")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ToolError(f"{object}: not UTF-8 text") from None


# Reading.


def _list_dir(view: View, args: Args) -> str:
    listing = listing_name(args["path"])
    names = view.listing(listing)
    if names is None:
        raise ToolError(f"{listing}: no such directory")
    return "\n".join(names) or EMPTY


def _read_file(view: View, args: Args) -> str:
    name = file_name(args["path"])
    return _text(name, view.get(name))


def _search(view: View, args: Args) -> str:
    listing = listing_name(args["path"])
    try:
        pattern = re.compile(args["pattern"])
    except re.error as error:
        raise ToolError(f"search: pattern {brief(args['pattern'])} is not a regular expression: {error}") from None
    if view.listing(listing) is None:
        raise ToolError(f"{listing}: no such directory")
    found = []
    for object in files_below(view, listing):
        try:
            lines = _text(object, view.get(object)).split("\n")
        except ToolError:
            continue  # not text: nothing to match
        found += [f"{object}:{number}: {line}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    if len(found) > MATCHES:
        found[MATCHES:] = [f"... and {len(found) - MATCHES} more matching lines"]
    return "\n".join(found) or f"no match for {brief(args['pattern'])} in {listing}"


# Writing: for each tool its footprint, then its effect.


def _written(view: View, args: Args) -> Footprint:
    name = file_name(args["path"])
    listings = touched_listings(view, [name], [])
    return Footprint(reads=listings, writes={name, *listings}, kept=listings)


def _write_file(resource: Resource, args: Args) -> str:
    name, value = file_name(args["path"]), args["content"].encode()
    _tree(resource).write(name, value)
    return f"wrote {len(value)} bytes to {name}"


def _modified(view: View, args: Args) -> Footprint:
    name = file_name(args["path"])
    return Footprint(reads={name}, writes={name})


def _replace(resource: Resource, args: Args) -> str:
    name, old, new = file_name(args["path"]), args["old"], args["new"]
    text = _text(name, resource.read(name))
    if not old or old not in text:
        raise ToolError(f"{name}: {brief(old)} does not occur" if old else f"{name}: the text to replace is empty")
    _tree(resource).write(name, text.replace(old, new).encode())
    count = text.count(old)
    return f"replaced {count} occurrence{'s' if count > 1 else ''} in {name}"


def _append(resource: Resource, args: Args) -> str:
    name, value = file_name(args["path"]), args["content"].encode()
    old = resource.read(name)
    if old is None:
        raise ToolError(f"{name}: no such file")
    _tree(resource).write(name, old + value)
    return f"appended {len(value)} bytes to {name}"


def _created(view: View, args: Args) -> Footprint:
    name = file_name(args["path"])
    listings = touched_listings(view, [name], [])
    return Footprint(reads={name, *listings}, writes={name, *listings}, kept=listings)


def _create_file(resource: Resource, args: Args) -> str:
    name, value = file_name(args["path"]), args["content"].encode()
    _must_be_free(resource, name)
    _tree(resource).write(name, value)
    return f"created {name} with {len(value)} bytes"


def _deleted(view: View, args: Args) -> Footprint:
    name = file_name(args["path"])
    listings = touched_listings(view, [], [name])
    return Footprint(reads={name, *listings}, writes={name, *listings}, kept=listings)


def _delete_file(resource: Resource, args: Args) -> str:
    name = file_name(args["path"])
    if resource.read(name) is None:
        raise ToolError(f"{name}: no such file")
    _tree(resource).delete(name)
    return f"deleted {name}"


def _copied(view: View, args: Args) -> Footprint:
    source, target = file_name(args["source"]), file_name(args["destination"])
    listings = touched_listings(view, [target], [])
    return Footprint(reads={source, target, *listings}, writes={target, *listings}, kept=listings)


def _moved(view: View, args: Args) -> Footprint:
    source, target = file_name(args["source"]), file_name(args["destination"])
    listings = touched_listings(view, [target], [source])
    return Footprint(reads={source, target, *listings}, writes={source, target, *listings}, kept=listings)


def _transfer(resource: Resource, args: Args) -> tuple[FileSystem, str, str]:
    tree, source, target = _tree(resource), file_name(args["source"]), file_name(args["destination"])
    value = tree.read(source)
    if value is None:
        raise ToolError(f"{source}: no such file")
    _must_be_free(tree, target)
    tree.write(target, value, tree.mode(source))
    return tree, source, target


def _copy_file(resource: Resource, args: Args) -> str:
    _, source, target = _transfer(resource, args)
    return f"copied {source} to {target}"


def _move_file(resource: Resource, args: Args) -> str:
    tree, source, target = _transfer(resource, args)
    tree.delete(source)
    return f"moved {source} to {target}"


def _must_be_free(resource: Resource, name: str) -> None:
    if resource.read(name) is not None:
        raise ToolError(f"{name}: exists already")


_PATH = Param("path", "file, relative to the root")
_FOLDER = Param("path", "directory, relative to the root", default="./")
_CONTENT = Param("content", "text")
_SOURCE, _TARGET = Param("source", "existing file"), Param("destination", "new file; must not exist")
_PATTERN = Param("pattern", "regular expression, matched line by line", ParamType.STRING)


def _writer(
    name: str,
    doc: str,
    params: tuple[Param, ...],
    footprint: Callable[[View, Args], Footprint],
    exec: Callable[[Resource, Args], str],
    write_class: WriteClass = WriteClass.RMW,
) -> Tool:
    return write_tool(name, doc, params, write_class, footprint, exec)


FILE_TOOLS: tuple[Tool, ...] = (
    read_tool("list_dir", "names in a directory", (_FOLDER,), _list_dir),
    read_tool("read_file", "the text of a file", (_PATH,), _read_file),
    read_tool("search", "lines that match, in all files of a directory", (_PATTERN, _FOLDER), _search),
    _writer("write_file", "set a file's whole text", (_PATH, _CONTENT), _written, _write_file, WriteClass.BLIND),
    _writer(
        "replace",
        "replace every occurrence of a text in a file",
        (_PATH, Param("old", "text to replace"), Param("new", "text to put there")),
        _modified,
        _replace,
    ),
    _writer("append", "add text at the end of a file", (_PATH, _CONTENT), _modified, _append),
    _writer("create_file", "create a file that must not exist", (_PATH, _CONTENT), _created, _create_file),
    _writer("delete_file", "delete a file", (_PATH,), _deleted, _delete_file),
    _writer("copy_file", "copy a file", (_SOURCE, _TARGET), _copied, _copy_file),
    _writer("move_file", "move or rename a file", (_SOURCE, _TARGET), _moved, _move_file),
)
