"""A git repository: refs as objects, commit with its inverse, log, push, and independence from the user's set-up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtpo_core.resources import ResourceError
from mtpo_core.resources.filetools import file_tools
from mtpo_core.resources.git import HEAD, GitRepository
from mtpo_core.resources.gittools import git_tools
from mtpo_core.toolcheck import check_tool
from mtpo_core.tools import RecordingView, Toolbox, ToolCall, ToolError

MAIN = "git:refs/heads/main"
Run = Callable[..., str]


def git(root: Path, *args: str) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    fixed = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "946684800 +0000")
    env = clean | fixed | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@localhost", *args]
    return subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, text=True).stdout.strip()


def make(root: Path, *, commit: bool = True) -> GitRepository:
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    if commit:
        (root / "deploy").mkdir()
        (root / "deploy" / "geo.yaml").write_text("image: v1\n")
        (root / "README").write_text("hello\n")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "start")
    return GitRepository(root)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return make(tmp_path / "work")


def call(repository: GitRepository, name: str, **args: object) -> str:
    tool, bound = Toolbox([*file_tools(), *git_tools(repository)]).bind(ToolCall(name, args))
    return tool.exec(repository, bound)


def look(repository: GitRepository, name: str, **args: object) -> str:
    tool, bound = Toolbox(git_tools(repository)).bind(ToolCall(name, args))
    return tool.read(RecordingView(repository.read), bound)


def status(repository: GitRepository) -> str:
    return git(repository.root, "status", "--porcelain")


def test_refs_are_objects(repository: GitRepository) -> None:
    first = git(repository.root, "rev-parse", "HEAD").encode()
    git(repository.root, "tag", "v1")
    git(repository.root, "branch", "topic/a")
    git(repository.root, "pack-refs", "--all")
    git(repository.root, "branch", "loose")
    assert repository.read(HEAD) == b"ref: refs/heads/main"
    refs = {o for o in repository.objects() if o.startswith("git:")}
    assert refs == {HEAD, MAIN, "git:refs/tags/v1", "git:refs/heads/topic/a", "git:refs/heads/loose"}
    assert {repository.read(o) for o in refs - {HEAD}} == {first}
    assert repository.read("git:refs/heads/absent") is None
    assert not any(".git/" in o for o in repository.objects())


@pytest.mark.parametrize(
    "object",
    ["git:config", "git:refs/heads/../../config", "git:refs/heads/", "git:refs/heads//a", "git:refs/heads/a b",
     "git:refs/heads/a.lock", "git:remote/nowhere/main"],
)  # fmt: skip
def test_a_name_that_is_no_ref_is_refused(repository: GitRepository, object: str) -> None:
    with pytest.raises(ResourceError, match=r"no branch or tag|unknown remote") as refusal:
        repository.read(object)
    assert object in str(refusal.value)


def test_the_audit_sees_refs_that_someone_else_moves(repository: GitRepository) -> None:
    before = repository.fingerprint()
    first = repository.read(MAIN)
    git(repository.root, "commit", "-q", "--allow-empty", "-m", "other")
    git(repository.root, "switch", "-q", "-c", "topic")
    assert repository.changed_since(before) == {HEAD, MAIN, "git:refs/heads/topic"}
    values = {HEAD: b"ref: refs/heads/main", MAIN: first, "git:refs/heads/topic": None}
    assert repository.repair(repository.changed_since(before), values) == frozenset()
    assert not repository.changed_since(before)


def test_capture_and_reinstate_refs_and_files(repository: GitRepository) -> None:
    before = repository.fingerprint()
    undo = repository.capture([HEAD, MAIN, "git:refs/heads/topic", "README"])
    git(repository.root, "commit", "-q", "--allow-empty", "-m", "other")
    git(repository.root, "switch", "-q", "-c", "topic")
    repository.write("README", b"changed")
    for _ in range(2):
        repository.reinstate(undo)
        assert not repository.changed_since(before)
    with pytest.raises(ResourceError, match="undo data"):
        repository.reinstate(b"{}")


def test_commit_of_everything_leaves_a_clean_status(repository: GitRepository) -> None:
    repository.write("deploy/new/canary.yaml", b"image: v1\n")
    repository.write("run.sh", b"#!/bin/sh\n", mode=0o755)
    repository.write('odd "name" ü\\', b"x")
    repository.delete("README")
    said = call(repository, "git_commit", paths=["./"], message="all of it\n\nbody")
    assert status(repository) == ""
    assert said.endswith("on main: all of it")
    written = git(repository.root, "log", "-1", "--format=%an <%ae> %at %B")
    assert written == "mtpo <mtpo@localhost> 946684800 all of it\n\nbody"
    assert "100755" in git(repository.root, "ls-tree", "HEAD", "run.sh")
    assert repository.tracked("HEAD").keys() == {o for o in repository.objects() if o[-1] != "/" and o[:4] != "git:"}
    git(repository.root, "fsck", "--strict")


def test_commit_takes_the_named_paths_only(repository: GitRepository) -> None:
    repository.write("deploy/geo.yaml", b"image: v2\n")
    repository.write("staged", b"by the user\n")
    git(repository.root, "add", "staged")
    repository.write("README", b"not this\n")
    call(repository, "git_commit", paths=["deploy/geo.yaml"], message="geo")
    assert git(repository.root, "show", "--name-only", "--format=", "HEAD") == "deploy/geo.yaml"
    assert status(repository) == "M README\nA  staged"


def test_commit_honours_the_repository_s_ignore_rules(repository: GitRepository) -> None:
    repository.write(".gitignore", b"*.log\n")
    repository.write("debug.log", b"noise")
    call(repository, "git_commit", paths=["."], message="rules")
    assert "debug.log" not in repository.tracked("HEAD")
    call(repository, "git_commit", paths=["debug.log"], message="by name")
    assert "debug.log" in repository.tracked("HEAD")


def test_commit_leaves_links_as_they_are(repository: GitRepository) -> None:
    (repository.root / "link").symlink_to("README")
    git(repository.root, "add", "-A")
    git(repository.root, "commit", "-q", "-m", "a link")
    repository.write("README", b"changed\n")
    call(repository, "git_commit", paths=["./"], message="not the link")
    assert "120000" in git(repository.root, "ls-tree", "HEAD", "link")
    assert status(repository) == ""


def test_a_file_takes_the_place_of_a_directory(repository: GitRepository) -> None:
    repository.delete("deploy/geo.yaml")
    repository.write("deploy", b"a file now\n")
    call(repository, "git_commit", paths=["deploy/geo.yaml", "deploy"], message="swap")
    assert status(repository) == ""
    assert repository.tracked("HEAD").keys() == {"README", "deploy"}


@pytest.mark.parametrize(
    ("paths", "message", "why"),
    [
        (["./"], "m", "nothing to commit"),
        (["absent"], "m", "absent: no such file"),
        (["absent/"], "m", "absent/: no such directory"),
        ([], "m", "no paths"),
        (["README"], " \n", "message is empty"),
        (["../README"], "m", "'..'"),
        ([".git/config"], "m", "reserved"),
    ],
)
def test_a_commit_that_is_refused_changes_nothing(
    repository: GitRepository, paths: list[str], message: str, why: str
) -> None:
    before = repository.fingerprint()
    with pytest.raises(ToolError) as refusal:
        call(repository, "git_commit", paths=paths, message=message)
    assert why in str(refusal.value)
    assert not repository.changed_since(before)
    assert status(repository) == ""


def test_a_commit_on_a_branch_without_commits_and_its_inverse(tmp_path: Path) -> None:
    repository = make(tmp_path, commit=False)
    repository.write("a", b"1")
    tool, args = Toolbox(git_tools(repository)).bind(ToolCall("git_commit", {"paths": ["./"], "message": "root"}))
    before = repository.fingerprint()
    undo = tool.prepare(repository, args, tool.footprint(RecordingView(repository.read), args))
    tool.exec(repository, args)
    assert repository.read(MAIN) is not None
    tool.reverse(repository, args, undo)
    assert repository.read(MAIN) is None
    assert not repository.changed_since(before)
    assert status(repository) == "?? a"


def test_undo_restores_the_index_too(repository: GitRepository) -> None:
    repository.write("deploy/geo.yaml", b"image: v2\n")
    repository.write("new", b"1")
    git(repository.root, "add", "deploy/geo.yaml")
    before, index = status(repository), git(repository.root, "ls-files", "-s")
    tool, args = Toolbox(git_tools(repository)).bind(ToolCall("git_commit", {"paths": ["./"], "message": "m"}))
    undo = tool.prepare(repository, args, tool.footprint(RecordingView(repository.read), args))
    tool.exec(repository, args)
    assert status(repository) == ""
    tool.reverse(repository, args, undo)
    assert (status(repository), git(repository.root, "ls-files", "-s")) == (before, index)


def test_undo_refuses_a_branch_that_something_else_moved(repository: GitRepository) -> None:
    repository.write("new", b"1")
    tool, args = Toolbox(git_tools(repository)).bind(ToolCall("git_commit", {"paths": ["./"], "message": "m"}))
    undo = tool.prepare(repository, args, tool.footprint(RecordingView(repository.read), args))
    tool.exec(repository, args)
    git(repository.root, "commit", "-q", "--allow-empty", "-m", "other")
    theirs = repository.read(MAIN)
    with pytest.raises(ToolError, match="something else moved it"):
        tool.reverse(repository, args, undo)
    assert repository.read(MAIN) == theirs
    with pytest.raises(ToolError, match="undo data"):
        tool.reverse(repository, args, b"{}")


def test_a_ref_moves_only_from_where_it_is_expected(repository: GitRepository) -> None:
    at = repository.read(MAIN)
    assert at is not None
    with pytest.raises(ResourceError, match="update-ref"):
        repository.move_ref(MAIN, at.decode(), "1" * 40)
    with pytest.raises(ResourceError, match="no object id"):
        repository.restore(MAIN, b"HEAD")
    with pytest.raises(ResourceError, match="only be put back on a branch"):
        repository.restore(HEAD, at)


def test_a_detached_head_is_refused(repository: GitRepository) -> None:
    git(repository.root, "checkout", "-q", "--detach")
    repository.write("README", b"x")
    with pytest.raises(ToolError, match="on no branch"):
        call(repository, "git_commit", paths=["./"], message="m")


def test_a_locked_index_refuses_the_commit_before_the_branch_moves(repository: GitRepository) -> None:
    repository.write("README", b"x")
    before = repository.fingerprint()
    (repository.root / ".git" / "index.lock").write_text("")
    with pytest.raises(ToolError, match=r"index\.lock"):
        call(repository, "git_commit", paths=["./"], message="m")
    assert not repository.changed_since(before)


def test_log_is_a_function_of_the_view(repository: GitRepository) -> None:
    first = repository.read(MAIN)
    repository.write("README", b"x")
    call(repository, "git_commit", paths=["./"], message="second")
    assert [line.split(" ", 1)[1] for line in look(repository, "git_log").split("\n")] == ["second", "start"]
    assert look(repository, "git_log", limit=1).endswith("second")
    tool, args = Toolbox(git_tools(repository)).bind(ToolCall("git_log", {}))
    earlier = RecordingView({HEAD: b"ref: refs/heads/main", MAIN: first}.get)
    assert tool.read(earlier, args).split(" ", 1)[1] == "start"
    assert earlier.reads.keys() == {HEAD, MAIN}
    for bad, why in (({"branch": "absent"}, "no commits"), ({"limit": 0}, "at least 1")):
        with pytest.raises(ToolError, match=why):
            look(repository, "git_log", **bad)


@pytest.fixture
def cloned(repository: GitRepository) -> GitRepository:
    bare = repository.root.parent / "origin.git"
    git(repository.root.parent, "init", "-q", "--bare", "-b", "main", str(bare))
    return GitRepository(repository.root, {"origin": bare})


def test_push_to_a_bare_repository_in_a_folder(cloned: GitRepository) -> None:
    remote = "git:remote/origin/main"
    tool, args = Toolbox(git_tools(cloned)).bind(ToolCall("git_push", {}))
    footprint = tool.footprint(RecordingView(cloned.read), args)
    assert (tool.invertible, footprint.writes) == (False, {remote})
    assert cloned.read(remote) is None
    before = cloned.fingerprint()
    assert tool.exec(cloned, args).endswith("to origin/main")
    assert cloned.changed_since(before) == {remote}
    assert cloned.read(remote) == cloned.read(MAIN)
    with pytest.raises(ToolError, match="up to date"):
        tool.exec(cloned, args)
    with pytest.raises(ResourceError, match="can't be taken back"):
        cloned.restore(remote, None)
    with pytest.raises(ToolError, match=r"unknown remote 'upstream'; known: origin"):
        call(cloned, "git_push", remote="upstream")


def test_a_push_that_is_not_fast_forward_is_one_line(cloned: GitRepository) -> None:
    call(cloned, "git_push")
    git(cloned.root, "commit", "-q", "--amend", "-m", "rewritten")
    before = cloned.fingerprint()
    with pytest.raises(ToolError, match="rejected") as refusal:
        call(cloned, "git_push")
    assert "\n" not in str(refusal.value)
    assert not cloned.changed_since(before)


def test_the_user_s_set_up_does_not_interfere(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "ignore").write_text("*\n")
    (home / ".gitconfig").write_text("[commit]\n gpgsign = true\n[user]\n name = x\n[log]\n showSignature = true\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "someone")
    for hook in ("pre-commit", "commit-msg", "reference-transaction", "post-index-change", "pre-push"):
        path = repository.root / ".git" / "hooks" / hook
        path.write_text("#!/bin/sh\necho ran >> ../hooks-ran\nexit 1\n")
        path.chmod(0o755)
    again = GitRepository(repository.root)
    again.write("new", b"1")
    call(again, "git_commit", paths=["./"], message="m")
    assert not (again.root.parent / "hooks-ran").exists()
    assert git(again.root, "log", "-1", "--format=%an %G?") == "mtpo N"
    assert status(again) == ""
    assert (home / ".gitconfig").read_text().startswith("[commit]")


def test_runs_repeat(tmp_path: Path) -> None:
    ids = set()
    for name in ("one", "two"):
        repository = make(tmp_path / name, commit=False)
        repository.write("a", b"1")
        call(repository, "git_commit", paths=["./"], message="m")
        ids.add(repository.read(MAIN))
    assert len(ids) == 1


def test_what_is_no_work_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="not the work tree"):
        GitRepository(tmp_path)
    git(tmp_path, "init", "-q", "--bare", "bare")
    with pytest.raises(ResourceError, match="not the work tree"):
        GitRepository(tmp_path / "bare")
    make(tmp_path / "work")
    (tmp_path / "work" / "sub").mkdir()
    with pytest.raises(ResourceError, match="not its top"):
        GitRepository(tmp_path / "work" / "sub")
    with pytest.raises(ResourceError, match="not a bare repository"):
        GitRepository(tmp_path / "work", {"origin": tmp_path / "work"})


names = st.sampled_from(["a", "d/a", "d/e/b", "f", "f/g"])
trees = st.dictionaries(names, st.sampled_from([b"", b"1\n", b"\xff\r\n"]), max_size=4)


@settings(max_examples=12, deadline=None)
@given(
    committed=trees,
    present=trees,
    paths=st.lists(st.sampled_from(["./", "d/", "a", "d/e/b", "f", "f/g"]), min_size=1, max_size=2),
)
def test_commit_keeps_its_declaration_in_any_state(
    committed: dict[str, bytes], present: dict[str, bytes], paths: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    committed, present = ({n: v for n, v in d.items() if n != "f" or "f/g" not in d} for d in (committed, present))

    def factory() -> GitRepository:
        repository = make(tmp_path_factory.mktemp("repository"), commit=False)
        for state in (committed, present):
            for name in [o for o in repository.objects() if o[-1] != "/" and o[:4] != "git:"]:
                repository.delete(name)
            for name, value in state.items():
                repository.write(name, value)
            if state is committed:
                git(repository.root, "add", "-A")
                git(repository.root, "commit", "-q", "--allow-empty", "-m", "start")
        return repository

    tool = Toolbox(git_tools(factory()))["git_commit"]
    assert check_tool(tool, factory, {"paths": paths, "message": "m"}) == []


def test_git_runs_in_a_process_group_of_its_own(tmp_path: Path) -> None:
    """A Ctrl-C in the terminal goes to the program's group: git is not hit."""
    alias = f"alias.group=!'{sys.executable}' -c 'import os; print(os.getpgrp())'"
    assert int(make(tmp_path).git.text("-c", alias, "group")) != os.getpgrp()
