"""What the embedding code passes in is checked before anything is done: one clear line, and the log as it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mtpo_core.errors import SessionError
from mtpo_core.log import read_log
from mtpo_core.resources.base import ResourceError
from mtpo_core.resources.filesystem import FileSystem
from mtpo_core.runtime import Session
from mtpo_core.tools import Toolbox, ToolCall

from .conftest import A, B, Make

INFER = {"began": 0.0, "prompt_tokens": 1, "new_tokens": 1, "steps": [0, 1], "text": None}
JUDGE = {"ids": [], "verdict": "ignore", "waiver": None}

CYCLE: dict[str, Any] = {}
CYCLE["path"] = CYCLE
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


class Torn(dict[str, Any]):
    """A mapping that can't be read."""

    def keys(self) -> Any:
        raise RuntimeError("torn\nto bits")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (None, "must be a mapping by name, got None"),
        (5, "must be a mapping by name, got 5"),
        (["path"], "must be a mapping by name"),
        ({1: 2, "path": "x"}, "must be a mapping by name, got {1: 2, 'path': 'x'}"),
        (CYCLE, "can't be written as JSON: Circular reference"),
        ({"path": DEEP}, "can't be written as JSON: "),
        ({"path": math.nan}, "can't be written as JSON: "),
        ({"path": 10**5000}, "can't be written as JSON: "),
        ({"path": {"x"}}, "can't be written as JSON: "),
        ({"path": {1: 0, "x": 0}}, "can't be written as JSON: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("told", [False, True])
def test_arguments_that_are_no_json_are_refused(bench: Make, args: Any, reason: str, told: bool) -> None:
    one = bench()
    if told:  # what would be a bounce
        one.sync.call(B, ToolCall("read_file", {"path": "x"}))
        one.sync.call(A, ToolCall("append", {"path": "x", "content": "a"}))
    with pytest.raises(SessionError) as caught:
        one.sync.call(B, ToolCall("read_file", args))
    assert str(caught.value).startswith("call: read_file: the arguments ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert one.sync.notified(B) == told
    one.end()


def test_what_a_model_may_get_wrong_is_the_tools_to_refuse(bench: Make) -> None:
    one = bench()
    for args in ({"path": 10**300}, {"path": "\ud800"}, {"\ud800": 1}, {"path": None}):
        assert one.sync.call(A, ToolCall("read_file", args)).kind == "refused"
    one.end()


@pytest.mark.parametrize("wait", [math.nan, -1, -0.5, "x", None, True])
def test_a_wait_that_is_no_time_is_refused(bench: Make, wait: Any) -> None:
    with pytest.raises(
        SessionError, match=r"^call: wait must be seconds from 0 \(math.inf: as long as it takes\), got"
    ):
        bench().sync.call(A, ToolCall("read_file", {"path": "x"}), wait=wait)


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb", "\x1b[2J", "\x7f", "a\u2028b"])
def test_a_name_that_can_not_stand_in_a_line_is_refused(bench: Make, name: str) -> None:
    one = bench()
    with pytest.raises(SessionError, match=r"^launch: the name must have visible characters and no control characters"):
        one.sync.launch(name)
    one.end()


@pytest.mark.parametrize("name", ["Ünal", "agent 1", "审查员"])
def test_a_name_in_any_script_will_do(bench: Make, name: str) -> None:
    bench().sync.launch(name)


@pytest.mark.parametrize("kind", ["close", "run-open", "commit", "", None, ["infer"]])
def test_only_inferences_and_judgments_are_recorded_from_outside(bench: Make, kind: Any) -> None:
    one = bench()
    with pytest.raises(SessionError, match=r"^record: kind must be infer or judge, got"):
        one.sync.record(kind, A, {"final": {}, "outcome": "complete", "error": None})
    one.end()


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("infer", {"began": "x"}, "field 'began' must be seconds"),
        ("infer", {"began": math.nan}, "field 'began' must be seconds"),
        ("infer", {"began": 1e6}, "field 'began' is 1000000.0 s, and the run is"),
        ("infer", {"prompt_tokens": -1}, "field 'prompt_tokens' must be a number from 0, got -1"),
        ("infer", {"new_tokens": True}, "field 'new_tokens' must be a number from 0, got True"),
        ("infer", {"new_tokens": 2**60}, "field 'new_tokens' must be a number from 0"),
        ("infer", {"steps": [1]}, "field 'steps' must be .first, last. engine steps"),
        ("infer", {"steps": [2, 1]}, "field 'steps' must be .first, last. engine steps"),
        ("infer", {"text": "hello"}, "field 'text' must be a digest, or None, got 'hello'"),
        ("infer", {"text": "0" * 64}, "field 'text' names no value of this log"),
        ("infer", {"more": math.inf}, "body of 'infer'"),
        ("infer", {"more": DEEP}, "body of 'infer'"),
        ("infer", {"more": 2**70}, "body of 'infer'"),
        ("judge", {"ids": ["1"]}, "field 'ids' must be a list"),
        ("judge", {"ids": [1, 1]}, "field 'ids' must be a list"),
        ("judge", {"ids": [7]}, "agent 0 has no notification 7 that is not yet judged"),
        ("judge", {"verdict": "maybe"}, "field 'verdict' must be ignore, repair or retract, got 'maybe'"),
        ("judge", {"waiver": ""}, "field 'waiver' must be mechanical, replayed, trusted or None"),
    ],
)
def test_a_body_that_breaks_the_form_is_refused(bench: Make, kind: Any, change: dict[str, Any], reason: str) -> None:
    one = bench()
    with pytest.raises(SessionError, match=f"^record: .*{reason}") as caught:
        one.sync.record(kind, A, (INFER if kind == "infer" else JUDGE) | change)
    assert "\n" not in str(caught.value)
    one.end()


@pytest.mark.parametrize("body", [None, [], "x", {1: 2}])
def test_a_body_that_is_no_mapping_is_refused(bench: Make, body: Any) -> None:
    with pytest.raises(SessionError, match=r"^record: the body of judge must be a mapping by field"):
        bench().sync.record("judge", A, body)


@pytest.mark.parametrize("field", [*INFER, *JUDGE])
def test_a_body_that_lacks_a_field_is_refused(bench: Make, field: str) -> None:
    kind, body = ("infer", INFER) if field in INFER else ("judge", JUDGE)
    with pytest.raises(SessionError, match=f"^record: {kind}: field '{field}' is missing; it is "):
        bench().sync.record(kind, A, {f: v for f, v in body.items() if f != field})  # type: ignore[arg-type]


def test_what_is_recorded_in_due_form_holds_before_the_checker(bench: Make) -> None:
    one = bench()
    text = one.sync.session.log.put(b"text")
    one.sync.record("infer", A, INFER | {"text": text, "steps": (3, 5), "more": {"model": "m"}})
    with pytest.raises(SessionError, match="infer: steps begin with 4; agent 0 is at step 5"):
        one.sync.record("infer", A, INFER | {"steps": [4, 9]})
    one.sync.record("infer", B, INFER)
    one.sync.call(B, ToolCall("read_file", {"path": "x"}))
    one.sync.call(A, ToolCall("append", {"path": "x", "content": "a"}))
    (notice,) = one.sync.drain(B)
    judgment = {"ids": list(notice.ids), "verdict": "ignore", "waiver": "trusted"}
    one.sync.record("judge", B, judgment)
    with pytest.raises(SessionError, match="has no notification 1 that is not yet judged"):
        one.sync.record("judge", B, judgment)
    assert [r.kind for r in one.end().records].count("judge") == 1


@pytest.mark.parametrize("option", ["scenario", "inference", "run"])
@pytest.mark.parametrize("value", [5, "\ud800"])
def test_an_option_that_is_no_text_is_refused(tmp_path: Path, option: str, value: Any) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(SessionError, match=f"^open: the {option} must be text"):
        Session.open(FileSystem(tmp_path / "tree"), Toolbox(), tmp_path / "run.mtpo", **{option: value})
    assert not (tmp_path / "run.mtpo").exists()


def test_a_state_that_can_not_be_read_opens_no_run(tmp_path: Path) -> None:
    class Tree(FileSystem):
        def read(self, object: str) -> bytes | None:
            raise ResourceError(f"{object!r}: Permission denied")

    (tmp_path / "tree").mkdir()
    with pytest.raises(SessionError, match=r"^open: the state can't be read: '\./': Permission denied$"):
        Session.open(Tree(tmp_path / "tree"), Toolbox(), tmp_path / "run.mtpo")
    assert not (tmp_path / "run.mtpo").exists()
    session = Session.open(FileSystem(tmp_path / "tree"), Toolbox(), tmp_path / "run.mtpo")
    assert read_log(tmp_path / "run.mtpo").records[0].kind == "run-open"
    del session
