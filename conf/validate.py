"""From a plain tree of keys to the typed configuration, or to one message that names the key to change."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from conf import control, devices
from conf.errors import UserError
from conf.schema import Configuration, Recipe

NAME = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_]\w*)*")


def validate(tree: Mapping[str, Any]) -> Configuration:
    """The configuration in `tree`; UserError for an unknown key, an impossible value, or keys that contradict."""
    try:
        configuration = Configuration.model_validate(tree)
    except ValidationError as error:
        raise _explain(error) from None
    _check_together(configuration)
    return configuration


def known_keys(section: type[BaseModel] = Configuration, prefix: str = "") -> list[str]:
    """Every dotted key that the schema knows."""
    keys = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += known_keys(kind, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def nearest(key: str) -> str | None:
    """The valid dotted key most like `key`: by its whole name, or by its last part in another section."""
    keys = known_keys()
    whole = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
    if whole:
        return whole[0]
    last = {known.rpartition(".")[2]: known for known in reversed(keys)}
    part = difflib.get_close_matches(key.rpartition(".")[2], list(last), n=1, cutoff=0.6)
    return last[part[0]] if part else next(iter(difflib.get_close_matches(key, keys, n=1, cutoff=0.4)), None)


def _explain(error: ValidationError) -> UserError:
    """The first fault in full; the others are named."""
    faults = error.errors()
    first = faults[0]
    key = ".".join(str(part) for part in first["loc"])
    others = [".".join(str(part) for part in fault["loc"]) for fault in faults[1:]]
    also = f" (also at fault: {', '.join(others)})" if others else ""
    if first["type"] == "extra_forbidden":
        guess = nearest(key)
        change = f"write {guess}" if guess else "choose a key of conf/schema.py"
        return UserError(f"{key}={first['input']!r}: no such key{also}", "it would change nothing, in silence", change)
    if first["type"] == "missing":
        return UserError(f"{key} is missing{also}", "it has no default", f"add {key}=VALUE")
    why = f"{first['msg'][0].lower()}{first['msg'][1:]}"
    return UserError(f"{key}={first['input']!r}{also}", why, f"change {key}; conf/schema.py says what it may be")


def _check_together(configuration: Configuration) -> None:
    """Refuse values that are possible one by one and not together."""
    recipe, experiment = configuration.recipe, configuration.experiment
    if recipe.trainer == "sft" and (recipe.q, recipe.w, recipe.surrogate, recipe.beta) != ("teacher", "one", "log", 0):
        four = f"recipe q={recipe.q} w={recipe.w} surrogate={recipe.surrogate} beta={recipe.beta} with trainer=sft"
        raise UserError(four, "the SFT trainer minimises (teacher, one, log, 0) alone", "set recipe.trainer=policy")
    if len(recipe.reward_funcs) != len(recipe.reward_weights) or not recipe.reward_funcs:
        given = f"recipe.reward_funcs={recipe.reward_funcs} recipe.reward_weights={recipe.reward_weights}"
        raise UserError(given, "each function needs its weight", "give both lists the same length, at least one")
    if recipe.soft_overlong_cache > configuration.data.max_completion_length:
        raise UserError(
            f"recipe.soft_overlong_cache={recipe.soft_overlong_cache}",
            f"it is more than data.max_completion_length={configuration.data.max_completion_length} has",
            "lower it",
        )
    _check_measured(configuration)
    _check_mistakes(configuration)
    _check_kept(configuration)
    _check_start(configuration)
    _check_recipe(configuration)
    devices.check(configuration)
    if not experiment.arms or not experiment.seeds:
        raise UserError(
            f"experiment.arms={experiment.arms} experiment.seeds={experiment.seeds}",
            "an experiment needs an arm and a seed",
            "name at least one of each",
        )
    for name, keys in (("recipe.treatment", recipe.treatment), ("allow_confound", configuration.allow_confound)):
        _check_keys(name, keys)
    shared = sorted(set(experiment.seeds) & set(experiment.sweep_seeds))
    if shared:
        raise UserError(
            f"seeds {shared} stand in experiment.seeds and in experiment.sweep_seeds",
            "learning rates chosen on the report's own seeds make its scores too good",
            "give experiment.sweep_seeds other seeds",
        )


def _check_measured(configuration: Configuration) -> None:
    """Refuse a suite that cannot be compared on, and names that could not be folders."""
    if not {"base", "end"} <= set(configuration.suite.when):
        given = f"suite.when={list(configuration.suite.when)}"
        why = "arms are compared with the base on this suite, at their ends"
        raise UserError(given, why, "keep base and end in it, or put the suite among `suites`")
    if (weighed := configuration.drift.reach_suite) and weighed not in configuration.suites:
        why = "it is none of the suites that are scored beside the run's own"
        change = f"add it by suites=[{weighed}], or leave drift.reach_suite empty"
        raise UserError(f"drift.reach_suite={weighed}", why, change)
    for key, names in (("suites", list(configuration.suites)), ("hooks.functions", configuration.hooks.functions)):
        wrong = [name for name in names if not NAME.fullmatch(name) or (key != "suites" and "." not in name)]
        if wrong:
            change = "write suites=[NAME,...]" if key == "suites" else "write hooks.functions=[MODULE.FUNCTION,...]"
            raise UserError(f"{key}={wrong[0]}", "its results are kept in a folder of that name", change)


def _check_mistakes(configuration: Configuration) -> None:
    """Refuse mistakes where no scripted teacher makes them."""
    data = configuration.data
    other = f"data.targets={data.targets}" if data.targets else f"data.source={data.source}"
    if data.teacher_mistakes and (data.targets or data.source != "world"):
        why = "the world's scripted teacher makes them, and nothing of it would be read"
        change = "set data.teacher_mistakes=0, or data.source=world without data.targets"
        raise UserError(f"data.teacher_mistakes={data.teacher_mistakes:g} with {other}", why, change)


def _check_start(configuration: Configuration) -> None:
    """Refuse a second task where nothing says what the first has left."""
    experiment = configuration.experiment
    if experiment.after and experiment.after == experiment.name:
        why = "its runs would start from themselves"
        raise UserError(f"experiment.after={experiment.after}", why, "give experiment.name=NAME for the second task")
    if (experiment.after or configuration.train.start_from) and configuration.model.lora_rank:
        given = f"model.lora_rank={configuration.model.lora_rank} with a run that starts from a checkpoint"
        why = "an adapter would be put upon another one, and neither would be the arm's"
        raise UserError(given, why, "set model.lora_rank=0, or merge the first task's adapter and set model.path")


def _check_kept(configuration: Configuration) -> None:
    """Refuse a rule for old checkpoints that none of them meets."""
    train = configuration.train
    if not train.keep_every:
        return
    if not train.save_total_limit:
        why = "every checkpoint is kept, so it would change nothing"
        raise UserError(f"train.keep_every={train.keep_every}", why, "set train.save_total_limit, or leave it out")
    if train.keep_every % train.save_steps:
        given = f"train.keep_every={train.keep_every} with train.save_steps={train.save_steps}"
        change = f"make it a multiple of {train.save_steps}"
        raise UserError(given, "checkpoints are saved at other steps than those to keep", change)


def _check_keys(name: str, given: list[str]) -> None:
    """Refuse a key in `given` that is none of the schema's and no fact of the table of conf/control.py."""
    keys = known_keys()
    sections = {key.partition(".")[0] for key in keys}
    for one in given:
        facts = one.partition(".")[0] not in sections and control.speaks_of(one)
        if not facts and not any(control.matches(key, (one,)) or control.matches(one, (key,)) for key in keys):
            guess = nearest(one)
            change = f"write {guess}" if guess else "choose a key of conf/schema.py or of docs/control.md"
            raise UserError(f"{name}: {one}: no such key", "it would let nothing differ, in silence", change)


