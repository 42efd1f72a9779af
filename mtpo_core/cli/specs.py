"""Finding the specs that a verb is to work on."""

from __future__ import annotations

import ast
import contextlib
import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from mtpo_core.cli.contained import contained

BUILT_IN = {
    "mtpo": "mtpo.spec.mtpo:mtpo",
    "kv": "mtpo.spec.paged_kv:kv",
    "fair": "mtpo.spec.fairbatching:fair",
    "batching": "mtpo.spec.batching:batching",
    "concur": "mtpo.spec.concur:concur",
    "conserve": "mtpo.spec.conserve:conserve",
    "gap": "mtpo.spec.bounded_gap:gap",
    "failover": "mtpo.spec.failover:failover",
    "footprint": "mtpo.spec.footprint:footprint",
    "recovery": "mtpo.spec.recovery:recovery",
    "delivery": "mtpo.spec.delivery:delivery",
    "shadows": "mtpo.spec.shadows:shadows",
    "names": "mtpo.spec.names:names",
    "levels": "mtpo.spec.levels:levels",
    "locks": "mtpo.spec.locks:locks",
    "serial": "mtpo.spec.serial:serial",
}

SPEC_HELP = f"{', '.join(BUILT_IN)} or FILE.py"


class NoSuchSpec(ValueError):
    """No built-in spec of that name, and no file that declares one."""


@attrs.frozen
class Source:
    """Specs, and what their file lists with reasons: mutants that change nothing (``EQUIVALENT``), and what no run
    exercises (``UNREACHABLE``)."""

    specs: list[Any]
    equivalent: dict[str, str] = attrs.Factory(dict)
    unreachable: dict[str, str] = attrs.Factory(dict)


def find_specs(name: str | None) -> list[Any]:
    """All built-in specs, one of them by name, or those that a user's file declares."""
    return find_source(name).specs


def find_source(name: str | None) -> Source:
    """Specs with what else a user's file says of them."""
    if name is None or name in BUILT_IN:
        found = [_load(target) for one, target in BUILT_IN.items() if name in (None, one)]
        equivalent, unreachable = ({id: why for _, each in found for id, why in each[k].items()} for k in (0, 1))
        return Source([spec for spec, _ in found], equivalent, unreachable)
    if not name.strip():
        raise NoSuchSpec(f"an empty name of a spec; known: {', '.join(BUILT_IN)}; or give a .py file")
    path = Path(name)
    head = name.partition(".")[0]
    if head in BUILT_IN and path.suffix != ".py":
        raise NoSuchSpec(
            f"unknown spec {name!r}: an id of {head}? Give the spec, {head}, and an option such as -p {name}"
        )
    if path.is_dir():
        raise NoSuchSpec(f"{name}: a folder; give one .py file that declares a Spec, or one of {', '.join(BUILT_IN)}")
    if path.suffix != ".py":
        raise NoSuchSpec(f"unknown spec {name!r}; known: {', '.join(BUILT_IN)}; or give a .py file")
    if not path.is_file():
        raise NoSuchSpec(f"{name}: no such file")
    module = run_file(path)
    lists = []
    for what, ids in (("EQUIVALENT", "the ids of mutants"), ("UNREACHABLE", "what no run exercises")):
        listed = getattr(module, what, {})
        texts = [t for item in listed.items() for t in item] if isinstance(listed, dict) else [None]
        if not all(isinstance(t, str) and t.strip() for t in texts):
            raise NoSuchSpec(f"{name}: {what} must map {ids} to reasons, both text")
        lists.append(listed)
    return Source(declared(module, name), *lists)


