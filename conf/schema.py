"""The typed configuration: every key, its default, its unit. Unknown keys are refused; no default stands elsewhere."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Moment = Literal["base", "save", "end"]  # before training, at every saved checkpoint, at the last one
# in the training job between steps; after it, on the same devices; in a job of its own that waits for it
Where = Literal["training", "after", "slurm"]
Keys = Annotated[list[str], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Section):
    """The base that every arm starts from."""

    path: str = "models/embedded"  # a local folder (safetensors, tokenizer.json), or a hub id
    note: str = (
        ""  # what a reader of its results must know of these weights, a sentence; page one of the report says it
    )
    dtype: Literal["float32", "bfloat16"] = "float32"  # of parameters, master weights and optimizer state
    allow_pure_bfloat16: bool = False  # train parameters of dtype=bfloat16, in which small updates round away
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2"] = "eager"
    use_liger_kernel: bool = False  # Triton kernels for norms, rotary positions and MLPs, in every arm; CUDA only
    trust_remote_code: bool = False
    # tokens of its vocabulary to end and to pad with, where the tokenizer's own are not those of its chat template
    eos_token: str = ""
    pad_token: str = ""
    # names of peft: an adapter is trained and the base stays as it is; rank 0: all parameters are trained
    lora_rank: Annotated[int, Field(ge=0)] = 0
    lora_alpha: Positive = 32
    lora_dropout: Fraction = 0.0
    lora_target_modules: str = "all-linear"
    # nf4: the base's linear layers in 4 bits (QLoRA, arXiv:2305.14314), for training and wherever the base is read
    quantization: Literal["none", "nf4"] = "none"


class Data(Section):
    """The training set, compiled once and read by every arm."""

    # `world`, `arithmetic`, `reasoning_gym`, a .json/.jsonl/.parquet file, a folder saved by `datasets`, or a hub id
    source: str = "world"
    subset: str = ""  # of a hub data set that has several ("main" of GSM8K); `datasets` calls it the config name
    split: str = "train"  # split of a hub data set or of a saved DatasetDict
    problem: str = "problem"  # column with the question
    answer: str = "answer"  # column with the reference answer
    solution: str = "solution"  # column with the teacher's response; used for SFT targets
    messages: str = ""  # column with a chat instead: the first user turn is the problem, the last answer the solution
    # the answer is its whole cell, or stands in it: after GSM8K's ####, or in its last \boxed{}
    answer_form: Literal["plain", "hashes", "boxed"] = "plain"
    tasks: dict[
        str, Annotated[float, Field(gt=0)]
    ] = {}  # of arithmetic, reasoning_gym, world: task -> share of the rows
    kind: Literal["math", "choice", "text", "instruction", "code"] = "math"  # verifier of every row
    num_fewshot: Annotated[int, Field(ge=0)] = 0  # worked examples before every prompt, where the source has them
    # what counts as right in training and among targets: the asked form only, or any clear statement of the answer
    extraction: Literal["strict", "aware"] = "strict"
    rows: Positive = 4096  # rows drawn from the source before any is dropped
    seed: int = 0  # of the draw and of the order; equal in every arm and run
    teacher_distance: Literal["near", "medium", "far"] = "medium"  # how foreign the world's scripted teacher writes
    # share of the world's teacher's responses that slip once and go on to a wrong answer; only arms that weigh a
    # teacher's responses read them, the targets stay the right ones
    teacher_mistakes: Fraction = 0.0
    targets_per_prompt: Positive = 1  # teacher responses a prompt and step
    targets: str = ""  # folder made by `make targets`; its responses take the place of the source's solutions
    target_rule: Literal["first", "shortest", "random"] = "first"  # which of a prompt's right responses is imitated
    pairing: Literal["intersection", "union"] = "intersection"  # rows every arm can use, or all and declare it
    # Jaccard similarity of word 5-grams from which on a row is a near duplicate; 0: only equal ones are dropped
    near_duplicate_similarity: Fraction = 0.0
    decontamination_ngram: Annotated[int, Field(ge=0)] = 13  # words in a row that no prompt of a suite may hold; 0: off
    max_prompt_length: Positive = 96  # tokens; longer prompts leave every arm and are counted
    max_completion_length: Positive = 64  # tokens, the end token included; limit of targets and rollouts


class Targets(Section):
    """How `make targets` samples responses that SFT may imitate: k a prompt, judged, all of them kept."""

    q: Literal["teacher", "base"] = "teacher"  # whose responses: another model's, or the base's own
    backend: Literal["endpoint", "vllm", "transformers"] = "endpoint"  # an OpenAI-compatible server, or this machine
    base_url: str = "http://localhost:8000/v1"  # of the endpoint; a key is read from OPENAI_API_KEY
    model: str = ""  # name at the endpoint, or a folder or hub id; empty with q=base: model.path
    parameters: float = 0.0  # the teacher's size, for the ledger's FLOPs; 0: unknown
    samples: Positive = 4  # a prompt
    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Fraction = 1.0
    thinking: bool = False
    max_new_tokens: Positive = 1024
    concurrency: Positive = 16  # requests under way at a time
    timeout: Annotated[float, Field(gt=0)] = 600.0  # seconds a request may take
    retries: Annotated[int, Field(ge=0)] = 5  # of a request refused with 429 or 5xx, with growing pauses
    seed: int = 0


class Budget(Section):
    """What the arms are held equal on, and where a run ends before its steps do."""

    match: Literal["prompts", "trained_tokens", "flops", "device_seconds"] = "prompts"
    limit: Annotated[float, Field(ge=0)] = 0.0  # in units of `match`; 0: train.steps decide
    count_targets: bool = False  # whether making the targets counts into a teacher arm's spending
    # factor of limit and steps up to which a run goes on past its budget, for trajectories; what is compared is the
    # last checkpoint within. 1: it ends there
    overrun: Annotated[float, Field(ge=1)] = 1.0


class Train(Section):
    """What every arm shares: the budget, the optimizer and its schedule (names of transformers)."""

    steps: Positive = 40  # batches of prompts drawn from the stored order
    prompts_per_step: Positive = 24
    save_steps: Positive = 20  # a checkpoint, and an evaluation of it, every so many steps
    # checkpoints that a run can go on from, the last ones; older ones lose their optimizer, then go. 0: all
    save_total_limit: Annotated[int, Field(ge=0)] = 0
    keep_every: Annotated[int, Field(ge=0)] = 0  # steps; the model of every so many stays, however old. 0: none
    lr_scheduler_type: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = 0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    # responses a step and process on which policy arms measure KL(policy || base); a copy of the base is kept for it
    kl_rows: Annotated[int, Field(ge=0)] = 0
    # mean difference, in nats a token, that the policy's and its sampler's log-probabilities may have; 0: no limit
    mismatch_limit: Annotated[float, Field(ge=0)] = 0.1
    start_from: str = ""  # checkpoint whose weights the run starts from; experiment.after finds it. empty: model.path
    unscorable_limit: Fraction = 0.1  # share of responses that no verifier could judge; training stops above it


class Recipe(Section):
    """One arm: where responses come from, how each is weighted, the surrogate, the pull to the base."""

    name: str
    trainer: Literal["sft", "policy"]
    # base: its own responses, or those of data.targets; snapshot: the policy of the last multiple of resample_steps;
    # policy_and_teacher: one of a group's responses is the teacher's
    q: Literal["teacher", "base", "snapshot", "policy", "policy_and_teacher"]
    # critic_advantage: PPO, a critic of the policy's states learns beside it
    w: Literal[
        "one",
        "right",
        "group_advantage",
        "leave_one_out",
        "batch_advantage",
        "positive",
        "negative",
        "critic_advantage",
    ]
    surrogate: Literal["log", "clipped", "dft", "iw_sft", "luffy"]
    beta: float = 0.0  # weight of KL(policy || base)
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    micro_batch_size: Positive = 24  # rows a forward pass; memory only, the objective does not depend on it
    # policy trainer only, as in TRL's GRPOConfig
    num_generations: Positive = 16
    temperature: Annotated[float, Field(gt=0)] = 1.0
    allow_biased_ratio: bool = False  # another temperature than 1: what is trained is then not what is evaluated
    loss_type: Literal["grpo", "dr_grpo", "dapo", "bnpo", "cispo"] = "grpo"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    epsilon: float = 0.2
    epsilon_high: float = 0.2  # loss_type cispo: the ratio's ceiling itself
    num_iterations: Positive = 1  # times that a step's responses are trained on
    num_mini_batches: Positive = 1  # parts they are cut into, with an optimizer update for each
    importance_sampling_level: Literal["token", "sequence"] = "token"
    mask_truncated_completions: bool = False
    reward_funcs: list[Literal["accuracy", "well_formed", "soft_overlong", "random"]] = ["accuracy"]
    reward_weights: list[float] = [1.0]  # one a function of reward_funcs
    soft_overlong_cache: Positive = 16  # tokens before max_completion_length over which soft_overlong falls to -1
    dynamic_sampling: Annotated[int, Field(ge=0)] = (
        0  # times a step that groups of equal rewards give way to new prompts
    )
    resample_steps: Positive = 10  # q=snapshot: steps between two copies of the policy
    # q=teacher: the target, the target without its thought, or one that answers another prompt of the order
    target_form: Literal["whole", "without_thought", "of_another_prompt"] = "whole"
    teacher_steps: Annotated[int, Field(ge=0)] = 0  # steps of (teacher, one, log, 0) before the recipe's own
    teacher_learning_rate: Annotated[float, Field(gt=0)] = 1e-4  # in those steps
    max_importance_weight: Annotated[float, Field(gt=0)] = 16.0  # surrogate iw_sft
    shaping_gamma: Annotated[float, Field(gt=0)] = 0.1  # surrogate luffy: the teacher's ratio is pi / (pi + gamma)
    # w=critic_advantage only, as in TRL's last PPOConfig
    critic: Literal["copy", "shared"] = "copy"  # its trunk: a copy of the base, or the policy's own
    value_learning_rate: Annotated[float, Field(gt=0)] = 1e-4  # of the critic's own parameters
    value_warmup_steps: Annotated[int, Field(ge=0)] = 0  # first steps, in which the critic alone learns
    gamma: Fraction = 1.0  # discount a token
    lam: Fraction = 0.95  # lambda of generalized advantage estimation
    vf_coef: Annotated[float, Field(ge=0)] = 0.5  # weight of the value loss
    cliprange_value: Annotated[float, Field(gt=0)] = 0.2  # how far a value may move from the rollout's in one step
    whiten_advantages: bool = True  # mean 0 and standard deviation 1 over the tokens of a step
    kl_coef: Annotated[float, Field(ge=0)] = 0.0  # KL(policy || base) a token, taken off the reward (beta: in the loss)
    treatment: list[str] = []  # keys in which this arm may differ from another


class Rollouts(Section):
    """What samples responses while an arm trains: the project's generator, or vLLM. Names of TRL."""

    use_vllm: bool = False
    vllm_mode: Literal["colocate", "server"] = "colocate"  # in the run's own processes, or in one beside them
    vllm_gpu_memory_utilization: Share = 0.4  # of each of its devices' memory, for weights and cache
    vllm_tensor_parallel_size: Positive = 1  # devices that hold one model together
    vllm_enable_sleep_mode: bool = True  # colocate: weights and cache leave the device while the policy learns
    vllm_server_base_url: str = ""  # of a server that runs already; empty: the run starts one, and ends it
    vllm_server_host: str = "127.0.0.1"  # of the one it starts
    vllm_server_port: Annotated[int, Field(ge=0, lt=65536)] = 0  # the same; 0: a free one
    vllm_server_timeout: Annotated[float, Field(gt=0)] = 900.0  # seconds until it must answer
    vllm_group_port: Annotated[int, Field(ge=0, lt=65536)] = 0  # nccl: where trainer and server meet; 0: a free one
    # how a server is given the policy's weights: from device to device, or by a folder that both can read
    vllm_weight_sync: Literal["nccl", "folder"] = "nccl"
    # weigh each token (or response) by the trainer's probability over the sampler's, truncated or left out above the
    # limit: truncated importance sampling
    vllm_importance_sampling_correction: bool = False
    vllm_importance_sampling_mode: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = (
        "token_truncate"
    )
    vllm_importance_sampling_clip_max: Annotated[float, Field(gt=0)] = 3.0


