"""The published pair on random weights behind Qwen3-14B's own tokenizer settings: up to the first step."""

import json

import pytest

from conf.files import read_json, read_jsonl
from launch import __main__ as launch
from launch import plan
from launch.compose import compose
from models import load_tokenizer, prompt_ids, response_ids
from tests.qwen3 import REGULAR, VOCABULARY, make_folder

PAIR = ["experiment=qwen3_14b_math", "hardware=cpu", "logger=none", "rollouts.use_vllm=false"]
SHORT = [
    *("train.steps=1", "train.save_steps=1", "train.prompts_per_step=2", "data.rows=8", "data.max_prompt_length=160"),
    *(
        "data.max_completion_length=40",
        "recipe.num_generations=4",
        "suite.benchmarks=[arithmetic_3]",
        "suite.items=1",
        "suite.max_new_tokens=4",
    ),
    *("drift.tokens_items=1", "drift.representation_items=4", "drift.distance_prompts=2"),
    "drift.distance_max_new_tokens=4",
]
ROWS = [
    (f"What is {a} + {b}?", f"{a + b}", f"<think>\n{a}, {b}\n</think>\n\n\\boxed{{{a + b}}}")
    for a, b in ((2, 3), (10, 7), (5, 5), (81, 9), (4, 13), (6, 60), (70, 1), (8, 8))
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("qwen3"))


@pytest.fixture
def asked(base, tmp_path):
    """Overrides: the base, and a local file with the columns of the published data set and a teacher's traces."""
    file = tmp_path / "math_rl_48k.jsonl"
    rows = [dict(zip(("question", "golden_answer", "trace"), row, strict=True)) for row in ROWS]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = [f"data.source={file}", "data.solution=trace", f"model.path={base}", f"runs={tmp_path}"]
    return [*PAIR, *SHORT, *data]


def test_a_prompt_and_a_response_are_as_the_base_reads_them(base):
    """The template ends a turn with <|im_end|>, where the base's own end token is the one it pads with."""
    given = compose(PAIR).model
    tokenizer = load_tokenizer(str(base), eos_token=given.eos_token, pad_token=given.pad_token)
    assert len(tokenizer) == 151669 and (tokenizer.pad_token_id, tokenizer.eos_token_id) == (REGULAR, REGULAR + 2)
    ids = prompt_ids(tokenizer, "What is 2 + 3?")
    assert tokenizer.decode(ids) == "<|im_start|>user\nWhat is 2 + 3?<|im_end|>\n<|im_start|>assistant\n"
    answer = response_ids(tokenizer, ROWS[0][2])
    assert answer[-1] == REGULAR + 2 and tokenizer.decode(answer[:-1]) == ROWS[0][2]
    think = tokenizer.encode("<think>", add_special_tokens=False)
    assert think == [REGULAR + 24] and response_ids(tokenizer, "<|im_end|>").count(REGULAR + 2) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "spread"),
    [("sft", []), ("grpo", []), ("grpo", ["hardware.processes=2", "hardware.zero_stage=3"])],
)
def test_it_starts_up_to_the_first_step(asked, tmp_path, recipe, spread):
    overrides = [*asked, f"recipe={recipe}", *spread]
    plan.main(overrides)
    launch.main(overrides)
    run = tmp_path / f"qwen3_14b_math/arms/{recipe}/seed-0"
    (row,) = read_jsonl(run / "metrics.jsonl")
    assert row["step"] == 1 and row["grad_norm"] >= 0 and row["entropy"] == pytest.approx(11.9, abs=0.2)  # ln 151,936
    lock = read_json(run / "lock.json")
    assert lock["decoding"] == {"end_id": REGULAR + 2, "end_token": "<|im_end|>", "pad_id": REGULAR}
    saved = read_json(run / "checkpoints/step-000001/config.json")
    assert saved["vocab_size"] == VOCABULARY and saved["head_dim"] == 128 and not saved["tie_word_embeddings"]
    samples = read_jsonl(run / "samples.jsonl") if recipe == "grpo" else []
    assert all("<|im_start|>" not in row["response"] for row in samples)
