"""Tools on a git repository: commit, log and push.

A commit takes the bytes of the files it names as they are, without filters or line-end conversion, on top of the
current branch. Files that it does not name stay out of it, whatever the user's index says. Its inverse moves the branch
back and restores the index's entries for those paths; the commit itself stays in the object store and in the reflog.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from mtpo_core.resources.base import Resource
from mtpo_core.resources.filetools import files_below
from mtpo_core.resources.git import HEAD, GitRepository, branch_of
from mtpo_core.resources.names import ROOT, child, file_name, is_listing, listing_name, parent
from mtpo_core.tools import (
    Args,
    Footprint,
    Param,
    ParamType,
    RecordingView,
    Tool,
    ToolError,
    View,
    WriteClass,
    read_tool,
    write_tool,
)

ABBREVIATION = 10
"""Characters of a commit id that are shown: fixed, because git's own choice depends on what else is stored."""


def git_tools(repository: GitRepository) -> tuple[Tool, ...]:
    """The tools of a repository: ``git_log`` finds a commit's history there, the others act on what they are given."""
    return (
        write_tool(
            "git_commit",
            "commit the named files and directories on the current branch",
            (
                Param("paths", "files, and directories with a final slash; ./ is everything", ParamType.STRINGS),
                Param("message", "commit message"),
            ),
            WriteClass.RMW,
            _commit_footprint,
            _commit,
            prepare=_commit_prepare,
            reverse=_commit_reverse,
        ),
        _log_tool(repository),
        write_tool(
            "git_push",
            "push the current branch to a remote; can't be undone",
            (Param("remote", "name of the remote", default="origin"),),
            WriteClass.RMW,
            _push_footprint,
            _push,
            invertible=False,
        ),
    )


def _repository(resource: Resource) -> GitRepository:
    if not isinstance(resource, GitRepository):
        raise ToolError(f"git tools need a git repository, not a {type(resource).__name__}")
    return resource


def _branch(head: bytes | None) -> str:
    branch = branch_of(head)
    if branch is None:
        raise ToolError(f"{HEAD} is on no branch; check one out first")
    return branch


def _live_branch(repository: GitRepository) -> tuple[str, str | None]:
    """The current branch and the commit it is at."""
    branch = _branch(repository.read(HEAD))
    at = repository.read(branch)
    return branch, None if at is None else at.decode()


# Commit.


def _named(paths: Iterable[str]) -> list[str]:
    """Canonical names: ``deploy/`` for a directory, ``deploy/geo.yaml`` for a file."""
    named = [listing_name(p) if p.endswith("/") or p in ("", ".") else file_name(p) for p in paths]
    if not named:
        raise ToolError("git_commit: no paths given; name files or directories, ./ for everything")
    return list(dict.fromkeys(named))


def _commit_footprint(view: View, args: Args) -> Footprint:
    branch = _branch(view.get(HEAD))
    reads = RecordingView(view.get)
    for name in _named(args["paths"]):
        if not is_listing(name):
            reads.get(name)
            continue
        for file in files_below(reads, name):
            reads.get(file)
        reads.listing(name)
        while name != ROOT:  # ignore rules of the directories above
            name = parent(name)
            reads.get(child(name, ".gitignore"))
    return Footprint(reads={HEAD, branch, *reads.reads}, writes={branch})


def _pathspecs(names: Iterable[str]) -> list[str]:
    return ["." if name == ROOT else name for name in names]


def _commit_prepare(resource: Resource, args: Args, footprint: Footprint) -> bytes:
    repository = _repository(resource)
    branch, at = _live_branch(repository)
    entries = repository.index_entries(_pathspecs(_named(args["paths"])))
    return json.dumps({"branch": branch, "at": at, "index": entries}, sort_keys=True).encode()


def _commit(resource: Resource, args: Args) -> str:
    repository, names = _repository(resource), _named(args["paths"])
    message = args["message"].strip()
    if not message or "\0" in message:
        raise ToolError("git_commit: the message is empty or holds a NUL")
    git, (branch, parent_id) = repository.git, _live_branch(repository)
    specs = _pathspecs(names)
    files = _files(repository, names, parent_id)
    entries = _entries(repository, files)
    with tempfile.TemporaryDirectory(prefix="mtpo-index-") as folder:
        index = Path(folder) / "index"
        git.run("read-tree", *([parent_id] if parent_id else ["--empty"]), index=index)
        kept = repository.beyond_tools(repository.index_entries(specs, index), files)
        repository.set_index(specs, [*entries, *kept], index)
        tree = git.text("write-tree", index=index)
    if parent_id and tree == git.text("rev-parse", f"{parent_id}^{{tree}}"):
        raise ToolError(f"git_commit: nothing to commit in {', '.join(names)}")
    parents = ["-p", parent_id] if parent_id else []
    commit = git.run("commit-tree", tree, *parents, "-F", "-", input=f"{message}\n".encode()).decode().strip()
    before = repository.index_entries(specs)
    repository.set_index(specs, [*entries, *repository.beyond_tools(before, files)])
    try:
        repository.move_ref(branch, commit, parent_id)
    except ToolError:
        repository.set_index(specs, before)
        raise
    git.run("update-index", "-q", "--refresh", ok=(0, 1))
    subject = message.split("\n", 1)[0]
    return f"committed {commit[:ABBREVIATION]} on {branch.removeprefix('git:refs/heads/')}: {subject}"