class Suite(Section):
    """The benchmarks; identical for every arm by construction."""

    name: str = "embedded"
    collections: Keys = ["world"]  # of benchmarks, modules of data/: world, published, wide, offline, procedural
    split: Literal["validation", "test"] = "test"
    benchmarks: list[str] = []  # empty: all of the collections
    items: Positive = 100  # a benchmark
    # of `published` and `wide`: benchmark -> its local copy, a file or a folder as docs/published.md describes
    local: dict[str, str] = {}
    download: bool = False  # whether what has no local copy is fetched from the hub
    samples: Annotated[int, Field(ge=0)] = 8  # sampled responses an item, beside the greedy one; pass@1..samples
    num_fewshot: Annotated[int, Field(ge=0)] = 0  # worked examples before every prompt, for every model
    shots: Annotated[int, Field(ge=0)] = 0  # worked examples with which the base is scored once more, beside
    likelihood: bool = True  # whether choices and right responses are weighed beside; it reads every prompt once more
    temperature: float = 1.0  # of the sampled responses
    top_p: Share = 1.0  # of the sampled responses
    max_new_tokens: Positive = 64
    # published: `samples`, `temperature`, `top_p` and `max_new_tokens` are each benchmark's own where it has them
    decoding: Literal["suite", "published"] = "suite"
    batch_size: Positive = 256  # responses generated at a time; memory only
    # what generates: auto is vllm on CUDA where it is installed; the launcher writes into config.yaml what it became
    backend: Literal["auto", "transformers", "vllm"] = "auto"
    seed: int = 1234  # of the evaluation's sampling streams
    when: list[Moment] = ["base", "save", "end"]  # it is scored; `save` has the last checkpoint in it
    where: Where = "training"


