"""Notifications as text: what is written is what is read back, whatever the values hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mtpo_core.notices import CallNews, Change, Notice, parse_notices
from mtpo_core.patches import patched

REVISE = "Go on if irrelevant; else revise only what depends on it."
CHANGES = st.builds(Change, st.text(), st.none() | st.binary(), st.none() | st.binary(), st.text())
TEXTS = st.text("ab\n").map(str.encode)
EDITS = st.builds(Change, st.text(), TEXTS, TEXTS, st.text())
NEWS = st.builds(
    CallNews,
    st.integers(0, 9).map("1.{}".format),
    st.text(),
    st.sampled_from(["redone", "cancelled", "stranded"]),
    st.none() | st.text(),
    st.lists(EDITS, max_size=2, unique_by=lambda c: c.object).map(tuple),
)
NOTICES = st.builds(
    Notice,
    st.just(1),
    st.just((1,)),
    st.lists(CHANGES | EDITS, max_size=3, unique_by=lambda c: c.object).map(tuple),
    st.lists(NEWS, max_size=2, unique_by=lambda n: n.call).map(tuple),
).filter(lambda notice: notice.changes or notice.results)


def test_the_text_is_short_typed_and_says_what_to_do() -> None:
    api = b"kind: Deployment\nname: api\nimage: api:1.4\nreplicas: 2\n"
    notice = Notice(
        1,
        (3, 4),
        (Change("VERSION", b"1.4\n", b"1.5\n", "A release"), Change("old", b"x", None, "")),
        (
            CallNews("1.2", "replace", "redone", None, (Change("api", api, api.replace(b"1.4", b"1.5"), "B"),)),
            CallNews("1.3", "append", "stranded"),
            CallNews("1.4", "git_commit", "redone", "committed 0a1b"),
        ),
    )
    first, second = notice.text().split("\n")
    assert first == (
        '<notification>{"changed":{"VERSION":{"by":"A release","now":"1.5\\n"},"old":{"now":null}},'
        '"your_calls":{"1.2":{"tool":"replace","status":"redone",'
        '"wrote":{"api":{"diff":"@@ -3 +3 @@\\n-image: api:1.4\\n+image: api:1.5"}}},'
        '"1.3":{"tool":"append","status":"stranded"},'
        '"1.4":{"tool":"git_commit","status":"redone","result":"committed 0a1b"}}}</notification>'
    )
    assert second == f"{REVISE} Calls cancelled or stranded are not in effect; call again if still wanted."


def test_of_calls_that_are_in_effect_nothing_is_said_that_asks_to_make_them_again() -> None:
    """The status says "redone": "else redo" beside it would be taken for an order."""
    premise, redone = Change("a", b"x", b"y", "A"), CallNews("1.1", "append", "redone")
    for changes, results in (((premise,), ()), ((premise,), (redone,)), ((), (redone,))):
        assert Notice(1, (1,), changes, results).text().split("\n")[1] == REVISE


@pytest.mark.parametrize("status", ["cancelled", "stranded"])
def test_a_call_that_is_not_in_effect_is_its_authors_to_make_again(status: str) -> None:
    redone, withdrawn = CallNews("1.1", "append", "redone"), CallNews("1.2", "append", status)
    for results in ((withdrawn,), (redone, withdrawn)):
        assert Notice(1, (1,), (), results).text().endswith(" are not in effect; call again if still wanted.")


def test_what_is_not_is_not_mentioned() -> None:
    assert "your_calls" not in Notice(0, (1,), (Change("x", b"", b"y", ""),), ()).text()
    assert '{"your_calls"' in Notice(0, (1,), (), (CallNews("0.1", "append", "stranded"),)).text()


def test_where_all_is_as_it_was_that_is_said() -> None:
    assert Notice(0, (1,), (), ()).text() == "<notification>{}</notification>\nAll is as you saw it; go on."


def test_what_a_call_wrote_is_left_out_where_it_changed_as_its_premise_did() -> None:
    """As an addition to what it read: the one hunk tells both."""
    log = b"first of many\nsecond of many\n"
    premise = Change("log", log, log + b"third\n", "A")
    made = Change("log", log + b"mine\n", log + b"third\nmine\n", "B")
    (data,) = parse_notices(Notice(1, (1,), (premise,), (CallNews("1.0", "append", "redone", None, (made,)),)).text())
    assert data == {
        "changed": {"log": {"by": "A", "diff": "@@ -2,0 +3 @@\n+third"}},
        "your_calls": {"1.0": {"tool": "append", "status": "redone"}},
    }
    assert patched("first of many\nsecond of many\nmine\n", data["changed"]["log"]["diff"]).encode() == made.now


def test_text_without_notifications_has_none() -> None:
    assert list(parse_notices("")) == []
    assert list(parse_notices("<notification> is a word")) == []
    assert list(parse_notices('<notification>{"other": 1}</notification><notification>{}</notification>')) == []


def test_what_is_no_text_is_told_by_its_length() -> None:
    assert Change("x", b"text", b"\xff\xfe", "A").told() == {"bytes": 2}
    assert Change("x", b"\xff\xfe", b"text", "A").told() == {"now": "text"}


def test_what_stands_over_a_change_is_told() -> None:
    (data,) = parse_notices(Notice(1, (1,), (Change("x", b"a", b"b", "A", "1.3"),), ()).text())
    assert data == {"changed": {"x": {"by": "A", "under": "1.3", "now": "b"}}}


def read_back(change: Change, told: dict[str, Any]) -> str | int | None:
    if "now" in told or "bytes" in told:
        found: str | int | None = told.get("now", told.get("bytes"))
        return found
    if told["diff"] == "" and change.was == change.now:
        return whole(change.now)
    assert change.was is not None
    assert told["diff"] is not None
    return patched(change.was.decode(), told["diff"])


def whole(value: bytes | None) -> str | int | None:
    """What can be known of a value."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return len(value) if value else None


@given(st.lists(NOTICES, max_size=3))
@example([Notice(0, (1,), (Change("x", b"", b"</notification>", "<notification>"),), ())])
def test_every_value_is_read_back(notices: list[Notice]) -> None:
    found = list(parse_notices("before\n" + "\n".join(notice.text() for notice in notices)))
    assert len(found) == len(notices)
    for data, notice in zip(found, notices, strict=True):
        changed, calls = data.get("changed", {}), data.get("your_calls", {})
        assert changed.keys() == {c.object for c in notice.changes}
        assert calls.keys() == {n.call for n in notice.results}
        for change in notice.changes:
            assert read_back(change, changed[change.object]) == whole(change.now)
            assert changed[change.object].get("by", "") == change.by
        for news in notice.results:
            told = calls[news.call]
            assert (told["status"], told.get("result")) == (news.status, news.result)
            for change in news.wrote:
                assert change.now is not None
                wrote = told.get("wrote", {}).get(change.object) or changed[change.object]
                assert read_back(change, wrote) == change.now.decode()
