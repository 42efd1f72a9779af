"""The verb ``certificate``: what is the same of many properties is said once, and nothing else is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from mtpo.proofs.evidence import Evidence, Standing
from mtpo_core.cli.certificate import _UNLESS, _lines
from mtpo_core.cli.specs import BUILT_IN

Mtpo = Callable[..., Any]


def whole_sentences(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Each property with the sentence of each of its evidence, put together again from the lines of a spec."""
    instances = dict(re.findall(r"(?m)^  instance (\d+): (.*)$", "\n".join(lines)))
    same = {line.split()[0]: line.split(maxsplit=1)[1].removesuffix(_UNLESS) for line in lines if _UNLESS in line}
    for line in lines:
        if line.startswith("  instance ") or _UNLESS in line:
            continue
        id, told = line.split(maxsplit=1)
        for one in told.split(" | "):
            status, _, rest = one.removesuffix(" CHANGED SINCE").partition(" ")
            short = (status == "CHECKED" and not rest) or (status == "PROVED" and "any number of " not in rest)
            said = "; ".join(filter(None, [rest, same[status] if short else ""]))
            yield id, f"{status} {named(said, instances)}"


def named(said: str, instances: dict[str, str]) -> str:
    """A sentence with the instances for their numbers."""

    def listed(found: re.Match[str]) -> str:
        low, to, high = found[1].partition(" to ")
        numbers = [str(n) for n in range(int(low), int(high) + 1)] if to else found[1].split(", ")
        return "; ".join(sorted(instances[n] for n in numbers))

    return re.sub(r"instances? (\d+(?: to \d+|(?:, \d+)*))", listed, said)


def test_every_sentence_can_be_put_together_from_what_is_said_of_a_spec(mtpo: Mtpo) -> None:
    said, whole = mtpo("certificate").out, mtpo("certificate", "--json").json
    blocks = [block.splitlines() for block in said.split("\n\n")[1:-1]]
    specs = dict.fromkeys(row["property"].split(".")[0] for row in whole["properties"])
    assert [lines[0] for lines in blocks] == list(specs)
    assert set(BUILT_IN) <= {lines[0] for lines in blocks}
    found = [pair for lines in blocks for pair in whole_sentences(lines[1:])]
    wanted = []
    for row in whole["properties"]:
        for e in row["evidence"]:
            sentence = e["sentence"].replace("; ".join(e["instances"]), "; ".join(sorted(e["instances"])))
            wanted.append((row["property"], f"{e['status']} {sentence}"))
        wanted += [] if row["evidence"] else [(row["property"], "NOT SHOWN")]
    assert found == wanted


def test_a_property_has_one_line_and_what_many_share_is_said_once(mtpo: Mtpo) -> None:
    said, whole = mtpo("certificate").out, mtpo("certificate", "--json").json
    for row in whole["properties"]:
        assert len(re.findall(rf"(?m)^  {re.escape(row['property'])} ", said)) == 1
    for spec, rows in groupby(whole["properties"], lambda row: row["property"].split(".")[0]):
        proofs = [e for row in rows for e in row["evidence"] if e["method"] == "inductive"]
        block = said.partition(f"\n{spec}\n")[2].partition("\n\n")[0]
        scopes = [e["sentence"].rpartition("; ")[2] for e in proofs]
        if len(set(scopes)) == 1 and len(scopes) > 1:
            assert block.count("any number of elements") == 1


def test_what_differs_is_said_and_what_has_changed_or_is_missing_is_marked() -> None:
    def explored(fresh: bool, *instances: str) -> Evidence:
        return Evidence("exhaustive", "CHECKED", f"every state and step of {'; '.join(instances)}", fresh, instances)

    def proven(scope: str, status: str = "PROVED") -> Evidence:
        return Evidence("inductive", status, f"3 obligations by z3; {scope}", True)

    small, large = "2 states (1 A; with faults)", "9 states (2 A)"
    rows = (
        ("s.one", (explored(True, small, large), proven("any number"))),
        ("s.two", (explored(False, small, large), proven("any number"))),
        ("s.three", (explored(True, large), proven("any number, without x"))),
        ("s.four", (Evidence("reached", "CHECKED", f"reached in {small}", True, (small,)),)),
        ("s.five", ()),
        ("s.six", (proven("any number", "UNKNOWN"),)),
    )
    assert list(_lines(Standing(rows, ("s.five",), ()))) == [
        "\ns",
        f"  instance 1: {small}",
        f"  instance 2: {large}",
        f"  CHECKED  every state and step of instances 1, 2{_UNLESS}",
        f"  PROVED   any number{_UNLESS}",
        "  s.one    CHECKED | PROVED 3 obligations by z3",
        "  s.two    CHECKED CHANGED SINCE | PROVED 3 obligations by z3",
        "  s.three  CHECKED every state and step of instance 2 | PROVED 3 obligations by z3; any number, without x",
        "  s.four   CHECKED reached in instance 1",
        "  s.five   NOT SHOWN",
        "  s.six    UNKNOWN 3 obligations by z3; any number",
    ]


def test_the_certificate_says_how_far_the_core_was_driven_beside_the_spec(mtpo: Mtpo) -> None:
    core = mtpo("certificate").out.partition("\ncore\n")[2].splitlines()
    (driven,) = mtpo("certificate", "--json").json["properties"][-1]["evidence"]
    *_, planted = driven["sentence"].split("; ")
    count = len(driven["instances"])
    assert core[:count] == [f"  instance {n}: {text}" for n, text in enumerate(driven["instances"], 1)]
    assert all(
        re.match(r"\d+ plans, [0-9,]+ states, .* \(\d agents, \d calls? each, ", text) for text in driven["instances"]
    )
    said = f"every interleaving, event by event beside the spec, of instances 1 to {count}; {planted}"
    assert core[count].removesuffix(" CHANGED SINCE") == f"  core.refines  CHECKED {said}"
