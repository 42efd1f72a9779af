"""The ledger: what was shown, how, and for which sources.

An entry holds for the sources whose hash it carries (their syntax trees, so comments and layout do not matter). A stale
or missing entry is a failure of the test suite: show the property again with ``mtpo prove --record`` and the like.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.resources
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from mtpo.proofs.verdicts import Verdict

ABSTRACTION = "spec/mtpo/abstraction.py"
"""What the core's states are in the protocol: the refinement rests on it, nothing that is shown of a spec does."""


def _files(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}.py" for name in names.split())


LANGUAGE = _files("spec/language", "__init__ terms substitution enabling checks bodies declarations spec")
_PROVE = (
    *LANGUAGE,
    *_files("proofs/induction", "symbolic inductive prover refuting relevant vacuity second endings"),
    "proofs/children.py",
)
_ENGINES = "explore instances resting compiled bounds kernel kernelcache packing rows search symmetry checkpoint"
_EXPLORE = (
    *LANGUAGE,
    "spec/concrete.py",
    *_files("proofs/exploration", _ENGINES),
    *_files("proofs/columns", "circuit grounding gatecode columns batches columnar arrays devices cuda"),
    # and no more of what they import: how many first states a part has changes nothing of what is found
    *_files("proofs/parts", "parts part partition partwork partsaved"),
    *_files("proofs", "children digests"),
)
METHODS: Mapping[str, tuple[str, ...]] = {
    "inductive": _PROVE,
    "exhaustive": _EXPLORE,
    "reached": _EXPLORE,
    "live": (*LANGUAGE, "spec/concrete.py", *_files("proofs/exploration", "goals instances liveness cycles")),
    "mutants": (
        *_EXPLORE,
        *_PROVE[len(LANGUAGE) :],
        *_files("proofs/mutants", "alterations mutate catching cases breaking"),
    ),
    "refinement": (
        *LANGUAGE,
        "spec/concrete.py",
        *_files("proofs/refinement", "plans sides moves steps comparison pair exploration driving refined planted"),
        ABSTRACTION,
        *_files("mtpo_core", "machine events"),
    ),
}
"""The sources on which a method rests, besides the spec's own module."""

MODULES: Mapping[str, str] = {"kv": "paged_kv", "fair": "fairbatching", "gap": "bounded_gap", "core": "mtpo"}
"""The modules of the specs whose name is another one; that of the core is the protocol's, which it refines."""

REFINES = "core.refines"
"""What is shown of the core."""

LEDGER = "ledger.json"


class LedgerError(ValueError):
    """A file that is no ledger."""


@attrs.frozen
class Entry:
    """One thing shown. ``sources`` is the hash of the sources it holds for."""

    property: str
    method: str
    status: str
    english: str
    sources: str
    detail: Mapping[str, Any]


def _source(name: str) -> str:
    package, _, module = name.partition("/")
    root = package if package == "mtpo_core" else f"mtpo.{package}"
    return importlib.resources.files(root).joinpath(module).read_text(encoding="utf-8")


def sources_hash(spec: str, method: str) -> str:
    """SHA-256 over the syntax trees of the sources behind a method, for the spec of a module: ``paged_kv``, say."""
    found = hashlib.sha256()
    for name in (*_modules(spec), *METHODS[method]):
        found.update(f"{name}\0{_tree(_source(name))}\0".encode())
    return found.hexdigest()


@functools.lru_cache(maxsize=256)
def _tree(source: str) -> str:
    """What a source says, without layout and comments; many specs and methods rest on the same ones."""
    return ast.dump(_what_it_says(ast.parse(source)))


