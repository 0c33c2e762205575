"""TRL's GRPOTrainer with a recipe's w and surrogate in the places of its own, and its costs booked."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import pad
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import add_fused_lm_head, split_tensor_dict

from conf.schema import Configuration
from models import critic, scoring
from models.flops import Row
from models.loading import load_configured
from models.packing import Score, takes
from models.render import prompt_ids
from models.trimming import Plain
from train import dynamic, mismatch, responses, sharded, surrogates, weights
from train.clock import Clock
from train.drift import EXACT, K3, divergence
from train.ledger import Ledger
from train.rollouts import Sampler
from train.schedule import Parts, parts, scheduled, two_rates

SNAPSHOT = "snapshot/model.safetensors"  # in a checkpoint: the policy that responses are sampled from
BOOKED = ("generate", "reward")  # phases whose seconds stand in the ledger, too
LIGHT = "light"  # of `copies`: what samples where products are in bfloat16
PHASES = (*BOOKED, "logps", "values", "sync", "measure")


class PolicyTrainer(GRPOTrainer):
    """TRL's trainer with a recipe's parts, and with what it costs booked in the ledger."""

    configuration: Configuration
    ledger: Ledger
    clock: Clock
    examples: Sequence[responses.Row] = ()  # of this process's present step
    rows: Sequence[Row] = ()  # tokens of prompts and responses of them
    taught: Sequence[bool] = ()  # which of them are a teacher's
    copies: dict[str, Any]  # models that are not trained: base, snapshot, light
    drawn: Any = None  # a rollout that dynamic sampling has made already
    attempt = 0  # of dynamic sampling
    present: Any = None  # the micro-batch whose loss is computed
    gaps: list[torch.Tensor]  # of this step's micro-batches, between trainer and sampler
    probe: mismatch.Probe | None = None  # of the last time that the sampler was given the weights
    engine: Sampler | None = None  # vLLM, where it samples the policy's responses
    _buffered_inputs: Any = None  # TRL's: the micro-batches of the present step
    packs: bool | None = None  # whether rows of this model can be packed, once that is known

    @property
    def finished(self) -> int:
        """Steps behind."""
        return int(self.state.global_step) // self.configuration.updates_per_step

    @cached_property
    def policy(self) -> Any:
        """The model that learns, without what accelerate wraps it in, which takes it milliseconds to find."""
        return self.accelerator.unwrap_model(self.model)

    def parts(self) -> Parts:
        return parts(self.configuration.recipe, self.finished)

    # --- w ------------------------------------------------------------------------------------------------------------

    def _calculate_rewards(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Of all processes [rows, functions]; an arm that weighs nothing waits for no verdict."""
        with self.phase("reward"):
            if self.parts().w == "one":
                empty = torch.full((len(inputs), len(self.reward_funcs)), torch.nan, device=self.accelerator.device)
                self.rewards = self.accelerator.gather(empty)
            else:
                self.rewards = super()._calculate_rewards(inputs, *args, **kwargs)
        if "accuracy" in self.reward_func_names:
            scores = self.rewards[:, self.reward_func_names.index("accuracy")]
            for name, share in weights.unanimous(scores.view(-1, self.configuration.responses_per_prompt)).items():
                self._metrics["train"][f"frac_prompts_all_{name}"].append(share)
        return self.rewards

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        """TRL's, with the weights of `w` for its advantages, and rows without a weight out of the mean."""
        self.examples = inputs
        if self.configuration.recipe.dynamic_sampling:
            self.examples, self.drawn = dynamic.mixed(self, inputs)
        inputs = self.examples
        output = super()._generate_and_score_completions(inputs)
        if self.use_vllm:
            mismatch.forget_theirs(self._metrics["train"])
        now = self.parts()
        mask = self._weigh(output, now, len(inputs))
        output["taught"] = torch.tensor(self.taught, device=mask.device)
        if now.surrogate == "iw_sft":
            with torch.no_grad():
                output["base_logps"] = self._logps(self.copy_of("base"), output)[0]
        if self.configuration.train.kl_rows:
            self._measure_drift(output, mask)
        if "old_per_token_logps" in output:
            self._compare(output["old_per_token_logps"], output)
        self._book(mask)
        return output

    def _weigh(self, output: dict[str, Any], now: Parts, rows: int) -> torch.Tensor:
        """Put the weights of `w` into a rollout of so many rows; which tokens bear a loss [rows, tokens]."""
        if now.w != "group_advantage":
            grouped = self._totals().view(-1, self.configuration.responses_per_prompt)
            found = weights.of(now.w, grouped, self.configuration.recipe.scale_rewards).view(-1)
            output["advantages"] = self._own(found, rows)
        mask: torch.Tensor = output["completion_mask"] * output.get("tool_mask", 1)
        if now.w == "right":
            mask = self._masked(output, mask * (output["advantages"] > 0)[:, None])
        return mask

    def _totals(self) -> torch.Tensor:
        """The weighted sum of the rewards of all processes' rows; NaN where no function could score one."""
        unscorable = self.rewards.isnan().all(1)
        total = (self.rewards * self.reward_weights.to(self.rewards.device)).nansum(1)
        return total.masked_fill(unscorable, torch.nan)

    def _own(self, values: torch.Tensor, rows: int) -> torch.Tensor:
        """This process's part of one value a row of all processes."""
        return values[self.accelerator.process_index * rows :][:rows]

    def _masked(self, output: dict[str, Any], mask: torch.Tensor) -> torch.Tensor:
        """Have the loss bear on the tokens of `mask` alone."""
        output["tool_mask"] = mask
        output["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        return mask

    def sample(self, examples: Sequence[responses.Row], attempt: int) -> dict[str, Any]:
        """A rollout; those of another `attempt` at the same step draw otherwise."""
        self.attempt, self.examples = attempt, examples
        output: dict[str, Any] = self.rollout_func([one["prompt"] for one in examples], self)  # type: ignore[misc]
        self.attempt = 0
        return output

    # --- s ------------------------------------------------------------------------------------------------------------

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.present = inputs
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        self.present = None
        return loss

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        """TRL's for clipped ratios; otherwise the weighted surrogate, and the KL penalty as TRL estimates it."""
        now = self.parts()
        if now.surrogate == "clipped":
            return super()._compute_loss(model, inputs)
        mask = inputs["completion_mask"] * inputs.get("tool_mask", 1)
        logps, entropies = self._logps(model, inputs, compute_entropy=True)
        losses = -inputs["advantages"][:, None] * self._surrogate(now.surrogate, logps, inputs, mask)
        losses = losses * inputs.get("importance_sampling_ratio", 1.0)
        if self.beta:
            drift = inputs["ref_per_token_logps"] - logps
            kl = drift.exp() - drift - 1
            losses = losses + self.beta * kl
            self._note("kl", kl, mask)
        self._note("entropy", entropies, mask)
        return self._aggregated(losses, mask, now.loss_type, inputs["num_items_in_batch"])

    def _aggregated(self, losses: torch.Tensor, mask: torch.Tensor, loss_type: str, step_tokens: Any) -> torch.Tensor:
        """One micro-batch's share of the update's loss; an update has its share of the step's tokens, as in TRL."""
        pieces, longest = self.current_gradient_accumulation_steps, self.configuration.data.max_completion_length
        share = pieces / self.args.steps_per_generation  # type: ignore[attr-defined]
        tokens = step_tokens / self.accelerator.num_processes * share
        return surrogates.aggregate(losses, mask, loss_type, pieces, tokens, longest)

    def _surrogate(self, name: str, logps: torch.Tensor, inputs: Any, mask: torch.Tensor) -> torch.Tensor:
        recipe = self.configuration.recipe
        if name == "luffy":
            old = inputs.get("old_per_token_logps", logps.detach())
            return surrogates.luffy(logps, old, inputs["taught"], recipe.shaping_gamma)
        if name == "iw_sft":
            return surrogates.iw_sft(logps, inputs["base_logps"], mask, recipe.max_importance_weight)
        return {"log": surrogates.log, "dft": surrogates.dft}[name](logps)

    def _logps(self, model: Any, inputs: Any, **options: Any) -> tuple[torch.Tensor, Any]:
        """(log-probabilities, entropies) [rows, tokens] of the responses."""
        size = None if torch.is_grad_enabled() else self.args.per_device_train_batch_size
        found = self._get_per_token_logps_and_entropies(model, *responses.whole(inputs), batch_size=size, **options)
        return found[0], found[1]

    def _note(self, name: str, values: torch.Tensor, mask: torch.Tensor) -> None:
        """Log the mean of `values` over the tokens of all processes; nothing where there are none."""
        totals = torch.stack([(values.detach() * mask).sum(), mask.sum().to(values.dtype)])
        total, count = self.accelerator.reduce(totals, reduction="sum").tolist()
        self._metrics["train"][name].append(total / count if count else math.nan)

    def _measure_drift(self, output: Any, mask: torch.Tensor) -> None:
        """Log KL(policy || base) on the first responses of the step. A measurement, so no FLOPs of it are booked."""
        ids, attention, columns = responses.whole(output)
        ids, attention, mask = (one[: self.configuration.train.kl_rows] for one in (ids, attention, mask))
        learned = pad(mask, (ids.size(1) - columns, 0))
        with self.phase("measure"):
            found = divergence(self.policy, self.copy_of("base"), ids, attention, learned)
        for name, values in zip((EXACT, K3), found, strict=True):
            self._note(name, values, learned)

    # --- whose responses they are -------------------------------------------------------------------------------------

    def _compare(self, logps: torch.Tensor, inputs: Any) -> None:
        """Keep how far the trainer's log-probabilities before the step are from those of the sampler."""
        if "sampling_per_token_logps" in inputs:
            mask = inputs["completion_mask"] * inputs.get("tool_mask", 1)
            self.gaps.append(mismatch.gap(logps, inputs["sampling_per_token_logps"], mask))

    def _compare_first(self, logps: torch.Tensor) -> None:
        """The same from the pass that is learned from, where it is the first and no other was made before it."""
        if self.present is not None and "old_per_token_logps" not in self.present:
            self._compare(logps, self.present)

    def _tell_mismatch(self) -> None:
        """Log how far they are over the step's tokens in all processes. UserError where the sampler should have been
        the policy and was not."""
        own = mismatch.together([mismatch.NOTHING.to(self.accelerator.device), *self.gaps])
        self.gaps = []
        found = mismatch.summary(mismatch.together(self.accelerator.gather(own).view(-1, 6)))
        for name, value in found.items():
            self._metrics["train"][name].append(value)
        if self.parts().q in ("policy", "policy_and_teacher"):
            mismatch.check_step(found, self.configuration.train.mismatch_limit)

    # --- what it costs ------------------------------------------------------------------------------------------------

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """Without a gradient all rollouts are scored, for the old policy or the reference; with one, trained on."""
        if torch.is_grad_enabled():
            found = self._scored(*args, **kwargs)
            self._compare_first(found[0])
            return found
        self.ledger.score(self.rows)
        with self.phase("logps"):
            return self._scored(*args, **kwargs)

    def _scored(
        self, model: Any, ids: torch.Tensor, mask: torch.Tensor, columns: int, batch_size: int = 0, **options: Any
    ) -> Any:
        """TRL's log-probabilities, entropies and auxiliary loss, in less time where there is nothing but text."""
        entropy = options.pop("compute_entropy", False)
        if any(value is not None and value is not False for value in options.values()):
            return super()._get_per_token_logps_and_entropies(model, ids, mask, columns, batch_size, entropy, **options)
        return (*self._by_row(*self._ways(model, entropy), ids, mask, columns, batch_size or len(ids)), None)

    def _ways(self, model: Any, entropy: bool) -> tuple[Plain, Score]:
        """Log-probabilities and entropies of rows as TRL computes them, and of packed rows."""
        stock = super()._get_per_token_logps_and_entropies

        def plain(ids: torch.Tensor, mask: torch.Tensor, columns: int) -> Any:
            return stock(model, ids, mask, columns, compute_entropy=entropy)[:2]

        def packed(*rows: torch.Tensor) -> Any:
            out = self._read_packed(model, *rows)
            return out.log_probs, out.entropy if entropy else None

        return plain, packed

    def _by_row(self, plain: Plain, packed: Score, ids: Any, mask: Any, columns: int, rows_at_a_time: int) -> Any:
        """What `plain` gives, by way of `packed` where the policy can be read so and that is cheaper."""
        sizes = self.policy.config.get_text_config()
        if self.packs is None:
            ways = self._ways(self.model, False)
            where, rounded = self.accelerator.device, bool(self.args.bf16)
            self.packs = takes(self.policy) and scoring.agree(*ways, sizes.vocab_size, where, rounded)
        score = packed if self.packs else None
        return scoring.scored(plain, score, sizes.hidden_size, ids, mask, columns, rows_at_a_time)

    def _read_packed(
        self,
        model: Any,
        ids: torch.Tensor,
        allowed: torch.Tensor,
        positions: torch.Tensor,
        labels: torch.Tensor,
        **more: Any,
    ) -> Any:
        """The model's output on rows that hold several responses (models/packing.py)."""
        attention = self._as_mask(allowed)
        with self.accelerator.autocast():
            return model(
                input_ids=ids,
                attention_mask=attention,
                position_ids=positions,
                shift_labels=labels,
                fused_lm_head=True,
                **more,
            )

    def _as_mask(self, allowed: torch.Tensor) -> torch.Tensor:
        """The mask as the policy's attention takes it: what is added to scores, where it is written out."""
        if self.policy.config.get_text_config()._attn_implementation != "eager":
            return allowed
        zeros = torch.zeros_like(allowed, dtype=self.policy.dtype)
        return zeros.masked_fill(~allowed, torch.finfo(self.policy.dtype).min)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """TRL's, but rows stay where they are, a group's side by side: TRL shuffles them over the micro-batches. Where
        every update is of all rows, and no row weighs by its micro-batch, that changes nothing but the rounding."""
        args: Any = self.args
        pieces = args.steps_per_generation
        whole = pieces == args.gradient_accumulation_steps and self.loss_type != "bnpo"
        if not (self.policy.training and whole):
            return super()._prepare_inputs(generation_batch)
        if self._step % (pieces * self.num_iterations) == 0 or self._buffered_inputs is None:
            self._buffered_inputs = split_tensor_dict(self._generate_and_score_completions(generation_batch), pieces)
        return self._buffered_inputs[self._step % pieces]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the seconds inside as seconds/`name` of the step, and in the ledger what it has a column for."""
        with self.ledger.timed(f"seconds_{name}") if name in BOOKED else nullcontext(), self.clock.phase(name):
            yield

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        self.clock.start()
        loss = super().training_step(*args, **kwargs)
        if self.configuration.samples and self._step % self.current_gradient_accumulation_steps == 0:
            self._tell_mismatch()
        return loss

    def log(self, *args: Any, **kwargs: Any) -> None:
        """TRL's, with the seconds that each phase of the step took."""
        for name, took in self.clock.tell().items():
            self._metrics["train"][name].append(took)
        super().log(*args, **kwargs)

    def _book(self, mask: torch.Tensor) -> None:
        """The step's responses, and the training on them that follows; `mask` is on the tokens that bear a loss."""
        train, first = self.configuration.train, self.accelerator.is_main_process
        shown = [row for row in self.rows if row[1]]
        self.ledger.show(train.prompts_per_step if first else 0, shown)
        self.ledger.train(self.rows, passes=self.num_iterations, learned=int(mask.sum()))
        learns = self.accelerator.gather(mask.sum(1)).view(-1, self.configuration.responses_per_prompt).any(1)
        self._metrics["train"]["frac_prompts_without_loss"].append(1 - learns.float().mean().item())

    # --- the model that is not trained --------------------------------------------------------------------------------

    def copy_of(self, name: str) -> Any:
        """The `base` as it was, or the `snapshot`: the policy of the last multiple of `resample_steps`."""
        if name not in self.copies:
            copy = load_configured(self.configuration)[0]
            add_fused_lm_head(copy, temperature=self.temperature)
            self.copies[name] = sharded.frozen(copy, self.accelerator, self.configuration.hardware.zero_stage)
        return self.copies[name]

    @contextmanager
    def sampler(self, q: str) -> Iterator[Any]:
        """The model that samples this step's responses, whole in every process as long as the context lasts."""
        if self.configuration.samples_rounded:
            yield self._light(q)
            return
        fresh, model = q not in self.copies, self.model_wrapped
        if q not in ("policy", "policy_and_teacher"):
            model = self.copy_of(q)
        if q == "snapshot" and (fresh or self.finished % self.configuration.recipe.resample_steps == 0):
            text, limit = prompt_ids(self.processing_class, mismatch.PROBE), self.configuration.train.mismatch_limit
            with self.phase("sync"):
                self.probe = mismatch.give_weights(self.policy, model, text, self.probe, limit)
        if self.engine:
            with self.phase("sync"):
                self.engine.give(self.policy if model is self.model_wrapped else model, q)
            yield self.engine.engine
            self.engine.rest()
            return
        if not (self.is_deepspeed_enabled or self.args.gradient_checkpointing):
            yield self.policy if model is self.model_wrapped else model
            return
        kwargs: Any = self.args.gradient_checkpointing_kwargs
        with unwrap_model_for_generation(model, self.accelerator, gradient_checkpointing_kwargs=kwargs) as found:
            yield found

    def _light(self, q: str) -> Any:
        """The base, or the policy as it is now, in bfloat16."""
        if LIGHT not in self.copies:
            self.copies[LIGHT] = load_configured(self.configuration, read_only=True)[0].requires_grad_(False)
        if q != "base":
            with self.phase("sync"):
                self.copies[LIGHT].load_state_dict(critic.split(self.policy.state_dict())[0])
        return self.copies[LIGHT]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if "snapshot" in self.copies:
            file = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}" / SNAPSHOT
            sharded.save(self.copies["snapshot"], file, write=self.args.should_save)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Where weights are loaded otherwise under DeepSpeed, this is called all the same."""
        super()._load_optimizer_and_scheduler(checkpoint)
        file = Path(checkpoint or "") / SNAPSHOT
        if file.is_file():
            sharded.load(self.copy_of("snapshot"), file)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """TRL's, with a rate of its own for the first `teacher_steps`."""
        create = super().create_scheduler
        self.lr_scheduler = scheduler = scheduled(create, self.configuration, num_training_steps, optimizer)
        if self.configuration.recipe.teacher_steps:
            self.lr_scheduler = scheduler = two_rates(scheduler, self.configuration)
        return scheduler