class Hooks(Section):
    """Functions of the user's own that measure something; docs/hooks.md has their signature."""

    functions: Keys = []  # MODULE.FUNCTION each
    when: list[Moment] = ["save"]
    where: Where = "training"


class Drift(Section):
    """What is measured of a checkpoint with the base beside it; docs/method.md says what each measure is."""

    measures: Keys = []  # of evaluation.drift.MEASURES; empty: none
    when: list[Moment] = ["save"]
    where: Where = "after"
    representation_items: Annotated[int, Field(ge=4)] = 100  # prompts a benchmark, and of what was trained on
    representation_as_published: bool = False  # the published way beside: padding averaged in, no template, 128 tokens
    tokens_items: Positive = 20  # first items of each benchmark whose greedy responses are compared token by token
    tokens_shifted_rank: Positive = 1  # a token is shifted where the base ranks it below this
    tokens_top: Positive = 40  # words listed by how often they are shifted, and as many by how far
    distance_prompts: Positive = 64  # first training prompts on which the distance from the base is measured
    distance_samples: Positive = 1  # responses a prompt, each model's own, at temperature 1
    distance_max_new_tokens: Annotated[int, Field(ge=0)] = 0  # of such a response; 0: data.max_completion_length
    reach_suite: str = ""  # whose sampled responses are weighed: one of `suites`; empty: the run's own suite
    reach_items: Positive = 50  # first items of each benchmark that both models have right samples of
    reach_responses: Positive = 8  # right samples of an item and model
    reach_entropy_matched: bool = False  # sample the tuned model as hot as makes its entropy the base's; it generates
    reach_matched_items: Positive = 8  # first items of each benchmark that are sampled so
    reach_matched_samples: Annotated[int, Field(ge=0)] = 0  # of each item; 0: as many as the suite's


