"""The traces of the findings that a run of the core shows: a session on a folder of files, logged and judged."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Final, Literal

import attrs

from mtpo.proofs.findings.traces import NotShown
from mtpo.proofs.replay.judge import judge
from mtpo_core.log import LoggedRun, read_log
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.resources.filetools import file_tools
from mtpo_core.runtime import Answer, Session
from mtpo_core.sync import SyncSession
from mtpo_core.tools import Toolbox, ToolCall


class Player:
    """Agents ``a0``, ``a1``, ... of a session, whose calls are made from a script."""

    def __init__(self, session: SyncSession, agents: int) -> None:
        self.session = session
        for rank in range(agents):
            session.launch(f"a{rank}")

    def call(self, agent: int, tool: str, *, kind: str = "result", **args: object) -> Answer:
        """A call that must come to this kind of answer."""
        answer = self.session.call(agent, ToolCall(tool, args), wait=0.0)
        if answer.kind != kind:
            raise NotShown(f"a{agent}'s {tool} came to {answer.kind} ({answer.text}), not to {kind}")
        return answer

    def told(self, agent: int, *of: str) -> None:
        """The agent's notifications, which must be about these objects and calls of its own."""
        notices = self.session.drain(agent)
        found = {change.object for notice in notices for change in notice.changes}
        found |= {str(news.call) for notice in notices for news in notice.results}
        if found != set(of):
            raise NotShown(f"a{agent} is told of {sorted(found) or 'nothing'}, not of {sorted(of)}")

    def finish(self, *agents: int) -> None:
        """These agents are done."""
        for agent in agents:
            self.session.finish(agent)


@attrs.frozen
class CoreRun:
    """A run of the core on some files. What an agent does is ``play``'s; what must come of it is checked there, and by
    the checker of logs. Its axis has a step for each record of the log."""

    says: str
    agents: int
    files: Mapping[str, str]
    play: Callable[[Player], None]
    policy: Literal["replay", "cancel"] = "replay"
    kind: ClassVar[str] = "run of the core"

    def run(self) -> LoggedRun:
        """Play it. Raises :class:`NotShown`."""
        ticks = itertools.count()
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "files"
            for name, text in self.files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            log = Path(folder) / "run.mtpo"

            def opened() -> Session:
                tools = Toolbox(file_tools())
                return Session.open(
                    FileSystem(root), tools, log, policy=self.policy, run="finding", clock=lambda: float(next(ticks))
                )

            session = SyncSession(opened)
            try:
                self.play(Player(session, self.agents))
            finally:
                session.close()
            run = read_log(log)
        problems = judge(run).problems
        if problems:
            raise NotShown(f"the log of its run is not in order: {problems[0]}")
        return run


def _result_changes(run: Player) -> None:
    run.call(1, "append", path="x", content="a1\n")
    run.call(0, "write_file", path="x", content="a0\n")
    run.told(1, "1.0")
    run.finish(0, 1)


def _inference_in_vain(run: Player) -> None:
    run.call(1, "read_file", path="x")
    run.call(0, "write_file", path="x", content="a0\n")
    run.call(1, "write_file", path="y", content="by what x was\n", kind="bounced")
    run.call(1, "write_file", path="y", content="by what x is\n")
    run.finish(0, 1)


def _failure_is_a_premise(run: Player) -> None:
    run.call(1, "replace", path="d/x", old="b", new="c", kind="refused")
    run.call(0, "write_file", path="d/x", content="b\n")
    run.told(1, "d/x")
    run.call(1, "replace", path="d/x", old="b", new="c")
    run.finish(0, 1)


def _taken_back(run: Player) -> None:
    made = run.call(1, "copy_file", source="x", destination="p").call
    run.call(0, "write_file", path="x", content="2\n")
    run.told(1, "1.0")
    run.session.retract(1, str(made))
    run.call(0, "write_file", path="x", content="1\n")
    run.told(1, "x")
    run.call(1, "copy_file", source="x", destination="p")
    run.finish(0, 1)


RESULT_CHANGES: Final = CoreRun(
    "a1 appends to x; a0, late, writes x; the redo leaves another text than a1 was shown, and a1 is told.",
    2,
    {"x": "0\n"},
    _result_changes,
)
INFERENCE_IN_VAIN: Final = CoreRun(
    "a1 has read x, a0 writes it: whatever a1 is inferring meanwhile, its next call bounces.",
    2,
    {"x": "0\n", "y": "0\n"},
    _inference_in_vain,
)
FAILURE_IS_A_PREMISE: Final = CoreRun(
    "a1's edit of x in d/ fails, there is no d/; a0 makes it, with x: serially it would have gone well, so a1 is told.",
    2,
    {"y": "0\n"},
    _failure_is_a_premise,
)
TAKEN_BACK: Final = CoreRun(
    "a1 copies x to p, is told that x is 2, and takes its call back; a0 makes x 1 again, and a1 is told of that too.",
    2,
    {"x": "1\n"},
    _taken_back,
)