def run_file(path: Path) -> ModuleType:
    """The module that a user's file is. Whatever it does wrong is a :class:`NoSuchSpec` or SpecError with its line.

    What it prints goes to standard error, so that standard output is that of the verb.
    """
    from mtpo.spec.language import SpecError

    name = str(path)
    module = ModuleType(path.stem)
    module.__file__ = name
    sys.modules.setdefault(path.stem, module)
    try:
        with contextlib.redirect_stdout(sys.stderr), contained():
            exec(compile(path.read_bytes(), name, "exec"), module.__dict__)
    except SyntaxError as error:
        line = "" if error.lineno is None else f":{error.lineno}"
        raise NoSuchSpec(f"{error.filename or name}{line}: {error.msg}") from None
    except SpecError:
        raise
    except ValueError as error:
        if "null byte" in str(error):
            raise NoSuchSpec(f"{name}: is no Python source: {error}") from None
        raise NoSuchSpec(_at(path, error)) from None
    except BaseException as error:  # noqa: BLE001 - exits too: the user's file does not decide how a check ends
        raise NoSuchSpec(_at(path, error)) from None
    finally:
        if sys.modules.get(path.stem) is module:
            del sys.modules[path.stem]
    return module


def _at(path: Path, error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    line = f":{frames[-1].lineno}" if frames else ""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SystemExit):
        what = f"the file ends the program itself (exit {error.code}); a spec only declares"
    return f"{path}{line}: {what}"


def declared(module: ModuleType, name: str) -> list[Any]:
    """The specs of a module, each once however many names it has."""
    from mtpo.spec.language import Spec

    found = list({id(value): value for value in vars(module).values() if isinstance(value, Spec)}.values())
    if not found:
        raise NoSuchSpec(f'{name}: declares no Spec; write `NAME = Spec("NAME", "what it is")` and declare on it')
    for one in found:
        if not one.variables or not one.actions:
            lacks = "variables" if not one.variables else "actions"
            raise NoSuchSpec(f"{name}: spec `{one.name}` has no {lacks}, so there is nothing to check")
    return found


def check_finite(source: Source, name: str) -> None:
    """Before a user's spec is explored: that there is an end to the values of its constants and arguments."""
    from mtpo.proofs.exploration.instances import is_mtpo, sizes_for, small_instance
    from mtpo.spec.language import Function, Int, show

    for spec in source.specs:
        if name in BUILT_IN or is_mtpo(spec):
            continue
        found = []
        try:
            # For a built-in one that a file passes on the integers are chosen.
            small_instance(spec, sizes_for(spec))
        except ValueError:
            constants = [c.name for c in spec.constants.values() if c.range is Int]
            found += [(_declared_at(name, each), f"constant `{each}`") for each in constants]
        for action in spec.actions.values():
            for each in action.params:
                if (each.range if isinstance(each, Function) else each.sort) is Int:
                    argument = each.name if isinstance(each, Function) else show(each)
                    found.append((action.at, f"argument `{argument}` of action `{action.name}`"))
        for at, what in found:
            raise NoSuchSpec(
                f"{at}: {spec.name}: {what} is an Int, and every integer would have to be tried: write the number "
                "itself in its place, make it an element of an OrderedSort, or let z3 prove it for all: "
                f"mtpo prove {name}"
            )


def _declared_at(name: str, constant: str) -> str:
    """File and line of a constant of a user's file; the file alone where it is not written out there."""
    for node in ast.walk(ast.parse(Path(name).read_bytes())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "const":
            named = [*node.args[:1], *(key.value for key in node.keywords if key.arg == "name")]
            if any(isinstance(one, ast.Constant) and one.value == constant for one in named):
                return f"{name}:{node.lineno}"
    return name


def check_ledger(ledger: Path | None, name: str | None) -> None:
    """Before the work: whether its outcome can be written into the ledger."""
    if ledger is None:
        return
    if name is not None and name not in BUILT_IN:
        raise NoSuchSpec(f"--record is for the built-in specs ({', '.join(BUILT_IN)}); {name} is a file")
    if not ledger.absolute().parent.is_dir():
        raise NoSuchSpec(f"--record {ledger}: no such folder")
    if ledger.exists():
        from mtpo.proofs.ledger import read_ledger

        read_ledger(ledger)


def _load(target: str) -> tuple[Any, tuple[dict[str, str], dict[str, str]]]:
    name, _, attribute = target.partition(":")
    module = importlib.import_module(name)
    return getattr(module, attribute), (getattr(module, "EQUIVALENT", {}), getattr(module, "UNREACHABLE", {}))
