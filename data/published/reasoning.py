"""GPQA-Diamond, LiveCodeBench, ACPBench, HeadQA: arXiv:2507.00432, A.3.4, its forks of Evalchemy and lm-eval."""

import json
import random
from typing import Any

from data.items import Decoding
from data.published import harness
from data.published.task import BESIDE, Cells, Question, Task

LETTERS = "ABCDEFGHIJ"

# --- GPQA-Diamond: Evalchemy's task -----------------------------------------------------------------------------------

_GPQA = (
    "Return your final response within \\boxed{{}} and only include the letter choice (A, B, C, or D) as your final "
    "response.\nProblem: {problem}\nOptions: {options}\nAnswer:"
)
_ANSWERS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
_ORDER_SEED = (
    42  # Evalchemy shuffles every question's answers by a new generator of this seed: the right one is always D
)


def _gpqa(cells: Cells, _: str) -> Question:
    answers = [str(cells[name]) for name in _ANSWERS]
    random.Random(_ORDER_SEED).shuffle(answers)
    listed = ", ".join(f"{letter}) {answer}" for letter, answer in zip(LETTERS, answers, strict=False))
    right = LETTERS[answers.index(str(cells["Correct Answer"]))]
    return Question(_GPQA.format(problem=cells["Question"], options=listed), right, choices=tuple(answers))


# --- LiveCodeBench: Evalchemy's task, release_v2 ----------------------------------------------------------------------

_STDIN = (
    "Generate an executable Python function generated from the given prompt. The function should take stdin as input "
    "and print the output. Simply call the function after the definition."
)
_CALL = (
    "Generate an executable Python function generated from the given prompt. Return the function body without invoking "
    "it at the final solution."
)
_TIMEOUT = 60.0  # seconds for all tests of a program; Evalchemy gives it 7 for each of them, and 5


def _livecodebench(cells: Cells, _: str) -> Question:
    """Its private tests stay packed: unpacked, those of the whole set do not fit in memory."""
    stdin = any(test["testtype"] == "stdin" for test in json.loads(cells["public_test_cases"]))
    reference = {"form": "stdin" if stdin else "call", "packed": cells["private_test_cases"]}
    if not stdin:
        reference["entry_point"] = json.loads(cells["metadata"])["func_name"]
    asked = (_STDIN if stdin else _CALL) + cells["question_content"]
    return Question(asked, json.dumps(reference), {"timeout": _TIMEOUT})


# --- ACPBench, multiple choice: lm-eval's tasks, two worked examples before each question -----------------------------

_ACP = {name: f"acp_{name}_mcq" for name in ("app", "areach", "just", "land", "prog", "reach", "val")}
_ACP_FILES = {
    subset: f"acpbench/mcq_cot_2shot/{'act_reach' if name == 'areach' else name}.yaml" for name, subset in _ACP.items()
}


def _acpbench(cells: Cells, subset: str) -> Question:
    task = harness.file(_ACP_FILES[subset])
    shots = task["fewshot_config"]["samples"][: task["num_fewshot"]]
    worked = [f"{_thoughts(task, shot)} {shot['answer']}\n\n" for shot in shots]
    return Question("".join(worked) + _thoughts(task, cells), str(cells["answer"]))


def _thoughts(task: dict[str, Any], cells: Cells) -> str:
    return harness.render(task["doc_to_text"], cells)


# --- HeadQA: lm-eval's task, scored by the log-likelihood of its answers ----------------------------------------------

_HEADQA_FILE = "headqa/headqa_en.yaml"


def _headqa(cells: Cells, _: str) -> Question:
    answers = tuple(str(answer["atext"]) for answer in cells["answers"])
    right = int(cells["ra"])
    if not 1 <= right <= len(answers):
        raise ValueError(f"answer {right} of {len(answers)} is said to be right")
    return Question(harness.prompt(_HEADQA_FILE, cells), answers[right - 1], choices=answers)


_THREE = Decoding(3, temperature=0.6, top_p=0.95)  # the paper's; the fork's code has temperature 0.7 and no top_p

TASKS = (
    Task(
        name="gpqa_diamond",
        group="other_reasoning",
        hub="Idavidrein/gpqa",
        split="train",
        columns={"gpqa_diamond": ("Question", *_ANSWERS)},
        ask=_gpqa,
        kind="choice",
        paper="gpqa_diamond",
        decoding=_THREE,
        size=198,
    ),
    Task(
        name="livecodebench",
        group="other_reasoning",
        hub="livecodebench/code_generation_lite",
        split="train",  # what `datasets` calls the rows of a plain file
        columns={"": ("question_content", "public_test_cases", "private_test_cases", "metadata")},
        ask=_livecodebench,
        kind="code",
        paper="livecodebench",
        decoding=_THREE,
        files=("test.jsonl", "test2.jsonl"),  # release_v2
        size=511,
    ),
    Task(
        name="acpbench",
        group="other_reasoning",
        hub="ibm-research/acp_bench",
        split="val",  # the published run had 40 items a task
        columns={subset: ("context", "question", "answer") for subset in _ACP.values()},
        ask=_acpbench,
        kind="choice",
        paper="acpbench",
        harness=("acpbench/mcq_cot_2shot/_mcq_cot_2shot_yaml", *_ACP_FILES.values()),
        size=280,
    ),
    Task(
        name="headqa",
        group="other_reasoning",
        hub="EleutherAI/headqa",
        split="test",
        columns={"en": ("qtext", "ra", "answers")},
        ask=_headqa,
        kind="text",
        options={"mode": "normalised"},
        likelihood=True,
        decoding=BESIDE,
        harness=(_HEADQA_FILE,),
        size=2742,
    ),
)
