"""Where generated code is kept between runs: beside its source lies the machine code that numba made of it.

Nothing that is found there is trusted. The source is compared with what would be written now. Machine code is used only
under a seal, the digests of its files, taken when the process that made it was done; without one, or with another, it
is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numba

from mtpo.proofs.cachefolder import cache_folder, replace


def load(name: str, source: str) -> ModuleType:
    """The module that a source is. Where there is no place to keep it, it is made anew each time."""
    digest = hashlib.sha256(f"{numba.__version__} {source}".encode()).hexdigest()[:24]
    path = Path(cache_folder("kernels"), f"mtpo_kernel_{name}_{digest}.py")
    try:
        text = source.encode()
        if not path.is_file() or path.read_bytes() != text:
            replace(path, text)
        module = _run(path.stem, source, path)
        digests = _digests(module)
        if digests and digests != _sealed(path):
            for file in digests:
                _machine_code(module, file).unlink(missing_ok=True)
    except (OSError, RuntimeError):  # numba's word for having no place is a RuntimeError
        return plain(name, source.replace("cache=True", "cache=False"))
    return module


def plain(name: str, source: str) -> ModuleType:
    """The module that a source is, of which nothing is kept."""
    return _run(f"mtpo_kernel_{name}", source, None)


def keep(module: ModuleType) -> None:
    """Seal the machine code that there is by now: the next process may use it."""
    if module.__dict__.get("__file__") is None:
        return
    path = Path(str(module.__file__))
    with contextlib.suppress(OSError):
        digests = _digests(module)
        if digests and digests != _sealed(path):
            replace(_seal(path), json.dumps(digests, sort_keys=True).encode())


def _run(name: str, source: str, path: Path | None) -> ModuleType:
    """The source is run as it is, never a byte code of it that lies about."""
    module = ModuleType(name)
    if path is not None:
        module.__file__ = str(path)
        sys.modules[name] = module  # numba finds it again by name
    exec(compile(source, str(path or f"<{name}>"), "exec"), module.__dict__)
    return module


def _seal(path: Path) -> Path:
    return path.with_suffix(".seal")


def _sealed(path: Path) -> object:
    try:
        return json.loads(_seal(path).read_bytes())
    except (OSError, ValueError):
        return None


def _machine_code(module: ModuleType, file: str) -> Path:
    return Path(module.advance.stats.cache_path, file)


def _digests(module: ModuleType) -> dict[str, str]:
    """Of each file of machine code of a module, by name."""
    files = _machine_code(module, "").glob(f"{module.__name__}.*.nb[ic]")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