@functools.cache
def _modules(spec: str) -> tuple[str, ...]:
    """The sources of a spec: its module, or those of its package, and of what these are made with."""
    found: dict[str, None] = {}
    work = [spec]
    while work:
        name = work.pop()
        folder = importlib.resources.files("mtpo.spec").joinpath(name)
        files = [f"{name}.py"]
        if folder.is_dir():
            files = sorted(f"{name}/{file.name}" for file in folder.iterdir() if file.name.endswith(".py"))
        for file in (f"spec/{each}" for each in files):
            if file not in (*found, *LANGUAGE, ABSTRACTION):
                found[file] = None
                work += _imported(_source(file))
    return tuple(found)


def _imported(source: str) -> list[str]:
    """The modules and packages of ``mtpo.spec`` that a source imports from."""
    imports = (node.module or "" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom))
    return [name.split(".")[2] for name in imports if name.startswith("mtpo.spec.")]


def _what_it_says(tree: ast.Module) -> ast.Module:
    """A module without its own docstring, which says nothing that is proven; those of properties are their English. And
    without its list of equivalent mutants, which changes nothing that is caught; an entry has it itself."""
    if tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        tree.body = tree.body[1:]
    tree.body = [node for node in tree.body if not _is_list_of_mutants(node)]
    return tree


def _is_list_of_mutants(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "EQUIVALENT"


def read_ledger(path: Path | None = None) -> list[Entry]:
    """The entries, by default those of the installed package. Raises :class:`LedgerError` when there are none."""
    text = path.read_text(encoding="utf-8") if path else _source(f"proofs/{LEDGER}")
    try:
        return [Entry(**item) for item in json.loads(text)["entries"]]
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerError(f"{path or LEDGER}: not a ledger ({type(error).__name__}: {error})") from None


def stale(entries: Iterable[Entry]) -> list[Entry]:
    """The entries whose sources have changed since."""
    now = functools.cache(sources_hash)
    return [e for e in entries if e.sources != now(_spec_of(e.property), e.method)]


def _spec_of(property: str) -> str:
    name = property.partition(".")[0]
    return MODULES.get(name, name)


def record(path: Path, new: Iterable[Entry]) -> None:
    """Write entries, replacing those of the same property and method; explorations of several instances add up, as long
    as they are of the same sources."""
    kept = {(e.property, e.method): e for e in (read_ledger(path) if path.exists() else [])}
    for e in new:
        old = kept.get((e.property, e.method))
        kept[e.property, e.method] = e if old is None or old.sources != e.sources else _joined(old, e)
    rows = [attrs.asdict(kept[key]) for key in sorted(kept)]
    path.write_text(json.dumps({"entries": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _joined(old: Entry, new: Entry) -> Entry:
    if "instances" not in new.detail or "instances" not in old.detail:
        return new
    instances = {_extent(i): i for i in (*old.detail["instances"], *new.detail["instances"])}
    return attrs.evolve(new, detail={**new.detail, "instances": [instances[key] for key in sorted(instances)]})


def _extent(instance: Mapping[str, Any]) -> tuple[int, str, str]:
    """What tells instances of a spec apart, the smaller ones first."""
    return sum(instance["sizes"].values()), json.dumps(instance["sizes"]), instance.get("constants", "")


def entry_of(property: str, method: str, english: str, detail: Mapping[str, Any]) -> Entry:
    """An entry for what was just checked of the sources that are here."""
    return Entry(property, method, "CHECKED", english, sources_hash(_spec_of(property), method), detail)


def entries_of(verdicts: Iterable[Verdict], english: Mapping[str, str]) -> list[Entry]:
    """Ledger entries for verdicts that hold. Seconds are left out: they belong to a machine, not to a proof."""
    now = functools.cache(sources_hash)
    found = []
    for v in verdicts:
        detail = {k: x for k, x in v.detail.items() if k != "seconds"}
        if "sizes" in detail:
            detail = {"instances": [detail]}
        detail["assumptions"] = list(v.assumptions)
        hash = now(_spec_of(v.property), v.method)
        found.append(Entry(v.property, v.method, str(v.status), english.get(v.property, ""), hash, detail))
    return found
