"""`fail_if="non_reasoning < -3"`: a report's conditions, given as plain words, and the exit code 5 where one fails."""

from pathlib import Path
from typing import Any

from conf.errors import UserError
from conf.files import read_json
from conf.schema import Configuration
from conf.validate import validate
from launch.command import WorkerFailed

GATE = 5  # exit code of a gate that failed
SHORT = {"fail_if": "gate.fail_if", "fail_if_unsure": "gate.unsure"}


def apart(arguments: list[str], short: dict[str, str] = SHORT) -> tuple[list[str], dict[str, str]]:
    """Arguments for Hydra, and {key: value} of those of `short`, whose values Hydra's grammar would not take."""
    rest, found = list[str](), dict[str, str]()
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not (name in short or name in short.values()):
            rest.append(argument)
        elif value.strip():
            found[short.get(name, name)] = value.strip().strip("'\"")
    return rest, found


def applied(configuration: Configuration, values: dict[str, Any]) -> Configuration:
    """The configuration with the dotted keys of `values` set; UserError for what they may not be."""
    tree = configuration.model_dump(mode="json")
    for key, value in values.items():
        section, _, name = key.partition(".")
        tree[section] = tree[section] | {name: value}
    return validate(tree)


def check(report: Path, configuration: Configuration) -> None:
    """Say what became of the conditions, if there are any, by the results.json beside `report`; WorkerFailed with 5
    where one failed."""
    if not configuration.gate.fail_if:
        return
    gate = read_json(report.parent / "results.json")["gate"]
    for row in gate["rows"]:
        print(f"{'FAIL' if row['fails'] else 'ok  '} {row['sentence']}")
    failing = [row for row in gate["rows"] if row["fails"]]
    if failing:
        raise WorkerFailed(f"the gate failed: {len(failing)} of {len(gate['rows'])} conditions, see above", GATE)
    print("the gate passed")


def refuse_unused(values: dict[str, str]) -> None:
    """UserError where gate.unsure stands without a condition."""
    if "gate.unsure" in values and "gate.fail_if" not in values:
        given = f"fail_if_unsure={values['gate.unsure']}"
        raise UserError(given, "there is no condition to be unsure of", 'add fail_if="NAME < POINTS"')
