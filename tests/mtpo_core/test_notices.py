"""Notifications as text: what is written is what is read back, whatever the values hold."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from mtpo_core.notices import Change, Notice, parse_notices

CHANGES = st.builds(Change, st.text(), st.none() | st.binary(), st.none() | st.binary(), st.text())
RESULTS = st.tuples(st.just("1.0"), st.text(), st.sampled_from(["changed", "cancelled", "stranded"]), st.text())


def test_the_text_is_short_typed_and_says_what_to_do() -> None:
    notice = Notice(
        1,
        (3, 4),
        (Change("VERSION", b"1.4\n", b"1.5\n", "A release"), Change("old", b"x", None, "A release")),
        (("1.2", "replace", "changed", "replaced 1 occurrence"), ("1.3", "append", "stranded", "of no use now")),
    )
    first, second = notice.text().split("\n")
    assert first == (
        '<notification>{"changed": [{"object": "VERSION", "by": "A release", "now": "1.5\\n"}, '
        '{"object": "old", "by": "A release", "now": null}], '
        '"your_calls": [{"call": "1.2", "tool": "replace", "status": "changed", "result": "replaced 1 occurrence"}, '
        '{"call": "1.3", "tool": "append", "status": "stranded", "result": null}]}</notification>'
    )
    assert second.endswith("Go on if it is irrelevant; else redo only what depends on it.")


def test_without_own_calls_none_are_mentioned() -> None:
    assert "your_calls" not in Notice(0, (1,), (Change("x", b"", b"y", ""),), ()).text()


def test_text_without_notifications_has_none() -> None:
    assert list(parse_notices("")) == []
    assert list(parse_notices("<notification> is a word")) == []


@given(
    st.lists(
        st.builds(
            Notice,
            st.just(1),
            st.just((1,)),
            st.lists(CHANGES, max_size=3).map(tuple),
            st.lists(RESULTS, max_size=2).map(tuple),
        ),
        max_size=3,
    )
)
@example([Notice(0, (1,), (Change("x", b"", b"</notification>", "<notification>"),), ())])
def test_every_value_is_read_back(notices: list[Notice]) -> None:
    found = list(parse_notices("before\n" + "\n".join(notice.text() for notice in notices)))
    assert [[(c["object"], c["by"], c["now"]) for c in data["changed"]] for data in found] == [
        [(c.object, c.by or None, None if c.now is None else c.now.decode(errors="replace")) for c in notice.changes]
        for notice in notices
    ]
    assert [[call["status"] for call in data.get("your_calls", [])] for data in found] == [
        [status for _, _, status, _ in notice.results] for notice in notices
    ]
