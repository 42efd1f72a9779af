"""Records: what is written is read back, and what is malformed is refused with the field and the reason."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtpo.spec.records import GENESIS, KINDS, VERSION, Record, RecordError, canonical, digest, parse, value_digest

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
BODIES = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
RECORDS = st.builds(
    Record,
    v=st.just(VERSION),
    run=TEXTS,
    seq=st.integers(0, 10**9),
    t=st.floats(0, 1e6),
    agent=st.none() | st.integers(0, 100),
    call=st.none() | st.builds("{}.{}".format, st.integers(0, 9), st.integers(0, 9)),
    kind=st.sampled_from(list(KINDS)),
    body=BODIES,
    prev=st.binary(min_size=32, max_size=32).map(bytes.hex),
)

GOOD = Record(VERSION, "r1", 3, 0.5, 1, "1.0", "applied", {"out": {"é": "x"}, "a": [1, None]}, GENESIS)


def line(**changes: Any) -> str:
    """The good record as a line, with some fields changed; None as a name is not possible, so ``...`` drops one."""
    data = {**attrs.asdict(GOOD, recurse=False), **changes}
    return json.dumps({name: value for name, value in data.items() if value is not ...})


@given(RECORDS)
def test_a_record_is_read_back_as_it_was_written(record: Record) -> None:
    written = canonical(record)
    again = parse(written)
    assert again == record
    assert canonical(again) == written
    assert parse(written.decode()) == record


@given(RECORDS, RECORDS)
def test_the_digest_tells_records_apart(first: Record, second: Record) -> None:
    assert (digest(first) == digest(second)) == (canonical(first) == canonical(second))
    assert digest(first) == hashlib.sha256(canonical(first)).hexdigest()


def test_the_canonical_form() -> None:
    assert canonical(GOOD).decode() == (
        '{"agent":1,"body":{"a":[1,null],"out":{"é":"x"}},"call":"1.0","kind":"applied",'
        f'"prev":"{GENESIS}","run":"r1","seq":3,"t":0.5,"v":1}}'
    )
    shuffled = json.dumps(dict(reversed(json.loads(canonical(GOOD)).items())), indent=2)
    assert canonical(parse(shuffled)) == canonical(GOOD)


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(Record)])
def test_every_field_is_in_the_digest(field: str) -> None:
    other: dict[str, Any] = {
        "run": "r2",
        "seq": 4,
        "t": 0.75,
        "agent": None,
        "call": None,
        "kind": "failed",
        "body": {},
        "prev": "1" * 64,
    }
    if field == "v":
        with pytest.raises(RecordError):
            attrs.evolve(GOOD, v=VERSION + 1)
    else:
        assert digest(attrs.evolve(GOOD, **{field: other[field]})) != digest(GOOD)


BAD = {
    "no JSON": ("{", "line 7: not JSON ("),
    "empty": ("", "line 7: not JSON ("),
    "bytes that are no text": (b"\xff{}", "line 7: not JSON ("),
    "nested without end": ("[" * 100_000, "line 7: not JSON ("),
    "no object": ("[1]", "line 7: not a JSON object"),
    "a field missing": (line(prev=...), "line 7: missing or unknown field 'prev'"),
    "a field too many": (line(extra=1), "line 7: missing or unknown field 'extra'"),
    "a field renamed": (line(t=..., time=1), "line 7: missing or unknown field 't', 'time'"),
    "seq a text": (line(seq="3"), "line 7: field 'seq' has the wrong type (str)"),
    "seq a truth value": (line(seq=True), "line 7: field 'seq' has the wrong type (bool)"),
    "seq a fraction": (line(seq=3.5), "line 7: field 'seq' has the wrong type (float)"),
    "version a truth value": (line(v=True), "line 7: field 'v' has the wrong type (bool)"),
    "run a number": (line(run=1), "line 7: field 'run' has the wrong type (int)"),
    "time absent": (line(t=None), "line 7: field 't' has the wrong type (NoneType)"),
    "agent a text": (line(agent="1"), "line 7: field 'agent' has the wrong type (str)"),
    "call a number": (line(call=1), "line 7: field 'call' has the wrong type (int)"),
    "kind absent": (line(kind=None), "line 7: field 'kind' has the wrong type (NoneType)"),
    "body a list": (line(body=[]), "line 7: field 'body' has the wrong type (list)"),
    "prev absent": (line(prev=None), "line 7: field 'prev' has the wrong type (NoneType)"),
    "an unknown kind": (line(kind="merge"), "record 3: unknown kind 'merge'; known: run-open, launch, "),
    "another version": (line(v=2), "record 3: format version 2, this program reads 1"),
    "time not a number": (line(t=float("nan")), "line 7: has no canonical form ("),
    "time without end": (line(t=0).replace('"t": 0', '"t": 1e999'), "line 7: has no canonical form ("),
    "half a character": (line(run="\ud800"), "line 7: has no canonical form ("),
    "not a number within": (line(body={"x": [float("inf")]}), "line 7: has no canonical form ("),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_malformed_is_refused_in_one_line(name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(RecordError) as caught:
        parse(text, "line 7")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_record_cannot_be_made_with_an_unknown_kind_or_version() -> None:
    with pytest.raises(RecordError, match="record 3: unknown kind 'merge'"):
        attrs.evolve(GOOD, kind="merge")
    with pytest.raises(RecordError, match="record 3: format version 0"):
        attrs.evolve(GOOD, v=0)


@given(st.binary(max_size=8), st.none() | st.binary(max_size=8), st.none() | st.binary(max_size=8))
def test_equal_values_and_only_they_have_equal_digests(salt: bytes, a: bytes | None, b: bytes | None) -> None:
    assert (value_digest(salt, a) == value_digest(salt, b)) == (a == b)
    assert value_digest(salt, a) != value_digest(b"another " + salt, a)
