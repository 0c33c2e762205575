"""GSM8K and a small set for general knowledge: MMLU-Pro, ARC, TruthfulQA, HellaSwag, without examples."""

import re

from data.columns import text
from data.published import harness
from data.published.mathematics import PROBLEM
from data.published.reasoning import LETTERS
from data.published.task import BESIDE, Cells, Question, Task

_ARC = (  # the words of lm-eval's arc_challenge_chat, which begins the answer itself
    "Given the following question and four candidate answers (A, B, C and D), choose the best answer.\n"
    "Question: {question}\n{listed}"
    'Your response should end with "The best answer is [the_answer_letter]" where the [the_answer_letter] is one of A, '
    "B, C or D."
)
_TRUTHFULQA_FILE = "truthfulqa/truthfulqa_mc1.yaml"
_BRACKETS = re.compile(r"\[.*?\]")


def _gsm8k(cells: Cells, _: str) -> Question:
    """Asked as Evalchemy asks all math: lm-eval's prompt shows the form of the answer in five examples alone."""
    steps, hashes, answer = cells["answer"].rpartition("####")
    if not hashes:
        raise ValueError("its answer has no ####")
    return Question(PROBLEM.format(problem=cells["question"]), text(answer).replace(",", ""))


def _mmlu_pro(cells: Cells, _: str) -> Question:
    """lm-eval's prompt, of which the description comes before the question."""
    options = "".join(
        f"{letter}. {option.strip()}\n" for letter, option in zip(LETTERS, cells["options"], strict=False)
    )
    described = (
        f"The following are multiple choice questions (with answers) about {cells['category']}. Think step by step and "
        'then finish your answer with "the answer is (X)" where X is the correct letter choice.\n\n'
    )
    asked = f"Question:\n{cells['question']}\nOptions:\n{options}Answer: Let's think step by step."
    return Question(described + asked, LETTERS[: len(cells["options"])][int(cells["answer_index"])])


def _arc(cells: Cells, _: str) -> Question:
    answers, labels = tuple(cells["choices"]["text"]), list(cells["choices"]["label"])
    if len(answers) > 4:
        raise ValueError(f"it has {len(answers)} answers, and the prompt lists four")
    listed = "".join(f"{letter}. {answer}\n" for letter, answer in zip(LETTERS, answers, strict=False))
    right = LETTERS[labels.index(cells["answerKey"])]
    return Question(_ARC.format(question=cells["question"].strip(), listed=listed), right, choices=answers)


def _truthfulqa(cells: Cells, _: str) -> Question:
    found = cells["mc1_targets"]
    if list(found["labels"]).count(1) != 1:
        raise ValueError("not one of its answers is right")
    answers = tuple(found["choices"])
    return Question(harness.prompt(_TRUTHFULQA_FILE, cells), answers[found["labels"].index(1)], choices=answers)


def _hellaswag(cells: Cells, _: str) -> Question:
    """lm-eval's query and endings: the brackets that WikiHow left go."""
    start = f"{cells['activity_label']}: {cells['ctx_a']} {cells['ctx_b'].capitalize()}"
    endings = tuple(_cleaned(ending) for ending in cells["endings"])
    return Question(_cleaned(start), endings[int(cells["label"])], choices=endings)


def _cleaned(words: str) -> str:
    return _BRACKETS.sub("", words.strip().replace(" [title]", ". ")).replace("  ", " ")


TASKS = (
    Task(
        name="gsm8k",
        group="math",
        hub="openai/gsm8k",
        split="test",
        columns={"main": ("question", "answer")},
        ask=_gsm8k,
        kind="math",
        paper="gsm8k",
        size=1319,
    ),
    Task(
        name="mmlu_pro",
        group="other_reasoning",
        hub="TIGER-Lab/MMLU-Pro",
        split="test",
        columns={"": ("question", "options", "answer_index", "category")},
        ask=_mmlu_pro,
        kind="choice",
        paper="mmlu_pro",
        harness=("mmlu_pro/_default_template_yaml", "mmlu_pro/utils.py"),
        size=12032,
    ),
    Task(
        name="arc_challenge",
        group="other_reasoning",
        hub="allenai/ai2_arc",
        split="test",
        columns={"ARC-Challenge": ("question", "choices", "answerKey")},
        ask=_arc,
        kind="choice",
        harness=("arc/arc_challenge_chat.yaml",),
        size=1172,
    ),
    Task(
        name="truthfulqa",
        group="non_reasoning",
        hub="truthfulqa/truthful_qa",
        split="validation",
        columns={"multiple_choice": ("question", "mc1_targets")},
        ask=_truthfulqa,
        kind="text",
        options={"mode": "normalised"},
        likelihood=True,
        decoding=BESIDE,
        harness=(_TRUTHFULQA_FILE,),
        size=817,
    ),
    Task(
        name="hellaswag",
        group="non_reasoning",
        hub="Rowan/hellaswag",
        split="validation",
        columns={"": ("activity_label", "ctx_a", "ctx_b", "endings", "label")},
        ask=_hellaswag,
        kind="text",
        options={"mode": "normalised"},
        likelihood=True,
        decoding=BESIDE,
        harness=("hellaswag/hellaswag.yaml", "hellaswag/utils.py"),
        size=10042,
    ),
)
