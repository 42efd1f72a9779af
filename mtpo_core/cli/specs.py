"""Finding the specs that a verb is to work on."""

from __future__ import annotations

import importlib
import importlib.util
import traceback
from pathlib import Path
from typing import Any

BUILT_IN = {"mtpo": "mtpo.spec.mtpo:mtpo", "kv": "mtpo.spec.paged_kv:kv"}


class NoSuchSpec(ValueError):
    """No built-in spec of that name, and no file that declares one."""


def find_specs(name: str | None) -> list[Any]:
    """All built-in specs, one of them by name, or those that a user's file declares."""
    if name is None:
        return [_load(target) for target in BUILT_IN.values()]
    if name in BUILT_IN:
        return [_load(BUILT_IN[name])]
    path = Path(name)
    if path.suffix != ".py":
        raise NoSuchSpec(f"unknown spec {name!r}; known: {', '.join(BUILT_IN)}; or give a .py file")
    if not path.is_file():
        raise NoSuchSpec(f"{name}: no such file")
    from mtpo.spec.language import Spec, SpecError

    described = importlib.util.spec_from_file_location(path.stem, path)
    assert described is not None and described.loader is not None
    module = importlib.util.module_from_spec(described)
    try:
        described.loader.exec_module(module)
    except SyntaxError as error:
        raise NoSuchSpec(f"{name}:{error.lineno}: {error.msg}") from None
    except SpecError:
        raise
    except Exception as error:  # noqa: BLE001  whatever the user's file does wrong, at its line
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == described.origin]
        line = f":{frames[-1].lineno}" if frames else ""
        raise NoSuchSpec(f"{name}{line}: {type(error).__name__}: {error}") from None
    found = [value for value in vars(module).values() if isinstance(value, Spec)]
    if not found:
        raise NoSuchSpec(f"{name}: declares no Spec")
    return found


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


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
