"""Where responses come from (`q`): the compiled targets, `make targets`, a frozen copy of a model, or the policy.

Token ids of one process's rows of a step. A group is the responses to one prompt; a member is one's place in it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration
from models.render import response_ids, response_text
from rewards.extraction import END_THINK

Ids = list[int]
Row = Mapping[str, Any]  # of the compiled data set

PLAIN = ("prompt", "prompt_ids", "reference", "kind")


def examples(configuration: Configuration, tokenizer: Any, rows: Dataset, order: np.ndarray) -> Dataset:
    """One example a slot of `order` [steps, prompts_per_step]: prompt, its ids, reference, kind, and where teachers
    answer, `taught`: token ids of each response. UserError where a teacher arm has nothing to weigh."""
    slots = order.ravel()
    if not configuration.imitates:
        return rows.select_columns(PLAIN).select(slots)
    if configuration.recipe.q == "base":
        _check_base(configuration.data.targets)
    written = _judged(configuration, tokenizer, rows) if _weighs(configuration) else None
    another = configuration.recipe.target_form == "of_another_prompt"
    table = {"slot": slots, "answered": np.roll(slots, -1) if another else slots}

    def fetch(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        found = rows.select(batch["slot"])
        answered = rows.select(batch["answered"])
        return {name: found[name] for name in PLAIN} | {
            "taught": [_taught(configuration, tokenizer, row, written) for row in answered]
        }

    return Dataset.from_dict(table).with_transform(fetch)


def imitated(q: str, taught: Sequence[Sequence[Ids]], members: Sequence[int]) -> dict[int, Ids | None]:
    """Row -> the teacher's response, for the rows that are a teacher's; None where it has too few for its group."""
    if q == "teacher":
        pairs = zip(taught, members, strict=True)
        return {i: list(own[member]) if member < len(own) else None for i, (own, member) in enumerate(pairs)}
    if q == "policy_and_teacher":
        return {i: list(taught[i][0]) for i, member in enumerate(members) if member == 0 and taught[i]}
    return {}


def _weighs(configuration: Configuration) -> bool:
    """Whether the arm weighs its teacher's responses, wrong ones too; others imitate the targets, which are right."""
    recipe = configuration.recipe
    return recipe.q == "teacher" and recipe.w != "one" and not recipe.teacher_steps


def whole(output: Any) -> tuple[torch.Tensor, torch.Tensor, int]:
    """(ids, attention mask) [rows, prompt and response tokens] and how many columns are the responses'."""
    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], 1)
    return ids, torch.cat([output["prompt_mask"], output["completion_mask"]], 1), output["completion_ids"].size(1)


def _taught(configuration: Configuration, tokenizer: Any, row: Row, written: Mapping[str, list[Ids]] | None) -> Any:
    if written is not None:
        return written.get(row["prompt"], [])
    if _weighs(configuration):
        return row["attempt_ids"]
    if configuration.recipe.target_form == "without_thought":
        return [_without_thought(tokenizer, ids) for ids in row["target_ids"]]
    return row["target_ids"]


def _without_thought(tokenizer: Any, ids: Ids) -> Ids:
    """What stands after </think>, and the end token; all of it where there is no thought."""
    text = response_text(tokenizer, ids)
    return response_ids(tokenizer, text.rpartition(END_THINK)[2].lstrip()) if END_THINK in text else ids


def _judged(configuration: Configuration, tokenizer: Any, rows: Dataset) -> dict[str, list[Ids]] | None:
    """Prompt -> all its responses of data.targets, wrong ones too; None where they are compiled beside the targets."""
    recipe, data = configuration.recipe, configuration.data
    if data.teacher_mistakes:
        return None
    if not data.targets:
        given = f"recipe={recipe.name} (w={recipe.w}) without data.targets"
        why = "the compiled targets are all right, so no response of a group weighs more than another"
        change = "set data.targets to a folder of `make targets`, data.teacher_mistakes (of the world), or recipe.w=one"
        raise UserError(given, why, change)
    wanted = set(rows["prompt"])
    limit, found = data.max_completion_length, dict[str, list[Ids]]()
    for row in _read(Path(data.targets) / "targets.parquet"):
        if row["prompt"] in wanted and len(found.setdefault(row["prompt"], [])) < data.targets_per_prompt:
            ids = response_ids(tokenizer, row["response"])
            cut = ids[:-1] if row["finish_reason"] == "length" else ids
            found[row["prompt"]].append(cut[:limit])
    return found


def _read(path: Path) -> list[Row]:
    """The folder's responses, sample by sample."""
    import pyarrow.parquet as pq

    columns = ["prompt", "sample", "response", "finish_reason"]
    rows: list[Row] = pq.read_table(path, columns=columns).sort_by("sample").to_pylist()
    return [row for row in rows if row["response"]]


def _check_base(folder: str) -> None:
    """UserError where `folder` holds another model's responses than the base's."""
    manifest = Path(folder) / "manifest.json"
    whose = read_json(manifest)["settings"]["q"] if manifest.is_file() else "unknown"
    if whose != "base":
        why = "the arm learns from the base's own responses"
        given = f"data.targets={folder} (targets.q={whose}) with recipe.q=base"
        raise UserError(given, why, "make them with targets.q=base, or leave data.targets empty to sample in the run")
