"""CoQA, IFEval, HaluEval, MC-TACO: arXiv:2507.00432, A.3.4, its forks of lm-eval and Evalchemy."""

import json
from itertools import zip_longest

from data.items import Decoding
from data.published import halueval, harness
from data.published.task import BESIDE, Cells, Question, Task

_YES_NO = ("no", "yes")

# --- CoQA: lm-eval's task, the last question of every conversation ----------------------------------------------------


def _coqa(cells: Cells, _: str) -> Question:
    questions, answers = cells["questions"]["input_text"], cells["answers"]["input_text"]
    turns = "".join(
        f"Q: {question}\n\n" + ("A:" if answer is None else f"A: {answer}\n\n")
        for question, answer in zip_longest(questions, answers[:-1])
    )
    found = {answers[len(questions) - 1].lower(): answers[len(questions) - 1]}
    for other in (cells["additional_answers"] or {}).values():
        if other is not None:
            found.setdefault(other["input_text"][len(questions) - 1].lower(), other["input_text"][len(questions) - 1])
    reference, *also = found.values()
    return Question(f"{cells['story']}\n\n{turns}", reference, {"also": also})


# --- IFEval: Evalchemy's task -----------------------------------------------------------------------------------------


def _ifeval(cells: Cells, _: str) -> Question:
    kwargs = [{name: value for name, value in one.items() if value is not None} for one in cells["kwargs"]]
    reference = {"instruction_id_list": list(cells["instruction_id_list"]), "kwargs": kwargs}
    return Question(cells["prompt"], json.dumps(reference, ensure_ascii=False))


# --- HaluEval: the fork's own tasks -----------------------------------------------------------------------------------


def _halueval(cells: Cells, subset: str) -> Question:
    if cells["hallucination"] not in _YES_NO:
        raise ValueError(f"hallucination={cells['hallucination']!r}")
    return Question(halueval.prompt(dict(cells), subset), cells["hallucination"].capitalize(), choices=("No", "Yes"))


# --- MC-TACO: lm-eval's task, scored by the log-likelihood of "no" and "yes" ------------------------------------------

_MC_TACO_FILE = "mc_taco/default.yaml"


def _mc_taco(cells: Cells, _: str) -> Question:
    return Question(harness.prompt(_MC_TACO_FILE, cells), _YES_NO[(0, 1).index(int(cells["label"]))], choices=_YES_NO)


TASKS = (
    Task(
        name="coqa",
        group="non_reasoning",
        hub="EleutherAI/coqa",
        split="validation",
        columns={"": ("story", "questions", "answers", "additional_answers")},
        ask=_coqa,
        kind="text",
        options={"mode": "normalised"},
        paper="coqa",
        harness=("coqa/default.yaml", "coqa/utils.py"),
        size=500,
    ),
    Task(
        name="ifeval",
        group="non_reasoning",
        hub="google/IFEval",
        split="train",
        columns={"": ("prompt", "instruction_id_list", "kwargs")},
        ask=_ifeval,
        kind="instruction",
        paper="ifeval",
        decoding=Decoding(max_new_tokens=512),
        first=10,  # Evalchemy leaves the first 10 of the 541 out, and the last 31
        last=510,
        size=500,
    ),
    Task(
        name="halueval",
        group="non_reasoning",
        hub="pminervini/HaluEval",
        split="data",
        columns={subset: (*columns, "hallucination") for subset, columns in halueval.ASKED.items()},
        ask=_halueval,
        kind="text",
        options={"mode": "label", "among": ("Yes", "No")},
        paper="halueval",
        size=30000,
    ),
    Task(
        name="mc_taco",
        group="non_reasoning",
        hub="CogComp/mc_taco",
        split="test",
        columns={"": ("sentence", "question", "answer", "label")},
        ask=_mc_taco,
        kind="text",
        options={"mode": "label", "among": ("yes", "no")},
        likelihood=True,
        decoding=BESIDE,
        harness=(_MC_TACO_FILE,),
        size=9442,
    ),
)
