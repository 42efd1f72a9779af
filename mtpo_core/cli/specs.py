"""Finding the specs that a verb is to work on."""

from __future__ import annotations

import importlib
import importlib.util
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
    from mtpo.spec.language import Spec

    described = importlib.util.spec_from_file_location(path.stem, path)
    assert described is not None and described.loader is not None
    module = importlib.util.module_from_spec(described)
    try:
        described.loader.exec_module(module)
    except SyntaxError as error:
        raise NoSuchSpec(f"{name}:{error.lineno}: {error.msg}") from None
    found = [value for value in vars(module).values() if isinstance(value, Spec)]
    if not found:
        raise NoSuchSpec(f"{name}: declares no Spec")
    return found


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