class Compare(Section):
    """Models beside a base that they need not have been trained from here: `make compare`; docs/compare.md."""

    base: str = ""  # a model's folder or hub id, or the folder of an experiment or run, for its base
    models: Keys = []  # PATH or LABEL=PATH each: of models, or of runs and experiments, for their last checkpoints
    template: Literal["own", "base"] = "own"  # the chat template that each model is asked in: its own, or the base's


class Gate(Section):
    """What makes `make report` and `make compare` end with 5; docs/compare.md."""

    fail_if: str = ""  # NAME < POINTS or NAME > POINTS of a group or benchmark against the base, joined by , or ;
    unsure: bool = False  # fail, too, where the 95% interval has the bound in it


class Slurm(Section):
    """What sbatch is told of a job, beside machines, devices and what it waits for, which follow from the rest."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    # of each job, D-HH:MM:SS or HH:MM:SS (in quotes in a file); empty: the partition's own
    time_limit: Annotated[str, Field(pattern=r"^((\d+-)?\d+:\d\d:\d\d)?$")] = ""
    signal_seconds: Annotated[int, Field(gt=0, lt=2**16)] = (
        600  # before the time limit, when a run saves and queues itself again
    )
    cpus_per_task: Annotated[int, Field(ge=0)] = 0  # of a machine; 0: its processes' threads and reward_workers
    vllm_node: bool = False  # with rollouts.vllm_mode=server: a machine more for each run that samples, to serve vLLM
    extra: Keys = []  # further options of sbatch, one each: --exclusive
    setup: Keys = []  # lines of shell before the work of each job: module load cuda


class Hardware(Section):
    name: str = "cpu"
    device: Literal["cpu", "cuda"] = "cpu"
    # after which the runs save and the command ends with 75, to be given again: for devices lent by the minute. The
    # present step and its checkpoint still come after that. 0: none
    piece_minutes: NotNegative = 0.0
    threads: Positive = 1  # OpenMP threads a worker
    workers: Positive = 2  # arms trained side by side
    processes: Positive = 1  # of one run, a device each
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 0  # DeepSpeed's ZeRO; 0: none, and DDP where there are processes
    offload: Literal["none", "optimizer", "all"] = "none"  # what ZeRO keeps in host memory; all: parameters, too
    # products in bfloat16, over master weights in model.dtype; auto: where this machine is fast at them. The launcher
    # writes into config.yaml what it became
    mixed_precision: Literal["no", "bf16", "auto"] = "no"
    gradient_checkpointing: bool = False  # activations are computed again in the backward pass
    # local: this machine, or `hosts`; slurm: sbatch; print, print_slurm: show what these would start, and start nothing
    launcher: Literal["local", "print", "slurm", "print_slurm"] = "local"
    hosts: Keys = []  # machines of a run, started by ssh; localhost is this one. nodes, unless given, are as many
    main_process_port: Annotated[int, Field(ge=0, lt=2**16)] = 0  # where processes of several machines meet; 0: chosen
    slurm: Slurm = Slurm()
    reward_workers: Positive = 1  # processes that judge responses, beside the arm's own
    matmul_precision: Literal["highest", "high", "medium"] = "highest"  # torch.set_float32_matmul_precision
    generation_tokens: Positive = 131072  # of prompts and responses at full length that are generated at a time; memory
    # facts of the machine that `make plan` reckons with; 0: what this machine has, or unknown
    nodes: Positive = 1  # machines that the processes are spread over
    device_name: str = ""
    device_memory_gib: NotNegative = 0.0  # of each device
    host_memory_gib: NotNegative = 0.0  # of each machine
    reserved_gib: NotNegative = 1.0  # of device_memory_gib, for what is no tensor: Python or CUDA, NCCL, what fragments
    peak_tflops: NotNegative = 0.0  # of a device, dense products in the precision of the run
    memory_bandwidth_gbs: NotNegative = 0.0  # of a device's own memory, GB/s
    interconnect_gbs: NotNegative = 0.0  # from a device to the others of its machine, each way, GB/s
    network_gbs: NotNegative = 0.0  # a device's share of the network between machines, each way, GB/s
    price_per_device_hour: NotNegative = 0.0  # in any currency

    @model_validator(mode="before")
    @classmethod
    def _as_many_nodes_as_hosts(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("hosts"), list) and given["hosts"]:
            return {"nodes": len(given["hosts"]), **given}
        return given


class Plan(Section):
    """What `make plan` assumes where nothing was measured."""

    prompt_length: Annotated[int, Field(ge=0)] = 0  # tokens on average; 0: a fifth of the longest allowed
    response_length: Annotated[int, Field(ge=0)] = 0  # the same for responses
    train_utilization: Share = 0.4  # of peak_tflops, in training and scoring
    decode_utilization: Share = 0.6  # of memory_bandwidth_gbs and of peak_tflops, in sampling
    decode_layer_ms: NotNegative = (
        0.8  # a layer takes no less to write one token of every row: Python, starting kernels
    )
    link_utilization: Share = 0.7  # of interconnect_gbs and network_gbs
    targets_right: Share = 0.6  # of a teacher's responses


class Logger(Section):
    name: Literal["none", "wandb", "trackio", "tensorboard"] = "none"  # what is told the rows of metrics.jsonl
    project: str = "paribus"
    mode: Literal["auto", "offline", "online"] = "auto"  # of W&B; auto: online with a key and a network


class Hub(Section):
    """Where finished runs are uploaded, as transformers' hub_model_id and hub_private_repo; a token is read from
    HF_TOKEN or from `hf auth login`."""

    model_id: Annotated[str, Field(pattern=r"^$|^[\w.-]+/[\w.-]+$")] = ""  # OWNER/NAME, to which -ARM-seed-N is added
    private_repo: bool = True  # of repositories that are made for it


class Experiment(Section):
    """One question: which arms, which seeds, and the grid its learning rates are chosen from."""

    name: str = "embedded"
    arms: list[str] = ["sft", "grpo"]
    seeds: list[int] = [0]
    learning_rates: dict[str, float] = {}  # arm -> rate chosen by the sweep; overrides recipe.learning_rate
    sweep_rates: dict[str, list[float]] = {}  # arm -> log-spaced grid
    recipes: dict[str, dict[str, Any]] = {}  # arm -> keys of its recipe that this experiment sets
    sweep_seeds: list[int] = [100]  # seeds the report never uses
    sweep_items: Annotated[int, Field(ge=0)] = 0  # items a benchmark that the sweep scores; 0: as many as the suite
    # steps between the checkpoints that the sweep scores, for the fronts alone; 0: its last step alone
    sweep_save_steps: Annotated[int, Field(ge=0)] = 0
    sweep_test: bool = (
        False  # the sweep scores the test split, too, where fronts are then read; nothing is chosen by it
    )
    # experiment whose compared checkpoints, of the same arm and seed, its runs start from: a second task after the
    # first; empty: the base
    after: Annotated[str, Field(pattern=r"^[\w.-]*$")] = ""
    front_gains: list[float] = [1, 2, 5, 10, 20, 30, 40, 50]  # math gains, in points, at which fronts are compared
    front_within: NotNegative = 2.0  # points below its front up to which a model counts as near it; RL's Razor: 2


class Configuration(Section):
    """The whole of one run, frozen into its folder as config.yaml."""

    seed: int = 0  # of init and sampling streams of this run
    runs: Path = Path("runs")  # where run folders go
    allow_confound: Keys = []  # keys or facts in which a run may differ from its experiment; the report shows them
    experiment: Experiment
    model: Model
    data: Data
    targets: Targets = Targets()
    budget: Budget = Budget()
    train: Train
    recipe: Recipe
    rollouts: Rollouts = Rollouts()
    suite: Suite
    suites: dict[str, Suite] = {}  # further ones, scored beside it: suites=[NAME,...] takes files of conf/suite
    hooks: Hooks = Hooks()
    drift: Drift = Drift()
    compare: Compare = Compare()
    gate: Gate = Gate()
    hardware: Hardware
    plan: Plan = Plan()
    logger: Logger
    hub: Hub = Hub()

    @property
    def template_of(self) -> str:
        """The model whose chat template takes the place of this one's; empty: none does."""
        compare = self.compare
        return compare.base if compare.template == "base" and compare.base != self.model.path else ""

    @property
    def samples(self) -> bool:
        """Whether a model of this run samples responses while it trains."""
        return not (self.recipe.q == "teacher" or self.recipe.q == "base" and self.data.targets)

    @property
    def samples_with_vllm(self) -> bool:
        """Whether vLLM samples them."""
        return self.samples and self.rollouts.use_vllm

    @property
    def samples_rounded(self) -> bool:
        """Whether they come from a copy in bfloat16: autocast would round all weights anew for every token."""
        model, hardware = self.model, self.hardware
        rounds = hardware.mixed_precision == "bf16" and not hardware.zero_stage and model.dtype == "float32"
        own = self.samples and not self.samples_with_vllm and self.recipe.q != "snapshot"
        return own and rounds and not model.lora_rank and model.quantization == "none"

    @property
    def served_apart(self) -> bool:
        """Whether a Slurm job of this run has a machine more, which serves vLLM."""
        server = self.rollouts.vllm_mode == "server" and not self.rollouts.vllm_server_base_url
        return self.samples_with_vllm and server and self.hardware.slurm.vllm_node and "slurm" in self.hardware.launcher

    @property
    def imitates(self) -> bool:
        """Whether the compiled targets are among the responses."""
        return not self.samples or self.recipe.q == "policy_and_teacher" or self.recipe.teacher_steps > 0

    @property
    def total_steps(self) -> int:
        """Steps that the run takes at the most: those of its budget, and those beyond it."""
        return math.ceil(round(self.train.steps * self.budget.overrun, 6))

    @property
    def updates_per_step(self) -> int:
        """Optimizer updates a step."""
        return self.mini_batches * (1 if self.recipe.trainer == "sft" else self.recipe.num_iterations)

    @property
    def mini_batches(self) -> int:
        """Parts of a step's responses that have an update each."""
        return 1 if self.recipe.trainer == "sft" else self.recipe.num_mini_batches

    @property
    def responses_per_prompt(self) -> int:
        """Responses a prompt and step."""
        return self.recipe.num_generations if self.samples else self.data.targets_per_prompt
