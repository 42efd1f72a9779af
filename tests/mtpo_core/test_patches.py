"""Differences of texts: what is told makes the one of the other, and is put to no other text."""

from __future__ import annotations

import difflib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo_core import patches
from mtpo_core.patches import OPEN, PatchError, difference, patched

LINES = ["a", "b", "c", "", "\n", "\r", OPEN, "@@ -1 +1 @@", "-a", "+b", "\u2028"]
TEXTS = st.lists(st.sampled_from(LINES)).map("\n".join)


@given(TEXTS, TEXTS)
def test_what_is_told_makes_the_one_of_the_other(was: str, now: str) -> None:
    assert patched(was, difference(was, now)) == now


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_of_whole_lines_it_is_a_unified_diff_without_context(was: list[str], now: list[str]) -> None:
    lines = list(difflib.unified_diff(was, now, n=0, lineterm=""))[2:]
    hunks = difference("".join(f"{line}\n" for line in was), "".join(f"{line}\n" for line in now))
    told = [line for line in hunks.split("\n") if hunks]
    for sign in "+-":
        assert sum(line.startswith(sign) for line in told) <= sum(line.startswith(sign) for line in lines)
    if was and now and len(was) == len(now) == 1:
        assert told == lines


@pytest.mark.parametrize(
    ("was", "now", "hunks"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", "@@ -2 +2 @@\n-b\n+B"),
        ("a\n", "a\nb\n", "@@ -1,0 +2 @@\n+b"),
        ("a\nb\nc", "c", "@@ -1,2 +0,0 @@\n-a\n-b"),
        ("", "a\n", "@@ -0,0 +1 @@\n+a"),
        ("a\nb", "a\nb\nc", "@@ -2,0 +3 @@\n+c"),
        ("a\nb", "a\nc", "@@ -2 +2 @@\n-b\n+c"),
        ("same", "same", ""),
    ],
)
def test_how_it_is_told(was: str, now: str, hunks: str) -> None:
    assert difference(was, now) == hunks


@pytest.mark.parametrize(
    ("was", "now", "hunks"),
    [
        ("a\nb\n", "a\nb", "@@ -2 +2 @@\n-b\n+b\n{open}"),
        ("a\nb", "a\nb\n", "@@ -2 +2 @@\n-b\n{open}\n+b"),
        ("a\nb\n", "a\nb\n\n", "@@ -2,0 +3 @@\n+"),
        ("a\nb", "A\nb\nc\n", "@@ -1,2 +1,3 @@\n-a\n-b\n{open}\n+A\n+b\n+c"),
        ("", "a", "@@ -0,0 +1 @@\n+a\n{open}"),
        ("a", "", "@@ -1 +0,0 @@\n-a\n{open}"),
        ("\n", "a", "@@ -1 +1 @@\n-\n+a\n{open}"),
    ],
)
def test_a_newline_at_the_end_that_is_gone_or_new_is_told_as_in_any_diff(was: str, now: str, hunks: str) -> None:
    hunks = hunks.format(open=r"\ No newline at end of file")
    assert difference(was, now) == hunks
    assert patched(was, hunks) == now


@pytest.mark.parametrize(("was", "now"), [("a\nb\n", "a\nb"), ("a\nb", "a\nb\nc\n"), ("", "a"), ("x\ny", "x\n")])
@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_git_takes_it_too(tmp_path: Path, was: str, now: str) -> None:
    (tmp_path / "f").write_text(was)
    (tmp_path / "p").write_text(f"--- a/f\n+++ b/f\n{difference(was, now)}\n")
    subprocess.run(["git", "apply", "--unidiff-zero", "p"], cwd=tmp_path, check=True)
    assert (tmp_path / "f").read_text() == now


def test_texts_that_have_too_many_lines_to_compare_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MOST_COMPARED", 3)
    was, now = "a\nb\nc\nd\nz", "a\nc\nb\ne\nz"
    hunks = difference(was, now)
    assert hunks == "@@ -2,3 +2,3 @@\n-b\n-c\n-d\n+c\n+b\n+e"
    assert patched(was, hunks) == now


@pytest.mark.parametrize(
    ("hunks", "why"),
    [
        ("nonsense", "not the head of a hunk: 'nonsense'"),
        ("@@ -2 +2 @@\n-x\n+y", "the text has something else at line 2"),
        ("@@ -9,0 +10 @@\n+y", "the text has something else at line 9"),
        ("@@ -2 +2 @@\n-b", "the hunk at line 2 is cut short"),
        ("@@ -2 +2 @@\n-b\n-c", "the hunk at line 2 is cut short"),
        ("@@ -2 +2 @@\n-b\n+B\n@@ -1 +1 @@\n-a\n+A", "the text has something else at line 1"),
        ("@@ -3 +3 @@\n-c\n+c\n\\ No newline at end of file", "the text has something else at line 3"),
        ("@@ -1,0 +1 @@\n+x\n\\ No newline at end of file", "the text does not end where the hunks say that it does"),
        ("@@ -3 +3 @@\n-c\n+c\n\\ No newline", "not the head of a hunk: .*"),
    ],
)
def test_hunks_that_are_not_for_this_text_are_refused(hunks: str, why: str) -> None:
    with pytest.raises(PatchError, match=f"^{why}$"):
        patched("a\nb\nc", hunks)


def test_what_would_take_too_long_to_compare_is_replaced_as_a_whole() -> None:
    """Every other line is empty in both, and nothing else is the same: the most work there is for a comparison."""
    was, now = ("\n".join(f"{letter}{n}\n" for n in range(900)) for letter in "ab")
    hunks = difference(was, now)
    assert hunks.count("@@") == 2
    assert patched(was, hunks) == now


def test_many_lines_for_one_are_told_as_one_hunk() -> None:
    was = "\n".join(map(str, range(50_000)))
    assert difference(was, "x").startswith("@@ -1,50000 +1 @@\n-0\n")


def test_two_changes_far_apart_are_two_hunks() -> None:
    was = "\n".join(["a", *map(str, range(20_000)), "z"])
    now = "\n".join(["b", *map(str, range(20_000)), "y"])
    assert difference(was, now) == "@@ -1 +1 @@\n-a\n+b\n@@ -20002 +20002 @@\n-z\n+y"
