"""The verb ``calibrate``: a model of our own is measured, and what is written is what ``simulate`` takes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtpo.schedulers.simulator.fit import Point
from mtpo.schedulers.simulator.kept import Kept
from mtpo.schedulers.simulator.steptime import StepTime

pytest.importorskip("mtpo.engine")  # before torch: it sets how threads wait
torch = pytest.importorskip("torch", reason="needs the extra `engine`")
save_file = pytest.importorskip("safetensors.torch").save_file
calibration = pytest.importorskip("mtpo.engine.calibration")

Mtpo = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Llama of one small layer, with a context of 256 tokens."""
    hidden, ffn, vocab = 32, 48, 97
    shape = {
        "model_type": "llama",
        "num_hidden_layers": 1,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": vocab,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
    }
    at = "model.layers.0."
    sizes = {
        "model.embed_tokens": (vocab, hidden),
        f"{at}self_attn.q_proj": (hidden, hidden),
        f"{at}self_attn.k_proj": (hidden // 2, hidden),
        f"{at}self_attn.v_proj": (hidden // 2, hidden),
        f"{at}self_attn.o_proj": (hidden, hidden),
        f"{at}mlp.gate_proj": (ffn, hidden),
        f"{at}mlp.up_proj": (ffn, hidden),
        f"{at}mlp.down_proj": (hidden, ffn),
    }
    norms = ("model.norm", f"{at}input_layernorm", f"{at}post_attention_layernorm")
    source = torch.Generator().manual_seed(1)
    weights = {f"{name}.weight": torch.randn(size, generator=source) * 0.3 for name, size in sizes.items()}
    weights |= {f"{name}.weight": torch.ones(hidden) for name in norms}
    made = tmp_path / "tiny"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(shape))
    save_file(weights, made / "model.safetensors")
    return made


def test_what_is_measured_is_written_shown_and_simulated(mtpo: Mtpo, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    said = mtpo("calibrate", "--model", folder, "--quick", "--rounds", 1, "--threads", 1, "--check", "--out", path)
    # How steady the machine is, nobody knows here.
    assert said.code in (0, 3)
    first, *lines = said.out.splitlines()
    assert first.startswith("tiny, float32 on ") and first.endswith("(cpu)")
    data = json.loads(path.read_text())
    tried = data["held_out"]
    (kept,) = (one for one in tried if one["kept"])
    assert (tried[0]["more"], len(tried)) == ([], 8)
    assert ("few" in kept["more"]) == (data["step"]["few"] is not None)
    # Of small batches first, where they have a part of their own.
    parts = 1 + ("few" in kept["more"])
    coefficients = [line.split() for line in lines if line.startswith("  ") and line.split()[0] in ("a", "b", "c")]
    assert [line[0] for line in coefficients] == ["a", "b", "c"] * parts
    assert [line[2] for line in coefficients] == ["ms", "ms/token", "us/token"] * parts
    assert any("R2" in line and "mean absolute error" in line for line in lines)
    assert any(" round" in line and "of the steps disturbed" in line for line in lines)
    assert any(line.startswith(("  added: ", "  nothing added")) and "held out of the fit" in line for line in lines)
    assert "beside the simulator, on the same workload:" in lines and f"written: {path}" in lines[-1]
    assert (data["model"], data["device"]) == ("tiny, float32", "cpu") and len(data["points"]) == data["fit"]["n"] > 20
    assert data["check"]["steps"][0] > 10 and data["check"]["ttft"]["errors"]["n"] == 16
    options = ("--trace", "poisson:rate=1,n=20,prompt=100,output=5", "--kv", 4096)
    said = mtpo("simulate", *options, "--steptime", path, "--json")
    assert (said.code, said.json["hardware"]["step"]) == (0, data["step"])
    again = mtpo("calibrate", "--points", path, "--json")
    assert (again.code in (0, 3), again.json["step"], again.json["held_out"]) == (True, data["step"], tried)


def test_what_can_not_be_fitted_is_kept(
    mtpo: Mtpo, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of one kind only. What was kept before is not written over; without --out it is where the command runs."""
    only = (calibration.Scene(1, 16, 16, 1),)
    monkeypatch.setattr(calibration, "QUICK", only)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "here.json"
    options = ("--model", folder, "--quick", "--rounds", 1, "--threads", 1)
    for output, kept in (
        (("--out", path), tmp_path / "here.points.json"),
        (("--out", path), tmp_path / "here.points-1.json"),
        ((), Path("calibrate.points.json")),
    ):
        said = mtpo("calibrate", *options, *output)
        assert (said.code, said.out) == (2, "")
        last = said.err.splitlines()[-1]
        assert "do not tell a, b and c apart" in last
        assert last.endswith(f"; the measured points are kept in {kept}, which --points reads")
        data = json.loads(kept.read_text())
        assert (data["model"], data["rounds"] >= 1, path.exists()) == ("tiny, float32", True, False)
        assert [Point(**one) for one in data["points"]] and all(one["seconds"] > 0 for one in data["points"])
    said = mtpo("simulate", "--trace", "poisson:rate=1,n=2,prompt=10,output=5", "--steptime", tmp_path / kept)
    assert said.code == 2 and "no step times yet, measured points; mtpo calibrate --points fits" in said.err
    said = mtpo("calibrate", "--points", kept)
    assert (said.code, said.out) == (2, "") and said.err.startswith(f"mtpo: {kept}: 2 kinds of steps do not tell")


TRUTH = StepTime(0.02, 1e-4, 2e-7)


def kept_in(path: Path, news: Sequence[int], machine: str = "a machine") -> Path:
    """Exact points of decodes and prompts, as a measurement that could not be fitted keeps them."""
    points = tuple(Point(new, 100 * new, 0.0, TRUTH.seconds(new, 100 * new, 0.0, 1), requests=1) for new in news)
    points += tuple(Point(n, 3000, 0.0, TRUTH.seconds(n, 3000, 0.0, n), requests=n) for n in news[:3])
    path.write_text(json.dumps(Kept("m on cpu", machine, "m", "cpu", points, 3, 0.01, 0.0).as_json()))
    return path


def test_kept_points_are_fitted_again_without_an_engine(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few by themselves; with those of another file enough. What is written can be fitted again, too."""
    for name in ("torch", "mtpo.engine", "mtpo.engine.model"):
        monkeypatch.setitem(sys.modules, name, None)
    one, other = kept_in(tmp_path / "one.json", [1]), kept_in(tmp_path / "other.json", [2, 4, 8, 64, 256, 500])
    said = mtpo("calibrate", "--points", one)
    assert said.code == 2 and "do not tell a, b and c apart" in said.err
    path = tmp_path / "here.json"
    said = mtpo("calibrate", "--points", one, "--points", other, "--out", path)
    assert said.code == 0, said.err
    assert said.out.startswith("m on a machine (cpu)\n") and f"written: {path}" in said.out
    data = json.loads(path.read_text())
    assert {name: data["step"][name] for name in "abc"} == pytest.approx({"a": 0.02, "b": 1e-4, "c": 2e-7}, rel=1e-3)
    assert (data["rounds"], data["noise"], len(data["points"])) == (3, 0.01, 11)
    again = mtpo("calibrate", "--points", path, "--terms", 3, "--json")
    assert (again.code, again.json["step"], again.json["points"]) == (0, data["step"], data["points"])
    said = mtpo("simulate", "--trace", "poisson:rate=1,n=2,prompt=10,output=5", "--steptime", path)
    assert said.code == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--check",), "--check is for measuring, and with --points nothing is measured: leave one of them out"),
        (("--rounds", 5), "--rounds is for measuring"),
        (("--points", "nosuch.json"), "nosuch.json: No such file"),
        (("--points", "elsewhere.json"), "elsewhere.json: machine is 'another', and 'a machine' in points.json"),
        (("--points", "points.json"), "points.json: all its points are in points.json as well; give each"),
        (("--points", "more.json"), "points.json: all its points are in more.json as well; give each measurement once"),
        (("--points", "few.json"), "few.json: all its points are in points.json as well"),
        (("--out", "points.json"), "points.json: is what is read; it is not overwritten"),
        (("--out", "./../here/points.json"), "points.json: is what is read; it is not overwritten"),
    ],
)
def test_a_mistake_with_kept_points_is_one_line(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[Any, ...], why: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = kept_in(Path("points.json"), [1, 2, 4, 64]).read_text()
    kept_in(Path("elsewhere.json"), [1, 2], "another")
    kept_in(Path("few.json"), [2])
    kept_in(Path("more.json"), [4, 2, 1, 64, 8])
    said = mtpo("calibrate", "--points", "points.json", *options)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert why in said.err and Path("points.json").read_text() == before


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--device", "abacus"), "--device 'abacus' is not known; known: cpu, cuda"),
        (("--dtype", "int3"), "--dtype 'int3' is not known"),
        (("--out", "nosuch/x.json"), "--out nosuch/x.json: its folder does not exist"),
        (("--model", "nosuch"), "nosuch/config.json: no such file"),
    ],
)
def test_a_mistake_is_one_line(mtpo: Mtpo, options: tuple[str, ...], why: str) -> None:
    said = mtpo("calibrate", *options)
    assert (said.code, said.out) == (2, "")
    assert why in said.err and said.err.startswith("mtpo: ") and said.err.count("\n") == 1


def test_where_nothing_can_be_written_is_said_before_anything_is_measured(mtpo: Mtpo, tmp_path: Path) -> None:
    astray, kept, new, link = (tmp_path / f"{name}.json" for name in ("astray", "kept", "new", "link"))
    astray.symlink_to(tmp_path / "nosuch" / "x.json")
    kept.write_text("before")
    link.symlink_to(new)
    for path, why in ((astray, "astray.json: No such file"), *((path, "config.json") for path in (kept, new, link))):
        said = mtpo("calibrate", "--model", "nosuch", "--out", path)
        assert said.code == 2 and why in said.err and said.err.count("\n") == 1
    assert kept.read_text() == "before" and not new.exists() and link.is_symlink()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(mtpo: Mtpo) -> None:
    said = mtpo("calibrate", "--device", "cuda")
    assert said.code == 2 and "PyTorch finds no GPU here" in said.err
