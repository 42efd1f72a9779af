"""Model files that are missing, damaged or of another kind: one line that says which and why."""

from __future__ import annotations

import json
import struct

import attrs
import pytest

torch = pytest.importorskip("torch")

from mtpo.engine.config import ModelConfig  # noqa: E402
from mtpo.engine.engine import Engine  # noqa: E402
from mtpo.engine.errors import EngineError  # noqa: E402
from mtpo.engine.gguf_file import read_gguf  # noqa: E402
from mtpo.engine.model import Llama  # noqa: E402
from mtpo.engine.tokenizer import ChatTokenizer  # noqa: E402
from mtpo.engine.weights import _row_bytes, find_smollm2, load_folder, load_gguf  # noqa: E402

from .conftest import TINY, random_files  # noqa: E402


def one_line(error: pytest.ExceptionInfo[EngineError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_missing_package_says_what_to_run(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError) as error:
        find_smollm2()
    assert "make setup" in one_line(error)


def test_missing_empty_and_foreign_files(tmp_path):
    for name, content, word in (
        ("no.gguf", None, "no such"),
        ("a.gguf", b"", "not a readable"),
        ("b.gguf", b"x" * 999, "not a"),
    ):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(EngineError) as error:
            load_gguf(path)
        assert word in one_line(error) and name in one_line(error)


@pytest.mark.parametrize("keep", [100, 50_000, 3_000_000])
def test_a_truncated_file(tmp_path, keep):
    try:
        source = find_smollm2()
    except EngineError as error:
        pytest.skip(str(error))
    with source.open("rb") as file:
        (tmp_path / "cut.gguf").write_bytes(file.read(keep))
    with pytest.raises(EngineError) as error:
        load_gguf(tmp_path / "cut.gguf")
    assert "cut.gguf" in one_line(error)


def test_our_reader_of_gguf_reads_what_the_package_reads():
    gguf = pytest.importorskip("gguf")
    try:
        path = find_smollm2()
    except EngineError as error:
        pytest.skip(str(error))
    ours, theirs = read_gguf(path, _row_bytes), gguf.GGUFReader(path)
    assert len(ours.fields) == theirs.get_field("GGUF.kv_count").contents()
    words = ("tokenizer.ggml.tokens", "tokenizer.ggml.merges")
    for name, field in theirs.fields.items():
        if not name.startswith("GGUF.") and name not in words:
            assert ours.fields[name] == field.contents()
    assert list(ours.tensors) == [t.name for t in theirs.tensors]
    for tensor in theirs.tensors:
        assert (ours.tensors[tensor.name].data.view(tensor.data.dtype) == tensor.data).all()


def small_gguf(path, alignment=32, tensor_bytes=64):
    """A file with one field of each sort and one fp32 tensor of 4 rows of 4."""

    def text(word):
        return struct.pack("<Q", len(word.encode())) + word.encode()

    fields = (
        text("general.alignment") + struct.pack("<II", 4, alignment),
        text("name") + struct.pack("<I", 8) + text("tiny"),
        text("words") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("ß"),
        text("numbers") + struct.pack("<IIQ3i", 9, 5, 3, -1, 0, 7),
    )
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(fields)) + b"".join(fields)
    head += text("t") + struct.pack("<IQQIQ", 2, 4, 4, 0, 0)
    head += bytes(-len(head) % alignment)
    path.write_bytes(head + struct.pack("<16f", *range(16))[:tensor_bytes])
    return len(head)


def test_every_sort_of_metadata_and_every_cut(tmp_path):
    path = tmp_path / "small.gguf"
    small_gguf(path)
    file = read_gguf(path, _row_bytes)
    assert dict(file.fields) == {"general.alignment": 32, "name": "tiny", "words": ["a", "ß"], "numbers": [-1, 0, 7]}
    place = file.tensors["t"]
    assert place.shape == (4, 4) and place.data.view("<f4").ravel().tolist() == list(range(16))
    whole = path.read_bytes()
    for keep in range(len(whole)):
        (tmp_path / "cut.gguf").write_bytes(whole[:keep])
        with pytest.raises(ValueError, match=r"shorter|cut off|ends after"):
            read_gguf(tmp_path / "cut.gguf", _row_bytes)


def test_damaged_bytes_never_end_in_a_traceback(tmp_path):
    path = tmp_path / "small.gguf"
    end = small_gguf(path)
    whole = path.read_bytes()
    for at in range(end):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(EngineError) as error:
            load_gguf(path)
        one_line(error)


def test_a_hugging_face_folder_gives_the_same_model(tmp_path, tiny):
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import save_file

    config = {
        "model_type": "llama",
        "num_hidden_layers": TINY.layers,
        "hidden_size": TINY.hidden,
        "intermediate_size": TINY.ffn,
        "num_attention_heads": TINY.heads,
        "num_key_value_heads": TINY.kv_heads,
        "vocab_size": TINY.vocab,
        "max_position_embeddings": TINY.context,
        "rms_norm_eps": TINY.norm_eps,
        "rope_theta": TINY.rope_theta,
        "tie_word_embeddings": True,
        "architectures": ["LlamaForCausalLM"],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    files = random_files()
    save_file(dict(files.weights), tmp_path / "model.safetensors", metadata={"format": "pt"})
    engine = Engine(Llama(load_folder(tmp_path)), blocks=16)
    prompt = [3, 1, 4, 1, 5, 9, 2, 6]
    engine.submit(engine.open(), prompt, max_new=12)
    while engine.busy:
        ended = engine.step().ended
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = torch.tensor([prompt])
    out = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert list(ended[0].emitted) == out[0, len(prompt) :].tolist()


def test_folders_that_lack_something(tmp_path):
    with pytest.raises(EngineError, match=r"config\.json: no such file"):
        load_folder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EngineError, match="not JSON"):
        load_folder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    with pytest.raises(EngineError, match="supported: llama"):
        load_folder(tmp_path)


@pytest.mark.parametrize("shape", [{"heads": 4, "kv_heads": 3}, {"kv_heads": 0}, {"head_dim": 15}])
def test_heads_that_do_not_fit_together(tmp_path, monkeypatch, shape):
    monkeypatch.setattr(ModelConfig, "from_folder", lambda folder: attrs.evolve(TINY, **shape))
    with pytest.raises(EngineError, match="expected an even size, and as many for each") as error:
        load_folder(tmp_path)
    one_line(error)


def test_a_tokenizer_of_another_kind():
    with pytest.raises(EngineError, match="supported: gpt2, smollm"):
        ChatTokenizer({"tokenizer.ggml.model": "llama"})
