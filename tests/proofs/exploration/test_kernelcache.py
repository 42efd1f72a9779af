"""What lies in the cache of kernels is not believed: it would give another answer, or a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mtpo.proofs.exploration import kernelcache

SOURCE = """\
from numba import njit


@njit(cache=True)
def other(x):
    return x + 1


@njit(cache=True)
def advance(x):
    return other(x) * 2
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTPO_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def answer() -> int:
    """What a process does: load, run, keep."""
    module = kernelcache.load("small", SOURCE)
    found = int(module.advance(3))
    kernelcache.keep(module)
    return found


def hits() -> int:
    module = kernelcache.load("small", SOURCE)
    assert module.advance(3) == 8
    return sum(module.advance.stats.cache_hits.values())


def test_machine_code_is_kept(cache: Path) -> None:
    assert answer() == 8
    assert hits() == 1
    assert [p.suffix for p in sorted(cache.glob("mtpo_kernel_small_*"))] == [".py", ".seal"]


def change(cache: Path, pattern: str, text: Callable[[bytes], bytes]) -> None:
    files = list(cache.glob(pattern))
    assert files
    for file in files:
        file.write_bytes(text(file.read_bytes()))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*.py", lambda text: text.replace(b"* 2", b"* 3")),
        ("*.py", lambda text: text[:50]),
        ("*.py", lambda text: b"\xff\x00"),
        ("__pycache__/*.nbi", lambda text: b"garbage"),
        ("__pycache__/*.nbc", lambda text: b"garbage"),
        ("__pycache__/*.nbc", lambda text: text[: len(text) // 2]),
        ("__pycache__/*.nbc", lambda text: b""),
    ],
)
def test_a_changed_file_is_made_anew(cache: Path, pattern: str, text: Callable[[bytes], bytes]) -> None:
    assert answer() == 8
    change(cache, pattern, text)
    assert answer() == 8
    assert hits() == 1, "kept again"


@pytest.mark.parametrize("seal", [None, b"", b"[]", b"{}", b"\xff"])
def test_without_its_seal_machine_code_is_made_anew(cache: Path, seal: bytes | None) -> None:
    assert answer() == 8
    (file,) = cache.glob("*.seal")
    file.unlink()
    if seal is not None:
        file.write_bytes(seal)
    assert hits() == 0


def test_machine_code_of_another_source_is_not_taken_over(cache: Path) -> None:
    """Made of a changed file, and sealed: the files carry what they were made of."""
    assert answer() == 8
    change(cache, "*.py", lambda text: text.replace(b"* 2", b"* 3"))
    (path,) = cache.glob("*.py")
    wrong = kernelcache._run(path.stem, path.read_text(), path)
    assert wrong.advance(3) == 12
    kernelcache.keep(wrong)
    assert answer() == 8


def test_where_nothing_can_be_kept_it_is_made_each_time(cache: Path) -> None:
    cache.write_text("a file, no folder")
    assert answer() == 8
    assert hits() == 0
    assert cache.read_text() == "a file, no folder"
