"""The real model, against transformers' own reading of the same file."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mtpo.engine.engine import Engine  # noqa: E402
from mtpo.engine.model import Batch, KVStore, Llama, Segment  # noqa: E402
from mtpo.engine.weights import find_smollm2  # noqa: E402
from mtpo.schedulers.step.sarathi import Sarathi  # noqa: E402

PROMPTS = (
    "What is the capital of France?",
    "Write one sentence about a red fox.",
    "Count: 1, 2, 3,",
    "def add(a, b):\n    ",
    "Antwort auf Deutsch: wie heißt du? 🦊",
)
NEW = 20


@pytest.fixture(scope="module")
def reference(smollm2_files):
    path = find_smollm2()
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model.eval()


@pytest.fixture(scope="module")
def prompts(tokenizer):
    return [tokenizer.message("user", text) + tokenizer.opening() for text in PROMPTS]


@pytest.fixture(scope="module")
def expected(reference, prompts):
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            out = reference.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False, eos_token_id=None
            )
        found.append(out[0, len(prompt) :].tolist())
    return found


def generate(engine, prompts, **options):
    """All prompts at once; the emitted tokens of each, in order."""
    places = {}
    for i, prompt in enumerate(prompts):
        conversation = engine.open()
        places[conversation] = i
        engine.submit(conversation, prompt, max_new=NEW, **options)
    results = [None] * len(prompts)
    while engine.busy:
        for result in engine.step().ended:
            results[places[result.conversation]] = result
    return results


@pytest.mark.parametrize("budget", [7, 64, 512])
def test_greedy_output_equals_transformers_token_by_token(smollm2, prompts, expected, budget):
    engine = Engine(smollm2, Sarathi(budget), blocks=64)
    assert [list(r.emitted) for r in generate(engine, prompts)] == expected
    assert engine.monitor.steps > 0


def test_shared_prefixes_and_kept_conversations_change_nothing(smollm2, tokenizer, prompts, expected):
    engine = Engine(smollm2, Sarathi(64), blocks=64)
    first = generate(engine, prompts)
    again = generate(engine, prompts)
    assert [list(r.emitted) for r in again] == expected
    assert sum(r.computed for r in again) < sum(r.computed for r in first)


def test_forcing_the_greedy_tokens_is_the_same_as_sampling_them(smollm2, prompts, expected):
    sampled = generate(Engine(smollm2, blocks=64), prompts[:2])
    engine = Engine(smollm2, blocks=64)
    for prompt, tokens in zip(prompts[:2], expected[:2], strict=True):
        engine.submit(engine.open(), prompt, forced=tokens)
    forced = {}
    while engine.busy:
        for result in engine.step().ended:
            forced[result.conversation] = result
    by_number = [forced[c] for c in sorted(forced)]
    for one, other in zip(sampled, by_number, strict=True):
        assert one.emitted == other.emitted
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_forced_tokens_are_judged_by_the_model(smollm2, tokenizer, prompts):
    engine = Engine(smollm2, blocks=64)
    likely, unlikely = tokenizer.encode("The capital of France is Paris."), tokenizer.encode("qq zz ## 77 ]] vv")
    engine.submit(engine.open(), prompts[0], forced=likely)
    engine.submit(engine.open(), prompts[0], forced=unlikely)
    scores = {}
    while engine.busy:
        for result in engine.step().ended:
            scores[result.emitted] = sum(result.logprobs) / len(result.logprobs)
    assert scores[tuple(likely)] > -1.0 > -4.0 > scores[tuple(unlikely)]


def test_bf16_logits_are_within_a_tolerance_of_fp32(smollm2, smollm2_files, prompts):
    """No further from fp32 than those of transformers in bf16, and far nearer to these. How far that is, the processor
    says: the mean is 0.14 where products are summed in fp32, and 0.2 where it has instructions for sums of products of
    bf16, which round otherwise."""

    def logits(model, tokens):
        rows = torch.arange(len(tokens))
        store = KVStore(model.config, 8, 16, model.dtype, "cpu")
        blocks = torch.arange(-(-len(tokens) // 16))
        segment = Segment(0, len(tokens), len(tokens), blocks)
        return model.forward(Batch(torch.tensor(tokens), rows, rows, (segment,), rows), store)

    path, ours = find_smollm2(), Llama(smollm2_files, torch.bfloat16)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.bfloat16)
    for prompt in prompts:
        exact, rounded = logits(smollm2, prompt), logits(ours, prompt)
        with torch.inference_mode():
            known = theirs(torch.tensor([prompt])).logits[0].float()
        error, usual = (exact - rounded).abs(), (exact - known).abs()
        assert error.mean() < 1.1 * usual.mean() and error.max() < 3.0
        assert (known - rounded).abs().mean() < 0.25 * usual.mean()
        assert (exact.argmax(-1) == rounded.argmax(-1)).float().mean() > 0.85


def test_the_tokenizer_is_the_one_transformers_reads(tokenizer):
    path = find_smollm2()
    theirs = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    texts = (
        *PROMPTS,
        "a  b\t\n\nc 12345 <|im_end|>x",
        '{"path": "deploy/geo.yaml"}',
        "naïve – “quotes” \u00a0 漢字",
        "",
    )
    for text in texts:
        tokens = tokenizer.encode(text)
        assert tokens == theirs.encode(text, add_special_tokens=False)
        assert tokenizer.decode(tokens) == theirs.decode(tokens, skip_special_tokens=True)
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi 42"}]
    mine = tokenizer.message("system", "Be brief.") + tokenizer.message("user", "Hi 42") + tokenizer.opening()
    text = theirs.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert mine == theirs.encode(text, add_special_tokens=False)


def test_numbers_are_split_one_by_one_as_the_file_asks(tokenizer):
    """Pre-tokenizer `smollm` splits every numeric character, ½ too; transformers' reading of a GGUF file does not."""
    for text in ("12345", "½", "a½b 7"):
        pieces = [tokenizer.decode([token]) for token in tokenizer.encode(text)]
        assert all(sum(c.isnumeric() for c in piece) <= 1 for piece in pieces), pieces
    space, half = tokenizer.encode(" ")[0], tokenizer.encode("½")
    assert tokenizer.encode(" ½") == [space, *half]