def _files(repository: GitRepository, names: list[str], parent_id: str | None) -> list[str]:
    """Every present file that the names stand for; those of the branch that are no longer there are thereby deleted."""
    tracked = repository.tracked(parent_id)
    files: set[str] = set()
    for name in names:
        if is_listing(name):
            found = set(files_below(RecordingView(repository.read), name))
            files |= found - (repository.ignored(found - tracked.keys()) if found else frozenset())
            known = any(file.startswith(name) or name == ROOT for file in tracked)
            if not found and not known:
                raise ToolError(f"git_commit: {name}: no such directory, in the work tree or in the branch")
        elif repository.read(name) is not None:
            files.add(name)
        elif name not in tracked:
            raise ToolError(f"git_commit: {name}: no such file, in the work tree or in the branch")
    return sorted(files)


def _entries(repository: GitRepository, files: list[str]) -> list[str]:
    """Index lines for files, the content of each stored as a blob."""
    if not files:
        return []
    paths = "".join(f"{json.dumps(name, ensure_ascii=False)}\n" for name in files).encode()
    blobs = repository.git.run("hash-object", "-w", "--no-filters", "--stdin-paths", input=paths).decode().split()
    executable = {name for name in files if (repository.mode(name) or 0) & 0o100}
    return [
        f"{'100755' if name in executable else '100644'} {blob}\t{name}"
        for name, blob in zip(files, blobs, strict=True)
    ]


def _commit_reverse(resource: Resource, args: Args, undo: bytes) -> None:
    repository = _repository(resource)
    try:
        kept = json.loads(undo)
        branch, before, entries = kept["branch"], kept["at"], kept["index"]
    except (ValueError, KeyError, TypeError):
        raise ToolError(f"git_commit: undo data of {len(undo)} bytes is not a commit's") from None
    live = repository.read(branch)
    at = None if live is None else live.decode()
    if at != before:
        # Only the commit that this call made may be dropped: its parent is where the branch was.
        made = repository.git.text("log", "-1", "--format=%P%n%B", at).split("\n", 1) if at else ["", ""]
        if at is None or made[0] != (before or "") or made[1].strip() != args["message"].strip():
            raise ToolError(f"git_commit: {branch} is not at the commit to undo; something else moved it")
        repository.move_ref(branch, before, at)
    repository.set_index(_pathspecs(_named(args["paths"])), entries)


# Log.


def _log_tool(repository: GitRepository) -> Tool:
    def read(view: View, args: Args) -> str:
        limit, wanted = args["limit"], args["branch"]
        if limit < 1:
            raise ToolError(f"git_log: limit {limit} must be at least 1")
        branch = f"git:refs/heads/{wanted}" if wanted else _branch(view.get(HEAD))
        commit = view.get(branch)
        if commit is None:
            raise ToolError(f"git_log: {branch.removeprefix('git:refs/heads/')} has no commits")
        listed = repository.git.text("log", f"-{limit}", "--format=%H %s", commit.decode(), "--")
        return "\n".join(f"{line[:ABBREVIATION]}{line[line.index(' ') :]}" for line in listed.split("\n"))

    return read_tool(
        "git_log",
        "the latest commits of a branch, newest first",
        (
            Param("limit", "how many commits", ParamType.INTEGER, 10),
            Param("branch", "name of a branch; the current one when empty", default=""),
        ),
        read,
    )


# Push.


def _remote_branch(remote: str, branch: str) -> str:
    return f"git:remote/{remote}/{branch.removeprefix('git:refs/heads/')}"


def _push_footprint(view: View, args: Args) -> Footprint:
    branch = _branch(view.get(HEAD))
    target = _remote_branch(args["remote"], branch)
    return Footprint(reads={HEAD, branch, target}, writes={target})


def _push(resource: Resource, args: Args) -> str:
    repository, remote = _repository(resource), args["remote"]
    branch, at = _live_branch(repository)
    if at is None:
        raise ToolError(f"git_push: {branch.removeprefix('git:refs/heads/')} has no commits")
    target = _remote_branch(remote, branch)
    if repository.read(target) == at.encode():  # also refuses a remote that is not known
        raise ToolError(f"git_push: {remote} is up to date")
    name = branch.removeprefix("git:")
    repository.git.run("push", "--quiet", "--no-verify", str(repository.remotes[remote]), f"{at}:{name}")
    return f"pushed {at[:ABBREVIATION]} to {remote}/{name.removeprefix('refs/heads/')}"
