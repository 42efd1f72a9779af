"""The page: inert whatever the log says, bounded in size, and drawn by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo_core.view import Timeline, Verdict, ViewError, render, timeline_of
from mtpo_core.view.page import embed, visible
from mtpo_core.view.shapes import Arrow, Field, Lane, Mark, StateRow, StateTable
from mtpo_core.view.texts import counted, difference, listed, short

HOSTILE = [
    "</script><img src=x onerror=\"document.title='owned'\">",
    "<!--<script>document.title='owned'</script>",
    "'\"`&amp;&#60;${document.title='owned'}",
    "\u2028\u2029\u202eabc\u2066x\x00\x1b[31m",
    "long " * 4000,
    "@DATA@ @SCRIPT@ __proto__ constructor",
]

CERTIFICATE = {
    "order": ["A", "B"],
    "verdict": "notified-serializable",
    "properties": [{"id": "mtpo.one-way", "english": "Notifications go up in rank.", "verdict": "holds"}],
    "assumptions": {"A2": "enforced", "A3 judgements": {"mechanical": 1, "replayed": 2, "trusted": 0}},
    "head": "ab" * 32,
}


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def hostile_log(new_log: Any) -> Any:
    log = new_log("mtpo", dict.fromkeys(HOSTILE, "x\n"), scenario=HOSTILE[0])
    for rank, text in enumerate(HOSTILE):
        log.launch(rank, text, text)
        log.infer(rank, 0.0, 0.5 + rank / 10, 12, text=text)
        log.write(0.6 + rank / 10, f"{rank}.0", text, {text: text + "\n"}, {"path": text, text: text})
    log.add("notify", 1.3, 1, id=HOSTILE[0], by="0.0", premises=[{"object": HOSTILE[1], "call": "1.0"}], results=[])
    log.add("deliver", 1.4, 1, ids=[HOSTILE[0]])
    log.close(1.5, "halted", HOSTILE[0])
    return log


@pytest.fixture(scope="module")
def hostile_page(new_log: Any) -> str:
    log = hostile_log(new_log)
    line = timeline_of(log.records, log.values)
    verdict = Verdict("bad", HOSTILE[0], (*HOSTILE, "half a pair \ud800"))
    certificate = {**CERTIFICATE, "verdict": HOSTILE[0], "assumptions": {HOSTILE[1]: HOSTILE[2]}}
    return render([line, attrs.evolve(line, mode=HOSTILE[1], verdict=verdict)], certificate, title=HOSTILE[0])


@pytest.fixture(scope="module")
def sample_page(canary_logs: Any, reversed_log: Any) -> str:
    right = {"serial": True, "naive": False, "mtpo": True}
    lines = [timeline_of(log.records, log.values, right=right[mode]) for mode, log in canary_logs.items()]
    return render([*lines, timeline_of(reversed_log.records, reversed_log.values)], CERTIFICATE, title="Two cases")


def test_embedded_text_cannot_leave_its_element(hostile_page: str) -> None:
    assert hostile_page.count("</script>") == 2
    assert "<img" not in hostile_page
    assert hostile_page.isascii() or not re.search("[\u2028\u2029\u202e\x00]", hostile_page)
    assert data_of(hostile_page)["timelines"][0]["lanes"][0]["name"] == HOSTILE[0]
    hostile_page.encode()


def test_embed_escapes_and_round_trips() -> None:
    text = embed({"a": "".join(HOSTILE)})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text)["a"] == "".join(HOSTILE)


def test_hidden_characters_are_spelled_out() -> None:
    assert visible("a\u202eb\x00\n\tc") == "a⟨U+202E⟩b⟨U+0000⟩\n\tc"
    assert visible("déjà vu 東京") == "déjà vu 東京"


def test_the_page_loads_nothing(sample_page: str) -> None:
    assert not re.search(r"""(?:src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)""", sample_page)
    assert "default-src 'none'" in sample_page


def test_a_large_run_stays_small_and_says_what_it_left_out(new_log: Any) -> None:
    log = new_log("mtpo", {f"f{i}": "a\n" * 200 for i in range(20)})
    for rank in range(64):
        log.launch(rank, f"agent {rank}")
    for step in range(4000):
        rank, t, name = step % 64, step / 100, f"f{step % 20}"
        log.infer(rank, max(t - 0.5, 0), t, 20, text=f"thinking about {step} " * 60)
        log.write(t, f"{rank}.{step // 64}", "append", {name: (log.state[name] or "")[-900:] + f"{step}\n"})
    line = timeline_of(log.records, log.values)
    assert len(line.spans) > 6000
    page = render(line)
    assert len(page) < 4_500_000
    data = data_of(page)
    assert len(data["timelines"][0]["lanes"]) == 64
    assert data["timelines"][0]["left_out"].startswith("Too much for one picture; left out: ")
    assert "(left out: the page is full)" in data["texts"]


def test_nothing_to_draw_and_a_malformed_certificate_are_clear_errors(canary_logs: Any) -> None:
    with pytest.raises(ViewError, match="no timelines"):
        render([])
    line = timeline_of(canary_logs["mtpo"].records, canary_logs["mtpo"].values)
    with pytest.raises(ViewError, match="certificate: properties"):
        render(line, {"properties": {"mtpo.one-way": "holds"}})
    with pytest.raises(ViewError, match="certificate: assumptions"):
        render(line, {"assumptions": ["A1"]})


def test_texts() -> None:
    assert (short("deploy/geo.yaml"), short("deploy/"), short("./"), short("a")) == ("geo.yaml", "deploy/", "./", "a")
    assert short("a/b/") == "b/"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed("abcde") == "a, b, c and 2 more"
    assert (counted(1, "undo"), counted(1204, "undo"), counted(2, "delivery")) == (
        "1 undo",
        "1,204 undos",
        "2 deliveries",
    )
    assert difference("a\n", "a\n") == ()
    rows = difference("".join(f"{i}\n" for i in range(100)), "".join(f"{i}!\n" for i in range(100)))
    assert rows[-1].op == "…"
    assert "more lines" in rows[-1].text


def counterexample(text: str) -> Timeline:
    rows = (StateRow(text, ("false", text), text, changed=(1,), read=(1,)),)
    table = StateTable(("first state", text), (None, "step:1"), rows, rows[:1], rows[:1], false_in=(1,))
    mark = Mark("step:1", 0, "step", 1.0, text, text)
    verdict = Verdict("bad", text, (text,))
    return Timeline(
        text, text, (Lane(0, text),), (), (mark,), (), (), verdict, unit="step", end=1.0, states=table, lanes_are=text
    )


# In a browser

PROBE = """<script>
window.addEventListener("error", (event) => document.documentElement.setAttribute("data-error", event.message));
</script>"""
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--virtual-time-budget=3000",
         "--enable-logging=stderr"]  # fmt: skip


@attrs.frozen
class Shown:
    dom: str
    console: list[str]


def browse(page: str, folder: Path, *, script: str = "", width: int = 1400) -> Shown:
    """The page's elements after it ran. ``script`` is run in it too, with the policy opened for that only."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((found for name in names if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no browser: chromium is not installed")
    if script:
        page = re.sub("script-src [^;]*;", "script-src 'unsafe-inline';", page)
        page = page.replace("</body>", f"<script>{script}</script></body>").replace("<title>", f"{PROBE}<title>", 1)
    file = folder / "page.html"
    file.write_text(page, "utf-8")
    own = [f"--window-size={width},1000", f"--user-data-dir={folder / 'profile'}"]
    command = [browser, *QUIET, *own, "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "<body" not in done.stdout:
        pytest.skip(f"the browser does not run here: {done.stderr.strip().splitlines()[-1:]}")
    return Shown(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


def text_of(dom: str) -> str:
    bare = re.sub(r"<(script|style|noscript)\b.*?</\1>", "", dom, flags=re.S)
    plain = re.sub(r"<[^>]*>", "\n", bare)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("&nbsp;", " ")


def test_hostile_strings_are_shown_and_do_nothing(hostile_page: str, tmp_path: Path) -> None:
    shown = browse(hostile_page, tmp_path)
    assert shown.console == []
    assert "<title>owned" not in shown.dom
    assert "<img" not in re.sub(r"<(script|style|noscript)\b.*?</\1>", "", shown.dom, flags=re.S)
    text = text_of(shown.dom)
    assert HOSTILE[0] in text  # the verdict, as text
    assert "⟨U+202E⟩" in text
    assert shown.dom.count('class="item') > 12


def test_lanes_arrows_and_verdicts_are_drawn(sample_page: str, tmp_path: Path, canary_logs: Any) -> None:
    shown = browse(sample_page, tmp_path)
    assert shown.console == []
    assert shown.dom.count('<div class="lane"') == 6  # two agents in each of three modes
    assert len(re.findall(r'class="arrow notify"', shown.dom)) >= 1
    assert len(re.findall(r'class="arrow conflict"', shown.dom)) >= 2
    text = text_of(shown.dom)
    for sentence in (
        "Right: the final state is that of the serial run A < B.",
        "Not serializable: the reads and writes of A and B fit no serial order.",
        "Run certificate",
        "Notifications go up in rank.",
    ):
        assert sentence in text
    assert all(f"{new} tok" in text for new in (38, 76, 84))


def banner(dom: str) -> str:
    found = re.search(r'<section class="verdict[ a-z]*".*?</section>', dom, re.S)
    assert found
    return " ".join(text_of(found[0]).split())


def test_the_banner_tells_the_worst_and_names_the_run(canary_logs: Any, tmp_path: Path) -> None:
    """Whatever the others are, and in whichever order; the first run of MTPO is told below it."""
    log = canary_logs["mtpo"]
    right = timeline_of(log.records, log.values, right=True)
    lines = [
        attrs.evolve(right, mode=f"MTPO, {name}", verdict=Verdict(tone, f"It is {name}.", (f"Why {name}.",)))
        for name, tone in (("right", "good"), ("open", "warn"), ("broken", "bad"), ("broken too", "bad"))
    ]
    told = {
        (0, 1): "MTPO, open: It is open. Why open. MTPO, right: It is right.",
        (0, 1, 2, 3): "MTPO, broken: It is broken. Why broken. MTPO, right: It is right.",
        (2, 0): "MTPO, broken: It is broken. Why broken.",
        (0,): "It is right. Why right.",
    }
    for places, text in told.items():
        assert banner(browse(render([lines[at] for at in places]), tmp_path).dom) == text
    other = attrs.evolve(lines[2], case="another case")
    shown = browse(render([lines[0], other]), tmp_path)
    assert banner(shown.dom) == "It is broken. Why broken."
    assert re.search(r'aria-selected="true" title="another case"><span class="dot bad">', shown.dom)
    assert re.search(r'aria-selected="false" title="[^"]*"><span class="dot good">', shown.dom)


def test_the_states_of_a_counterexample_are_a_table(tmp_path: Path) -> None:
    page = render(counterexample(HOSTILE[0]), title="Counterexample")
    assert "<img" not in page
    shown = browse(page, tmp_path)
    assert shown.console == []
    assert "<img" not in re.sub(r"<(script|style|noscript)\b.*?</\1>", "", shown.dom, flags=re.S)
    assert re.search(r'<td class="changed read[^"]*" title="was false; read by the false formula"', shown.dom)
    assert 'class="breaks"' in shown.dom
    assert text_of(shown.dom).count(HOSTILE[0]) >= 8


WIDTHS = (1280, 500)
"""Pixels; no window of this browser is narrower."""
MEASURED = """
  const region = document.querySelector(".steps"), box = region.getBoundingClientRect();
  const within = (cell) => { const at = cell.getBoundingClientRect();
    return at.left >= box.left - 1 && at.right <= box.right + 1; };
  const heads = [...region.querySelectorAll("thead th")], last = heads[heads.length - 1], log = [];
  const name = region.querySelector("thead td").getBoundingClientRect();
  log.push("scrolls=" + (region.scrollWidth > region.clientWidth), "ends=" + within(last));
  region.scrollLeft = 0;
  log.push("stays=" + within(last));
  const chosen = heads[20];
  chosen.querySelector("button").click();
  const at = chosen.getBoundingClientRect();
  log.push("chosen=" + (at.left >= name.right - 1 && at.right <= last.getBoundingClientRect().left + 1));
  const middle = document.createRange(), text = heads[1].querySelector("bdi").firstChild;
  const lines = (from, to) => { middle.setStart(text, from); middle.setEnd(text, to);
    return new Set([...middle.getClientRects()].map((line) => line.top)).size; };
  const word = text.data.indexOf(" ");
  log.push("whole=" + (lines(0, word) === 1 && lines(word + 1, text.data.length) === 1));
  document.body.setAttribute("data-log", log.join("|"));
"""


def long_counterexample(steps: int, false_in: tuple[int, ...]) -> Timeline:
    """So many steps that their states do not fit side by side."""
    heads = [f"strand call{n}" for n in range(1, steps + 1)]
    columns = ("first state", *(f"{head}; members call1, call2; locks object0, object1" for head in heads))
    marks = tuple(Mark(f"step:{n + 1}", 0, "step", n + 1.0, head, head) for n, head in enumerate(heads))
    row = StateRow(
        "value(call1, object0)", tuple(f"value{n}" for n in range(steps + 1)), "", tuple(range(1, steps + 1))
    )
    table = StateTable(
        columns,
        (None, *(mark.id for mark in marks)),
        (row,),
        false_in=false_in,
        labels=("first state", *heads),
    )
    verdict = Verdict("bad", "It is violated.")
    return Timeline(
        "long", "run", (Lane(0, "a0"),), (), marks, (), (), verdict, unit="step", end=float(steps), states=table
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_the_deciding_state_and_the_chosen_one_are_in_view_however_many_there_are(width: int, tmp_path: Path) -> None:
    shown = browse(render(long_counterexample(40, (40,))), tmp_path, script=MEASURED, width=width)
    found = re.search(r'data-log="([^"]*)"', shown.dom)
    assert found and not re.search("<html[^>]*data-error", shown.dom), shown.console
    told = dict(step.split("=") for step in found[1].split("|"))
    assert told == dict.fromkeys(("scrolls", "ends", "stays", "chosen", "whole"), "true")
    assert 'title="strand call1; members call1, call2; locks object0, object1"' in shown.dom


def legend(dom: str) -> set[str]:
    found = re.search(r'<div class="legend".*?</div>', dom, re.S)
    assert found
    return {line for line in text_of(found[0]).split("\n") if line.strip()}


def test_the_legend_has_what_occurs_and_nothing_else(tmp_path: Path, canary_logs: Any) -> None:
    broken = long_counterexample(3, (3,))
    assert legend(browse(render(broken), tmp_path).dom) == {"changed by the step", "after it the property is false"}
    assert broken.states is not None
    (row,) = broken.states.rows
    told = attrs.evolve(broken.states, rows=(attrs.evolve(row, changed=(), read=(3,)),), false_in=())
    kept = attrs.evolve(broken, states=told)
    assert legend(browse(render(kept), tmp_path).dom) == {"read by the false formula"}
    bare = attrs.evolve(broken, states=attrs.evolve(told, rows=()))
    shown = browse(render(bare), tmp_path)
    assert legend(shown.dom) == set() and 'class="breaks"' not in shown.dom
    log = canary_logs["serial"]
    whole = legend(browse(render(timeline_of(log.records, log.values, right=True)), tmp_path).dom)
    assert "write" in whole and not whole & {"changed by the step", "after it the property is false", "undo", "bounced"}


def test_in_serial_order_the_legend_has_what_is_left(tmp_path: Path, reversed_log: Any) -> None:
    page = render(timeline_of(reversed_log.records, reversed_log.values))
    undone = {"write, undone", "undo", "redo", "notification", "late write undoes", "re-applied or reissued"}
    assert undone <= legend(browse(page, tmp_path).dom)
    script = (
        """[...document.querySelectorAll(".seg button")].find((one) => one.textContent === "Serial order").click()"""
    )
    assert legend(browse(page, tmp_path, script=script).dom) == {"finished", "read", "write", "commit", "inference"}


def test_tabs_order_keys_and_details_work(sample_page: str, tmp_path: Path) -> None:
    script = """
      const log = [], note = (name) => log.push(name + "=" + document.querySelector("aside h2").textContent);
      const items = () => [...document.querySelectorAll("svg .item")];
      const label = (one) => one.getAttribute("aria-label");
      const key = (name) => document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", {key: name, bubbles: true}));
      document.querySelectorAll("[role=tab]")[1].click();
      items().find((one) => label(one).includes("1.1: add_route"))
        .dispatchEvent(new MouseEvent("click", {bubbles: true}));
      note("click");
      document.querySelectorAll("aside .link")[0].click(); note("link");
      key("ArrowRight"); note("right");
      key("ArrowDown"); log.push("lane=" + label(document.activeElement));
      key("Escape"); note("escape");
      const before = items().length;
      [...document.querySelectorAll(".seg button")].find((one) => one.textContent === "Serial order").click();
      log.push("fewer=" + (items().length < before), "arrows=" + document.querySelectorAll(".chart .arrow").length);
      document.body.setAttribute("data-log", log.join("|"));
    """
    shown = browse(sample_page, tmp_path, script=script)
    assert not re.search("<html[^>]*data-error", shown.dom)
    found = re.search(r'data-log="([^"]*)"', shown.dom)
    assert found, shown.console
    steps = dict(step.split("=", 1) for step in found[1].split("|"))
    assert steps["click"] == "gateway 1.1: add_route limits.yaml and routes.yaml"
    assert steps["link"] == "platform 0.1: write_file limits.yaml"
    assert steps["right"] not in (steps["link"], "Details")
    assert re.match("(gateway|docs|undo|redo|told|inference|waits)", steps["lane"])
    assert steps["escape"] == "Details"
    assert (steps["fewer"], steps["arrows"]) == ("true", "0")


def test_a_counterexample_is_drawn_on_an_axis_of_steps(tmp_path: Path) -> None:
    line = Timeline(
        case="mtpo.one-way without the guard", mode="counterexample", lanes=(Lane(0, "a0"), Lane(1, "a1")), spans=(),
        marks=tuple(
            Mark(f"s{i}", i % 2, "step", float(i), name, name, (Field("State", "x = 1", code=True),))
            for i, name in enumerate(("launch", "read x", "write x", "notify down"))
        ),
        arrows=(Arrow("n", "notify", 1, 2.0, 0, 3.0, "x", "a1 notifies a0", source="s2", target="s3"),),
        trajectories=(), verdict=Verdict("bad", "mtpo.one-way is violated at step 3."), unit="step", end=3.0,
    )  # fmt: skip
    text = text_of(browse(render(line), tmp_path).dom)
    assert "mtpo.one-way is violated at step 3." in text
    assert {"launch", "read x", "write x", "notify down"} <= set(text.split("\n"))
    assert " s\n" not in text
