"""What it will take, said before it starts: seconds, at speeds measured on one core, and what a step spends."""

from dataclasses import dataclass
from pathlib import Path

from conf.schema import Configuration, Suite
from data import suite as suites
from launch import drifting
from models import flops
from models.flops import Shape

# One core, fp32, a model of 0.85M parameters; a larger one is slower in proportion. See docs/results.md.
GENERATED_PER_SECOND = 12_000.0
TRAINED_PER_SECOND = 25_000.0
MEASURED_BYTES = 3.4e6
USUAL_LENGTH = 0.2  # of the longest response allowed
START_SECONDS = 12.0  # imports, loading

# stands in where a model's sizes are unknown: two operations a token, so that work is counted in tokens
UNKNOWN = Shape(
    hidden_size=1, layers=1, heads=0, kv_heads=0, head_dim=0, intermediate_size=1, mlp_matrices=1, vocab_size=0
)


@dataclass(frozen=True)
class Step:
    """What one step is expected to spend."""

    completions: int
    trained_tokens: int
    generate: int  # FLOPs
    train: int  # FLOPs, scoring included

    @property
    def flops(self) -> int:
        return self.generate + self.train


def usual_lengths(configuration: Configuration) -> tuple[int, int]:
    """Tokens that a prompt and a response usually have, under the longest allowed."""
    data = configuration.data
    return round(data.max_prompt_length * USUAL_LENGTH), round(data.max_completion_length * USUAL_LENGTH)


def step(configuration: Configuration, prompt: int, response: int) -> Step:
    """One step at prompts and responses of so many tokens."""
    recipe, prompts = configuration.recipe, configuration.train.prompts_per_step
    shape = flops.read(configuration.model.path, configuration.model.lora_rank) or UNKNOWN
    samples = configuration.responses_per_prompt
    passes = recipe.num_iterations if recipe.trainer == "policy" else 1
    # of the old policy and of the reference
    scorings = (configuration.updates_per_step > 1) + (recipe.beta > 0) + (recipe.kl_coef > 0)
    count, rows = prompts * samples, [(prompt, response)]
    recomputed = configuration.hardware.gradient_checkpointing
    train = passes * flops.train(shape, rows, recomputed) + scorings * flops.score(shape, rows)
    if recipe.w == "critic_advantage":  # its values are read once and learned `passes` times
        critic = flops.headless(shape)
        train += flops.score(critic, rows) + passes * (recipe.critic == "copy") * flops.train(critic, rows, recomputed)
    generate = 0
    if configuration.samples:
        generate = prompts * flops.forward(shape, prompt, 1) + count * flops.decode(shape, prompt, response - 1)
    return Step(count, count * passes * response, generate, count * train)


def seconds(configuration: Configuration) -> float | None:
    """Seconds that one run takes, evaluations included; None where nothing was measured (a GPU, a hub model)."""
    slower = _slower(configuration)
    if slower is None:
        return None
    train, data, recipe = configuration.train, configuration.data, configuration.recipe
    prompts = configuration.total_steps * train.prompts_per_step
    rows = prompts * configuration.responses_per_prompt
    length = data.max_completion_length * USUAL_LENGTH
    generated = rows * length if configuration.samples else 0.0
    critic = 1 + (recipe.w == "critic_advantage" and recipe.critic == "copy")
    trained = rows * (length + data.max_prompt_length * USUAL_LENGTH) * recipe.num_iterations * critic
    work = (generated / GENERATED_PER_SECOND + trained / TRAINED_PER_SECOND) / configuration.hardware.processes
    evaluating = sum(
        times * (evaluation_seconds(configuration, suite) or 0.0) for suite, times in scored(configuration)
    )
    return START_SECONDS + slower * work + evaluating + slower * _drifting(configuration)


def _drifting(configuration: Configuration) -> float:
    """Seconds that measuring drift takes a model whose speeds were measured; reading is a third of training."""
    usual = usual_lengths(configuration)
    asked = drifting.work(configuration, (usual[0], round(configuration.suite.max_new_tokens * USUAL_LENGTH)), usual)
    read, written = (sum(rows * sum(sizes) for rows, sizes in texts) for texts in asked)
    once = read / (3 * TRAINED_PER_SECOND) + written / GENERATED_PER_SECOND
    return drifting.checkpoints(configuration) * once


def scored(configuration: Configuration) -> list[tuple[Suite, int]]:
    """Every suite, and at how many checkpoints of a run it is scored."""
    train = configuration.train
    saves = -(-configuration.total_steps // train.save_steps)
    every = [configuration.suite, *configuration.suites.values()]
    return [(one, saves if "save" in one.when else int("end" in one.when)) for one in every]


def scored_at_base(configuration: Configuration) -> list[Suite]:
    """The suites that the base is scored on."""
    return [one for one in (configuration.suite, *configuration.suites.values()) if "base" in one.when]


def responses(suite: Suite) -> int:
    """Of one evaluation: a greedy one and the sampled ones of every item."""
    return suites.responses(suite)


def evaluation_seconds(configuration: Configuration, suite: Suite) -> float | None:
    """Seconds that one evaluation takes; None as for `seconds`."""
    slower = _slower(configuration)
    if slower is None:
        return None
    tokens = responses(suite) * suite.max_new_tokens * USUAL_LENGTH
    return slower * tokens / GENERATED_PER_SECOND / configuration.hardware.processes


def total(todo: list[Configuration], prepare: bool) -> float | None:
    """Seconds for all of `todo` through the pool, and for preparing the experiment before them."""
    if not todo:
        return 0.0
    times = [seconds(configuration) for configuration in todo]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return None
    workers = min(todo[0].hardware.workers, len(todo))
    base = [evaluation_seconds(todo[0], suite) or 0.0 for suite in scored_at_base(todo[0])]
    first = START_SECONDS + sum(base) if prepare else 0.0
    return first + max(sum(known) / workers, max(known))


def words(duration: float | None) -> str:
    """A duration for people."""
    if duration is None:
        return "unknown here: the first steps will tell"
    return f"about {duration:.0f} s" if duration < 90 else f"about {duration / 60:.0f} min"


def _slower(configuration: Configuration) -> float | None:
    """How many times slower this model is than the one measured."""
    folder = Path(configuration.model.path)
    if configuration.hardware.device != "cpu" or not folder.is_dir():
        return None
    return max(0.5, sum(file.stat().st_size for file in folder.glob("*.safetensors")) / MEASURED_BYTES)
