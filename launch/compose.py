"""Hydra at the edge: command-line overrides in, one validated Configuration out. Ranks read config.yaml instead."""

import difflib
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import conf
from conf.errors import UserError
from conf.schema import Configuration
from conf.validate import validate
from launch import look
from models import serving

CONF = Path(conf.__file__).parent
GROUPS = tuple(sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and any(folder.glob("*.yaml"))))


def compose(overrides: list[str]) -> Configuration:
    """The configuration that conf/ and `overrides` (KEY=VALUE, GROUP=OPTION) give; UserError where they give none."""
    overrides = [one for override in overrides for one in _suites(override)]
    for override in overrides:
        _check_form(override)
    tree = _composed(overrides)
    if (tree.get("hardware") or {}).get("name") == "any":
        own = [override for override in overrides if override != "hardware=any"]
        tree = _composed([*look.chosen(), *own])
    _apply_experiment(tree, overrides)
    return look.with_precision(with_backend(validate(tree)))


def with_backend(configuration: Configuration) -> Configuration:
    """What suite.backend=auto is on this machine: vLLM on CUDA where it is installed."""
    if configuration.suite.backend != "auto":
        return configuration
    there = configuration.hardware.device == "cuda" and serving.executable()
    suite = configuration.suite.model_copy(update={"backend": "vllm" if there else "transformers"})
    return configuration.model_copy(update={"suite": suite})


def _composed(overrides: list[str]) -> dict[str, Any]:
    """The plain tree that Hydra makes of conf/ and the overrides."""
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            composed = hydra_compose("config", overrides=[_forced(override) for override in overrides])
        tree: Any = OmegaConf.to_container(composed, resolve=True)
    except (ConfigCompositionException, OverrideParseException, OmegaConfBaseException) as error:
        raise UserError(
            " ".join(overrides), _first_line(error), "write KEY=VALUE as `python -m launch` shows"
        ) from None
    return dict(tree)


def _suites(override: str) -> list[str]:
    """suites=[a,b] as Hydra writes it: files of conf/suite, each under its own name."""
    key, _, value = override.partition("=")
    if key != "suites" or not value.startswith("["):
        return [override]
    names = [name.strip() for name in value.strip("[]").split(",") if name.strip()]
    for name in names:
        _check_form(f"suite={name}")
    return [f"+suite@suites.{name}={name}" for name in names]


def expand(overrides: list[str]) -> list[list[str]]:
    """The jobs of a multirun: every combination of the comma-separated values, the last key fastest."""
    choices = []
    for override in overrides:
        _check_form(override, sweep=True)
        parsed = OverridesParser.create().parse_override(override)
        if parsed.is_sweep_override():
            choices.append([f"{override.partition('=')[0]}={value}" for value in parsed.sweep_string_iterator()])
        else:
            choices.append([override])
    return [list(job) for job in product(*choices)]


def given(overrides: list[str], key: str) -> bool:
    """Whether the user wrote `key` among the overrides."""
    return any(override.partition("=")[0].lstrip("+~") == key for override in overrides)


def options(group: str) -> list[str]:
    """The choices of a configuration group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def _check_form(override: str, sweep: bool = False) -> None:
    """Refuse what is not KEY=VALUE, and a GROUP=OPTION whose option is no file."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UserError(f"{override!r}", "an argument is KEY=VALUE", "write it so; `python -m launch` shows examples")
    if key not in GROUPS:
        return
    for option in value.split(",") if sweep else [value]:
        if option not in options(key):
            guess = difflib.get_close_matches(option, options(key), n=1, cutoff=0.4)
            change = f"write {key}={guess[0]}" if guess else f"choose one of {', '.join(options(key))}"
            raise UserError(f"{key}={option}", f"there is no conf/{key}/{option}.yaml", change)


def _forced(override: str) -> str:
    """Let Hydra set any key, known to its files or not: the schema alone says which keys exist."""
    key = override.partition("=")[0]
    return override if key in GROUPS or key[0] in "+~" else f"++{override}"


def _apply_experiment(tree: dict[str, Any], overrides: list[str]) -> None:
    """Take what the experiment sets of this arm's recipe, its swept learning rate last; what the user gave stays."""
    experiment, recipe = tree.get("experiment") or {}, tree.get("recipe") or {}
    name = recipe.get("name")
    wanted = dict((experiment.get("recipes") or {}).get(name) or {})
    rates = experiment.get("learning_rates") or {}
    if name in rates:
        wanted["learning_rate"] = rates[name]
    recipe.update({key: value for key, value in wanted.items() if not given(overrides, f"recipe.{key}")})


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
