"""Running verbs in this process, and files with specs of every kind."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo_core.cli import main
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Session
from mtpo_core.tools import Toolbox, ToolCall

BROKEN = '    require("free", ~exists(Process, lambda q: holds(q)))\n'


@attrs.frozen
class Outcome:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Mtpo = Callable[..., Outcome]


@pytest.fixture
def mtpo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mtpo:
    """Runs the command in this process."""

    def run(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mtpo", *map(str, args)])
        heard = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as stopped:
            main()
        signal.signal(signal.SIGINT, heard)  # a process that has ended hears no interrupt
        text = capsys.readouterr()
        return Outcome(int(stopped.value.code or 0), text.out, text.err)

    return run


@pytest.fixture
def broken(tmp_path: Path, lock_path: Path) -> Path:
    """The lock's file without the clause that makes it one."""
    text = lock_path.read_text()
    assert BROKEN in text
    path = tmp_path / "broken.py"
    path.write_text(text.replace(BROKEN, ""))
    return path


@pytest.fixture
def tall(tmp_path: Path) -> Path:
    """A spec whose invariant no finite domain refutes and no proof shows."""
    path = tmp_path / "tall.py"
    path.write_text(
        "from mtpo.spec.language import Bool, OrderedSort, Spec, exists, forall\n"
        "tall = Spec('tall')\n"
        "class Number(OrderedSort):\n"
        "    'a number'\n"
        "mark = tall.var('mark', Number, init=lambda n: False)\n"
        "@tall.action\n"
        "def put(n: Number) -> None:\n"
        "    mark[n] = True\n"
        "@tall.invariant('tall.greatest')\n"
        "def greatest() -> Bool:\n"
        "    'There is a greatest.'\n"
        "    return exists(Number, lambda n: forall(Number, lambda m: m <= n))\n"
    )
    return path


async def play(folder: Path) -> None:
    """B reads and writes x, then A, of lower rank, writes it: a repair and a notification."""
    (folder / "tree").mkdir()
    (folder / "tree" / "x").write_text("x0\n")
    session = Session.open(FileSystem(folder / "tree"), Toolbox(file_tools()), folder / "run.mtpo", run="r")
    for name in "AB":
        await session.launch(name)
    await session.call(1, ToolCall("read_file", {"path": "x"}))
    for agent, text in ((1, "b\n"), (0, "a\n")):
        await session.call(agent, ToolCall("append", {"path": "x", "content": text}))
    await session.drain(1)
    for agent in (0, 1):
        await session.finish(agent)
    assert await session.close() == "complete"


@pytest.fixture(scope="package")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of a real run."""
    folder = tmp_path_factory.mktemp("logs")
    asyncio.run(play(folder))
    return folder
