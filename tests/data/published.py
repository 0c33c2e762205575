"""Hand-made rows in the real schema of every published benchmark, as a user's local copies."""

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any


def _packed(tests: list[dict[str, str]]) -> str:
    """Private tests as LiveCodeBench packs them."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def _program(title: str, content: str, tests: list[dict[str, str]], name: str = "") -> dict[str, Any]:
    return {
        "question_title": title,
        "question_content": content,
        "platform": "leetcode" if name else "atcoder",
        "question_id": title,
        "contest_id": "1",
        "contest_date": "2023-08-01T00:00:00",
        "starter_code": f"class Solution:\n    def {name}(self, x: int) -> int:\n        " if name else "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(tests[:1]),
        "private_test_cases": _packed(tests),
        "metadata": json.dumps({"func_name": name} if name else {}),
    }


def _instruction(key: int, prompt: str, identifiers: list[str], arguments: list[dict[str, Any]]) -> dict[str, Any]:
    empty = {"num_words": None, "relation": None, "keywords": None, "end_phrase": None}  # as the hub's rows have them
    return {
        "key": key,
        "prompt": prompt,
        "instruction_id_list": identifiers,
        "kwargs": [empty | own for own in arguments],
    }


def _turns(questions: list[str], answers: list[str], *others: str) -> dict[str, Any]:
    def written(texts: list[str]) -> dict[str, Any]:
        spans = [0] * len(texts)
        return {
            "input_text": texts,
            "answer_start": spans,
            "answer_end": spans,
            "turn_id": list(range(1, len(texts) + 1)),
        }

    return {
        "source": "wikipedia",
        "story": "Cotton is a white cat.\nShe lives in a barn.",
        "questions": {"input_text": questions, "turn_id": list(range(1, len(questions) + 1))},
        "answers": written(answers),
        "additional_answers": {str(i): written([*answers[:-1], other]) for i, other in enumerate(others)},
    }


def _planning(group: str, answer: str) -> dict[str, Any]:
    listed = ["A. sail.", "B. load the car.", "C. debark.", "D. none of the above."]
    return {
        "id": 1,
        "group": group,
        "context": "This is a ferry domain. The ferry is at l1.",
        "question": "Which of the following actions will be applicable in this state? " + "  ".join(listed),
        "choices": {"text": ["sail", "load the car", "debark", "none of the above"], "label": list("ABCD")},
        "answer": answer,
    }


_HALUEVAL = {
    "qa_samples": {"knowledge": "Oslo is in Norway.", "question": "Where is Oslo?", "answer": "Sweden"},
    "dialogue_samples": {
        "knowledge": "Oslo is in Norway.",
        "dialogue_history": "[Human]: Oslo?",
        "response": "In Norway.",
    },
    "summarization_samples": {"document": "Oslo is in Norway.", "summary": "Oslo is in Sweden."},
}
_PLANNING = ("app", "areach", "just", "land", "prog", "reach", "val")
_ADD = [{"input": f"{a} {b}\n", "output": f"{a + b}\n", "testtype": "stdin"} for a, b in ((1, 2), (5, 9))]
_DOUBLE = [{"input": f"{x}", "output": f"{2 * x}", "testtype": "functional"} for x in (3, 8)]

ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {  # benchmark -> subset -> rows
    "math500": {
        "": [
            {
                "problem": "What is $\\frac{3}{4} - \\frac{1}{4}$?",
                "solution": "It is $\\boxed{\\frac{1}{2}}$.",
                "answer": "\\frac{1}{2}",
                "subject": "Prealgebra",
                "level": 1,
                "unique_id": "test/prealgebra/1.json",
            }
        ]
    },
    "aime24": {"": [{"ID": "2024-I-1", "Problem": "What is $200+4$?", "Solution": "It is 204.", "Answer": 204}]},
    "aime25": {"": [{"problem": "What is $68+2$?", "answer": "70", "id": "0"}]},
    "olympiadbench": {
        "OE_TO_maths_en_COMP": [
            {
                "id": 2498,
                "question": "Find the least $n$ with $n > 6$.",
                "solution": ["It is 7."],
                "final_answer": ["7"],
                "context": None,
                "is_multiple_answer": False,
                "unit": None,
                "answer_type": "Numerical",
                "subfield": "Number Theory",
            }
        ]
    },
    "gpqa_diamond": {
        "gpqa_diamond": [
            {
                "Question": "Which particle has no charge?",
                "Correct Answer": "neutron",
                "Incorrect Answer 1": "proton",
                "Incorrect Answer 2": "electron",
                "Incorrect Answer 3": "muon",
                "Subdomain": "Physics",
            }
        ]
    },
    "livecodebench": {
        "": [
            _program("abc001", "Print the sum of two numbers.", _ADD),
            _program("double", "Return twice the number.", _DOUBLE, "double"),
        ]
    },
    "acpbench": {f"acp_{name}_mcq": [_planning(name, "BCDABCD"[i])] for i, name in enumerate(_PLANNING)},
    "headqa": {
        "en": [
            {
                "name": "Cuaderno_2013_1_B",
                "year": "2013",
                "category": "biology",
                "qid": 1,
                "qtext": "Blood is pumped by the:",
                "ra": 2,
                "answers": [{"aid": 1, "atext": "Liver."}, {"aid": 2, "atext": "Heart."}, {"aid": 3, "atext": "Lung."}],
            }
        ]
    },
    "coqa": {"": [_turns(["What is Cotton?", "What color is she?"], ["a cat", "white"], "White", "white as snow")]},
    "ifeval": {
        "": [
            *([_instruction(i, f"Say {i}.", ["punctuation:no_comma"], [{}]) for i in range(10)]),
            _instruction(
                10,
                "Write about a cat in lower case letters only, and do not use any commas.",
                ["change_case:english_lowercase", "punctuation:no_comma"],
                [{}, {}],
            ),
        ]
    },
    "halueval": {
        subset: [row | {"hallucination": "no" if subset == "dialogue_samples" else "yes"}]
        for subset, row in _HALUEVAL.items()
    },
    "mc_taco": {
        "": [
            {
                "sentence": "He went to Harvard.",
                "question": "How long did it take?",
                "answer": "4 years",
                "label": 1,
                "category": 0,
            },
            {
                "sentence": "He went to Harvard.",
                "question": "How long did it take?",
                "answer": "4 seconds",
                "label": 0,
                "category": 0,
            },
        ]
    },
    "gsm8k": {
        "main": [{"question": "Ann has 2 boxes of 600. How many?", "answer": "2*600=<<2*600=1200>>1200\n#### 1,200"}]
    },
    "mmlu_pro": {
        "": [
            {
                "question_id": 1,
                "question": "Which is a metal?",
                "options": ["helium ", "iron", "neon"],
                "answer": "B",
                "answer_index": 1,
                "cot_content": "",
                "category": "chemistry",
                "src": "ori_mmlu",
            }
        ]
    },
    "arc_challenge": {
        "ARC-Challenge": [
            {
                "id": "Mercury_1",
                "question": "Which is a plant? ",
                "choices": {"text": ["oak", "cat", "fly", "ant"], "label": ["1", "2", "3", "4"]},
                "answerKey": "1",
            }
        ]
    },
    "truthfulqa": {
        "multiple_choice": [
            {
                "question": "What happens if you eat seeds?",
                "mc1_targets": {"choices": ["They pass through you", "They grow"], "labels": [1, 0]},
                "mc2_targets": {"choices": ["They pass through you", "They grow"], "labels": [1, 0]},
            }
        ]
    },
    "hellaswag": {
        "": [
            {
                "ind": 1,
                "activity_label": "Baking [title] bread",
                "ctx_a": "A man kneads dough.",
                "ctx_b": "he",
                "ctx": "A man kneads dough. he",
                "endings": ["puts it [step] in the oven.", "flies.", "sings.", "sleeps."],
                "source_id": "activitynet~1",
                "split": "val",
                "split_type": "indomain",
                "label": "0",
            }
        ]
    },
}


def write(folder: Path, rows: dict[str, dict[str, list[dict[str, Any]]]] | None = None) -> dict[str, str]:
    """Local copies of all benchmarks as JSON lines, one file a subset; the value of suite.local."""
    local = {}
    for benchmark, subsets in (ROWS if rows is None else rows).items():
        for subset, own in subsets.items():
            file = folder / benchmark / f"{subset}.jsonl" if subset else folder / f"{benchmark}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(json.dumps(row) + "\n" for row in own), encoding="utf-8")
            local[benchmark] = str(folder / benchmark if subset else file)
    return local
