"""results.json is as its schema documents it, and the check of that finds what is not."""

import copy
import json
from pathlib import Path

import pytest

from conf.files import read_json
from tests.evaluation.folders import write_experiment, write_page

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/results.schema.json").read_text(encoding="utf-8"))
TYPES = {
    **{"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)},
    **{"integer": int, "number": (int, float)},
}


def faults(value, schema, at="results"):
    """What of `value` the schema refuses; the keywords that the schema uses, no others."""
    if "$ref" in schema:
        return faults(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], at)
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    fits = any(isinstance(value, TYPES[name]) and (name == "boolean" or value is not True) for name in names)
    if (names and not fits) or ("enum" in schema and value not in schema["enum"]):
        return [f"{at}: {value!r}"[:100]]
    found = []
    if isinstance(value, dict):
        found += [f"{at}: no {key}" for key in schema.get("required", []) if key not in value]
        for key, one in value.items():
            own = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            found += faults(one, own, f"{at}.{key}") if own else []
    if isinstance(value, list) and "items" in schema:
        found += [
            fault for number, one in enumerate(value) for fault in faults(one, schema["items"], f"{at}[{number}]")
        ]
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = write_experiment(tmp_path_factory.mktemp("runs") / "tiny", seeds=(0,))
    write_page(root)
    return read_json(root / "report/results.json")


def test_results_follow_their_schema(results):
    assert faults(results, SCHEMA) == [] and results["schema_version"] == 1


def test_every_key_of_the_schema_is_explained():
    assert all("description" in one or "$ref" in one or "items" in one for one in SCHEMA["properties"].values())


def test_what_departs_from_the_schema_is_found(results):
    wrong = copy.deepcopy(results)
    del wrong["claim"]
    wrong["gains"]["sft"]["groups"]["math"]["greedy"]["low"] = "much"
    wrong["verdicts"][0]["kind"] = "guess"
    found = " ".join(faults(wrong, SCHEMA))
    assert "no claim" in found and "gains.sft.groups.math.greedy.low: 'much'" in found and "verdicts[0].kind" in found
