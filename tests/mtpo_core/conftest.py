"""A session on a small tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.replay.judge import judge
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Tool, Toolbox

A, B = 0, 1


@attrs.define
class Bench:
    """A tree with the file ``x``, and a session on it with agents A and B."""

    root: Path
    log: Path
    sync: SyncSession

    def finish(self) -> str:
        """Both finish; what close says."""
        for agent in (A, B):
            self.sync.drain(agent)
            if not self.sync.committed(agent):
                self.sync.finish(agent)
        return self.sync.close()

    def end(self) -> LoggedRun:
        """Both finish; the log holds."""
        assert self.finish() == "complete"
        run = read_log(self.log)
        assert not judge(run).problems
        return run


Make = Callable[..., Bench]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Make]:
    made: list[Bench] = []

    def make(*tools: Tool, resource: Callable[[Path], Any] = FileSystem, **options: Any) -> Bench:
        root = tmp_path / f"tree{len(made) or ''}"
        root.mkdir()
        (root / "x").write_text("start\n")
        tree, log = resource(root), tmp_path / f"run{len(made) or ''}.mtpo"
        sync = SyncSession(lambda: Session.open(tree, Toolbox([*file_tools(), *tools]), log, **options))
        one = Bench(root, log, sync)
        made.append(one)
        for name in "AB":
            sync.launch(name)
        return one

    yield make
    for one in made:
        one.sync.close()
