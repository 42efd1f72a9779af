"""An exploration in parts goes on from the parts that were done; a checkpoint that does not fit is refused."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.exploration.checkpoint import CheckpointError
from mtpo.proofs.exploration.explore import Exploration, explore
from mtpo.proofs.exploration.instances import Roots, mtpo_instance
from mtpo.proofs.parts.part import Explorer
from mtpo.proofs.parts.parts import explore_in_parts
from mtpo.proofs.parts.partsaved import FILE, PartsSaved
from mtpo.spec.concrete import Instance
from tests.proofs.parts.climbing import climbers, same

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around


class Stopped(Exception):
    pass


def interrupted(instance: Instance, roots: Any, folder: Path, at: int, **options: Any) -> PartsSaved:
    """An exploration that is stopped before the part from place ``at`` on."""
    saved = PartsSaved(folder)
    own = Explorer.explore

    def explore_(self: Explorer, part: Any) -> Any:
        if part.start >= at:
            raise Stopped
        return own(self, part)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Explorer, "explore", explore_)
        explore_in_parts(instance, roots, jobs=1, checkpoint=saved, **options)
    return saved


@pytest.mark.parametrize("symmetry", [False, True])
def test_an_exploration_goes_on_with_the_parts_that_are_not_done(tmp_path: Path, symmetry: bool) -> None:
    instance, roots = climbers(5)
    saved = interrupted(instance, roots, tmp_path, 3, size=1, symmetry=symmetry)
    assert 0 < saved.saved < (32 * 32)
    begun: list[int] = []
    own = Explorer.explore
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Explorer, "explore", lambda self, part: begun.append(part.start) or own(self, part))  # type: ignore[func-returns-value]
        again = PartsSaved(tmp_path, resume=True)
        found = explore_in_parts(instance, roots, jobs=1, size=2, symmetry=symmetry, checkpoint=again)
    assert begun[0] == 3
    same(found, explore(instance, roots, engine="numpy", symmetry=symmetry))
    assert again.saved == found.states
    whole = explore_in_parts(instance, roots, symmetry=symmetry, checkpoint=PartsSaved(tmp_path, resume=True))
    same(whole, found)
    assert found.seconds >= json.loads((tmp_path / FILE).read_text())["seconds"] > 0


def test_what_lies_between_parts_that_are_done_is_explored(tmp_path: Path) -> None:
    instance, roots = climbers(4)
    explore_in_parts(instance, roots, jobs=1, size=3, checkpoint=PartsSaved(tmp_path))
    saved = PartsSaved(tmp_path, resume=True)
    saved.begin(instance, False)
    for start in (3, 9):
        del saved._parts[start]
    saved.save()
    found = explore_in_parts(instance, roots, jobs=1, size=100, checkpoint=PartsSaved(tmp_path, resume=True))
    same(found, explore(instance, roots))
    starts = sorted(part["start"] for part in json.loads((tmp_path / FILE).read_text())["parts"])
    assert starts == [0, 3, 6, 9, 12, 15]


def test_a_limit_can_be_raised(tmp_path: Path) -> None:
    instance, roots = climbers(4)
    cut = explore_in_parts(instance, roots, limit=100, jobs=1, size=1, checkpoint=PartsSaved(tmp_path))
    assert not cut.complete
    found = explore_in_parts(instance, roots, jobs=1, size=1, checkpoint=PartsSaved(tmp_path, resume=True))
    same(found, explore(instance, roots))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    instance, roots = climbers(3)
    explore_in_parts(instance, roots, jobs=1, size=3, checkpoint=PartsSaved(tmp_path))
    before = (tmp_path / FILE).read_bytes()

    def refused(text: str, made: Any = None, resume: bool = True, folder: Path = tmp_path, **options: Any) -> None:
        with pytest.raises(CheckpointError, match=text) as caught:
            explore_in_parts(*(made or (instance, roots)), checkpoint=PartsSaved(folder, resume=resume), **options)
        assert "\n" not in str(caught.value)
        assert (tmp_path / FILE).read_bytes() == before

    refused("holds a checkpoint; go on from it with --resume", resume=False)
    refused("holds no checkpoint of parts to resume; leave out --resume", folder=tmp_path / "other")
    refused("climb has changed since; remove the folder", climbers(3, most=7))
    refused("of other sizes, 3 Item; remove the folder", climbers(4))
    refused("it was begun without --symmetry", symmetry=True)
    refused("it is of climb, not of mtpo", mtpo_instance(1, 1, 1))
    refused("it is of other constants or initial states", (instance, Roots(lambda: reversed(list(roots)))))
    for change in (
        b"",
        b"[]",
        b"[" * 100_000,
        before[: len(before) // 2],
        before.replace(b'"initial": 3', b'"initial": 4'),
    ):
        assert change != before
        (tmp_path / FILE).write_bytes(change)
        with pytest.raises(CheckpointError, match=f"{FILE}: is damaged.*; remove the folder"):
            explore_in_parts(instance, roots, checkpoint=PartsSaved(tmp_path, resume=True))


def test_an_option_that_is_another_is_named(tmp_path: Path) -> None:
    instance, roots = climbers(3)
    begun = {"--agents": 2, "--faults": False}
    explore_in_parts(instance, roots, jobs=1, checkpoint=PartsSaved(tmp_path, options=begun))

    def resumed(**now: Any) -> Exploration:
        saved = PartsSaved(tmp_path, resume=True, options=now)
        return explore_in_parts(*climbers(3 if now["--agents"] == 2 else 4), jobs=1, checkpoint=saved)

    assert resumed(**begun).complete
    with pytest.raises(CheckpointError, match="it was begun with --agents 2 and without --faults; remove the folder"):
        resumed(**{"--agents": 3, "--faults": True})


def test_what_a_killed_process_left_is_removed_when_it_goes_on(tmp_path: Path) -> None:
    instance, roots = climbers(3)
    (tmp_path / f"{FILE}.77.new").write_bytes(b"{")
    (tmp_path / "mine.new").write_bytes(b"kept")
    explore_in_parts(instance, roots, jobs=1, checkpoint=PartsSaved(tmp_path))
    assert {file.name for file in tmp_path.iterdir()} == {FILE, "mine.new"}
    (tmp_path / f"{FILE}.78.new").write_bytes(b"{")
    with pytest.raises(CheckpointError):
        explore_in_parts(instance, roots, jobs=1, checkpoint=PartsSaved(tmp_path))
    assert (tmp_path / f"{FILE}.78.new").exists(), "what is refused is left as it is"
    explore_in_parts(instance, roots, jobs=1, checkpoint=PartsSaved(tmp_path, resume=True))
    assert {file.name for file in tmp_path.iterdir()} == {FILE, "mine.new"}


def full(monkeypatch: pytest.MonkeyPatch, often: int) -> None:
    """So many writings fail."""
    left = [often]

    def fsync(file: int) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_full_disk_hides_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance, roots = climbers(4)
    saved = PartsSaved(tmp_path)
    full(monkeypatch, 10**9)
    found = explore_in_parts(instance, roots, jobs=1, size=3, checkpoint=saved)
    same(found, explore(instance, roots))
    assert saved.failed == f"{tmp_path / FILE}: No space left on device"
    assert (saved.saved, list(tmp_path.iterdir())) == (0, [])
    saved = PartsSaved(tmp_path, every=0.0)
    full(monkeypatch, 2)
    explore_in_parts(instance, roots, jobs=1, size=3, checkpoint=saved)
    assert (saved.saved, saved.failed) == (found.states, ""), "it was tried again"


def test_an_interrupt_saves_the_parts_that_are_done(tmp_path: Path) -> None:
    instance, roots = climbers(4)
    saved = PartsSaved(tmp_path)
    own = Explorer.explore

    def explore_(self: Explorer, part: Any) -> Any:
        if part.start == 4:
            raise KeyboardInterrupt
        return own(self, part)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Explorer, "explore", explore_)
        explore_in_parts(instance, roots, jobs=1, size=1, checkpoint=saved)
    assert saved.saved == 4 * 16