def _check_recipe(configuration: Configuration) -> None:
    """Refuse parts of a recipe that do not make one objective."""
    recipe = configuration.recipe
    if configuration.samples and recipe.temperature != 1 and not recipe.allow_biased_ratio:
        why = "the policy that is trained would be the tempered one, and not the one that is evaluated"
        change = "set recipe.temperature=1, or recipe.allow_biased_ratio=true"
        raise UserError(f"recipe.temperature={recipe.temperature:g} with q={recipe.q}", why, change)
    if recipe.surrogate != "clipped" and recipe.trainer == "policy" and recipe.loss_type in ("cispo", "bnpo"):
        given = f"recipe.surrogate={recipe.surrogate} with recipe.loss_type={recipe.loss_type}"
        change = "set recipe.loss_type to grpo, dapo or dr_grpo, or recipe.surrogate=clipped"
        raise UserError(given, f"{recipe.loss_type} is a form of the clipped surrogate", change)
    if (recipe.surrogate == "luffy") != (recipe.q == "policy_and_teacher") or (
        recipe.surrogate == "iw_sft" and recipe.q != "teacher"
    ):
        given = f"recipe.surrogate={recipe.surrogate} with recipe.q={recipe.q}"
        change = "take luffy with q=policy_and_teacher, iw_sft with q=teacher, and others otherwise"
        raise UserError(given, "the surrogate's ratio is to another model than the responses are from", change)
    if recipe.dynamic_sampling and (recipe.q != "policy" or recipe.teacher_steps):
        given = f"recipe.dynamic_sampling={recipe.dynamic_sampling} with recipe.q={recipe.q}"
        raise UserError(given, "it samples from the policy", "set recipe.dynamic_sampling=0")
    if recipe.teacher_steps and recipe.num_generations < configuration.data.targets_per_prompt:
        given = f"recipe.teacher_steps={recipe.teacher_steps} with recipe.num_generations={recipe.num_generations}"
        why = f"of data.targets_per_prompt={configuration.data.targets_per_prompt} some would not be imitated"
        raise UserError(given, why, "raise recipe.num_generations to as many")
    _check_critic(recipe)
    _check_groups(configuration)


