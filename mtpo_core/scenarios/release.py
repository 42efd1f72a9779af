"""Rank-reversed writes over several files, with three agents.

A releases a new version and takes its time; B scales a service and notes it in the change log; C writes a status page
and commits. B and C write before A does, on the same files: their writes must be undone, A's slipped in below, and
theirs redone; and what they wrote from A's old values must be revised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mtpo_core.minds.replayed import Memory, Move, ReplayedMind
from mtpo_core.scenarios.base import AgentSpec, Scenario
from mtpo_core.scenarios.canary import manifest
from mtpo_core.tools import ToolCall


def field(text: str | None, name: str) -> str:
    """The value of ``name:`` in a manifest, empty when there is none."""
    found = re.search(rf"^{name}: (.*)$", text or "", re.MULTILINE)
    return found[1] if found else ""


class Releaser(ReplayedMind):
    """Wants 1.5 in VERSION, in the manifest of api and in the change log (with the replicas), and committed notes."""

    done = "Version 1.5 is released."

    def plan(self, memory: Memory) -> Iterator[Move]:
        """Read all it needs, then write from the version outwards."""
        version, api = memory.file("VERSION"), memory.file("deploy/api.yaml") or ""
        log = memory.file("CHANGELOG.md") or ""
        memory.file("RELEASING.md")
        if version != "1.5\n":
            yield Move("Set the version.", ToolCall("write_file", {"path": "VERSION", "content": "1.5\n"}))
        image = field(api, "image")
        if image != "api:1.5":
            yield Move(
                "Set the image.",
                ToolCall("replace", {"path": "deploy/api.yaml", "old": image, "new": "api:1.5"}),
            )
        line = f"- 1.5: api 1.5 on {field(api, 'replicas')} replicas\n"
        if line not in log:
            yield Move("Note it.", ToolCall("append", {"path": "CHANGELOG.md", "content": line}))
        notes = "NOTES.md"
        if notes not in memory.mine:
            text = "A new image of api.\n"
            yield Move("Write notes.", ToolCall("create_file", {"path": notes, "content": text}))
        if notes in memory.uncommitted:
            yield Move("Commit.", ToolCall("git_commit", {"paths": [notes], "message": "Notes"}))


class Scaler(ReplayedMind):
    """Wants twice the replicas of api that it found, noted with the image that runs."""

    done = "The service is scaled."
    MARK = "- scaled "

    def plan(self, memory: Memory) -> Iterator[Move]:
        """Scale, then note it; if the image turns out another, correct the note."""
        api = memory.file("deploy/api.yaml") or ""
        if field(api, "replicas") != "4":
            old = f"replicas: {field(api, 'replicas')}"
            yield Move(
                "Scale it.",
                ToolCall("replace", {"path": "deploy/api.yaml", "old": old, "new": "replicas: 4"}),
            )
        log = memory.file("CHANGELOG.md") or ""
        line = f"{self.MARK}api to 4 replicas of {field(api, 'image')}\n"
        if line not in log:
            stale = [old for old in log.splitlines(keepends=True) if old.startswith(self.MARK)]
            if stale:
                yield Move(
                    "My note is wrong.",
                    ToolCall("replace", {"path": "CHANGELOG.md", "old": stale[0], "new": line}),
                )
            else:
                yield Move("Note it.", ToolCall("append", {"path": "CHANGELOG.md", "content": line}))


class Reporter(ReplayedMind):
    """Wants a status page that says what runs, and everything committed."""

    done = "The page is true."

    def plan(self, memory: Memory) -> Iterator[Move]:
        """Write the page from what it read, then commit all."""
        version, api = (memory.file("VERSION") or "").strip(), memory.file("deploy/api.yaml")
        page = f"version {version}: {field(api, 'replicas')} replicas of {field(api, 'image')}\n"
        if memory.file("STATUS.md") != page:
            yield Move("Report.", ToolCall("write_file", {"path": "STATUS.md", "content": page}))
        if memory.uncommitted:
            paths = ["CHANGELOG.md", "VERSION", "deploy/api.yaml", "STATUS.md"]
            yield Move("Commit.", ToolCall("git_commit", {"paths": paths, "message": "Status"}))


def _status_true(files: Mapping[str, str]) -> bool:
    api = files.get("deploy/api.yaml")
    says = f"{field(api, 'replicas')} replicas of {field(api, 'image')}"
    return f"version {files.get('VERSION', '?').strip()}: {says}" in files.get("STATUS.md", "")


def _committed(files: Mapping[str, str]) -> bool:
    return all(files.get(f"HEAD:{path}") == text for path, text in files.items() if not path.startswith("HEAD:"))


RELEASE = Scenario(
    name="release",
    title="A release, a scaling and a status page",
    story=(
        "A releases version 1.5 and takes its time, B scales the service, C reports and commits. B and C write first, "
        "on the files that A is about to write: their writes are undone, A's goes below, theirs are redone and revised."
    ),
    files={
        "CHANGELOG.md": "# Changes\n\n- 1.4: first release\n",
        "VERSION": "1.4\n",
        "deploy/api.yaml": manifest("api", "api:1.4", 2),
        "RELEASING.md": "Set VERSION, then the image; note it; write and commit notes.\n",
        "STATUS.md": "unknown\n",
    },
    agents=(
        AgentSpec("A release", "Release version 1.5 as RELEASING.md says.", Releaser),
        AgentSpec("B scale", "Run api on 4 replicas and note it, with its image, in the change log.", Scaler),
        AgentSpec("C report", "Write STATUS.md from what runs, and commit everything.", Reporter),
    ),
    wanted={
        "the status page says what runs": _status_true,
        "the change log names the image that runs": lambda files: (
            f"4 replicas of {field(files.get('deploy/api.yaml'), 'image')}" in files.get("CHANGELOG.md", "")
        ),
        "everything is committed": _committed,
    },
)
