"""What is taken from the installed lm-eval: prompts and examples, out of its task files. The package is not run."""

import hashlib
import importlib.util
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import yaml

PACKAGE = "lm_eval"


class _Loader(yaml.SafeLoader):
    """Reads `!function utils.name` as its text."""


_Loader.add_constructor("!function", lambda _, node: str(node.value))
_templates = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


@cache
def file(name: str) -> dict[str, Any]:
    """A task file below lm_eval/tasks, with what it includes."""
    path = folder() / name
    found = dict(yaml.load(path.read_text(encoding="utf-8"), _Loader))  # a SafeLoader
    included = found.pop("include", "")
    return file(str((path.parent / included).relative_to(folder()))) | found if included else found


def folder() -> Path:
    """lm_eval/tasks. Raises ModuleNotFoundError where lm-eval is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("the published suites take prompts from lm-eval's task files; install lm-eval")
    return Path(found.submodule_search_locations[0]) / "tasks"


def prompt(name: str, cells: Mapping[str, Any]) -> str:
    """The task's `doc_to_text` of a row."""
    return render(file(name)["doc_to_text"], cells)


def render(template: str, cells: Mapping[str, Any]) -> str:
    """A template as lm-eval renders it; jinja2.UndefinedError where the row lacks a column."""
    return _template(template).render(**cells)


@cache
def _template(text: str) -> jinja2.Template:
    return _templates.from_string(text)


def digests(files: tuple[str, ...]) -> dict[str, str]:
    """The version of lm-eval, and of each of these files a digest of its bytes."""
    found = {name: hashlib.sha256((folder() / name).read_bytes()).hexdigest() for name in files}
    return {"lm_eval": version(PACKAGE)} | found