def _check_critic(recipe: Recipe) -> None:
    """Refuse a critic's advantage on anything but the policy's own responses through the clipped surrogate."""
    if recipe.w != "critic_advantage":
        return
    if (recipe.q, recipe.surrogate, recipe.importance_sampling_level) != ("policy", "clipped", "token"):
        given = f"recipe.w=critic_advantage with q={recipe.q} surrogate={recipe.surrogate} "
        given += f"importance_sampling_level={recipe.importance_sampling_level}"
        change = "set recipe.q=policy, recipe.surrogate=clipped, recipe.importance_sampling_level=token"
        raise UserError(given, "a critic values the policy's own states, token by token", change)
    if recipe.loss_type not in ("dapo", "grpo", "dr_grpo") or recipe.dynamic_sampling:
        given = f"recipe.w=critic_advantage with loss_type={recipe.loss_type}, "
        given += f"dynamic_sampling={recipe.dynamic_sampling}"
        why = "its loss is a mean over tokens, and an advantage needs no group that differs"
        raise UserError(given, why, "set recipe.loss_type to dapo, grpo or dr_grpo, and recipe.dynamic_sampling=0")


def _check_groups(configuration: Configuration) -> None:
    """Refuse to compare a response with the others of its prompt where there are none."""
    recipe, count = configuration.recipe, configuration.responses_per_prompt
    alone = recipe.w in ("group_advantage", "leave_one_out", "positive", "negative")
    if recipe.trainer == "policy" and count < 2 and (alone or recipe.q == "policy_and_teacher"):
        key = "recipe.num_generations" if configuration.samples else "data.targets_per_prompt"
        why = "a group of one has no other responses to be compared with"
        raise UserError(f"{key}={count} with recipe.w={recipe.w}", why, f"set {key} to 2 or more")
