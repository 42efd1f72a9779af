"""What a scenario is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from mtpo_core.interrupts import run_apart
from mtpo_core.minds.base import Mind
from mtpo_core.resources.filetools import file_tools
from mtpo_core.resources.git import GitRepository
from mtpo_core.resources.gittools import git_tools
from mtpo_core.tools import Toolbox

_TOOLS = frozenset({"list_dir", "read_file", "write_file", "replace", "append", "create_file", "git_commit"})
"""What the agents of a scenario are offered: what they need, so that their prompts stay short."""


class ScenarioError(ValueError):
    """No such scenario, or it can't be set up: one line."""


@attrs.frozen
class AgentSpec:
    """An agent: its task as it is told, and the mind that plays it."""

    name: str
    task: str
    mind: Callable[[], Mind]


@attrs.frozen
class Scenario:
    """``agents`` in rank order; ``files`` the initial repository; ``wanted`` statements about the final files."""

    name: str
    title: str
    story: str
    files: Mapping[str, str]
    agents: tuple[AgentSpec, ...]
    wanted: Mapping[str, Callable[[Mapping[str, str]], bool]]

    def build(self, directory: Path) -> tuple[GitRepository, Toolbox]:
        """Make the repository in an empty directory."""
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ScenarioError(f"{directory}: not empty; a scenario makes a repository of its own")
        for path, text in self.files.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "initial state"]):
            _git(directory, *command)
        repository = GitRepository(directory)
        tools = [tool for tool in (*file_tools(), *git_tools(repository)) if tool.name in _TOOLS]
        return repository, Toolbox(tools)

    def failures(self, files: Mapping[str, str]) -> list[str]:
        """The wanted statements that do not hold of the final files."""
        return [what for what, holds in self.wanted.items() if not holds(files)]


def _git(directory: Path, *args: str) -> str:
    identity = ["-c", "user.name=mtpo", "-c", "user.email=mtpo@localhost", "-c", "commit.gpgsign=false"]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {"GIT_AUTHOR_DATE": "946684800 +0000", "GIT_COMMITTER_DATE": "946684800 +0000"}
    try:
        done = run_apart(["git", *identity, *args], cwd=directory, env=env)
    except FileNotFoundError:
        raise ScenarioError("git is not installed: scenarios run on a real repository") from None
    if done.returncode:
        raise ScenarioError(f"git {args[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def final_files(directory: Path) -> dict[str, str]:
    """Every file of the work tree, and under ``HEAD:path`` every file of the last commit."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and not name.startswith(".git/"):
            found[name] = path.read_text(encoding="utf-8")
    for name in _git(directory, "ls-tree", "-r", "--name-only", "HEAD").split():
        found[f"HEAD:{name}"] = _git(directory, "show", f"HEAD:{name}")
    return found
