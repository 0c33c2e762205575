"""PPO: the policy trainer with a critic's advantages for its `w`, and the critic learning beside the policy.

L = - E min(r_t A_t, clip(r_t, 1 - epsilon, 1 + epsilon_high) A_t) + vf_coef E value_loss_t + beta KL(pi || base)

A_t is the generalized advantage of a reward at the response's last token, less kl_coef times the log-ratio to the base
at every token (Schulman et al. 2017, arXiv:1707.06347; Ouyang et al. 2022, arXiv:2203.02155, eq. 2). Policy and critic
are one module with one optimizer (models/critic.py); their gradients are clipped together.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from trl.trainer.utils import disable_dropout_in_model

from models import critic
from models.adapter import adapted
from models.loading import load_configured
from train import surrogates, weights
from train.policy_trainer import Parts, PolicyTrainer
from train.responses import whole

WEIGHTS = "critic/model.safetensors"  # in a checkpoint


class PPOTrainer(PolicyTrainer):
    """The policy trainer with w = critic_advantage. `attach_critic` before anything is trained."""

    def attach_critic(self) -> None:
        """Give the policy its critic: on its own trunk, or on a copy of the base, with an adapter where it has one."""
        body = None
        if self.configuration.recipe.critic == "copy":
            spread = self.configuration.hardware.zero_stage == 3
            copy = adapted(self.configuration, load_configured(self.configuration, spread=spread)[0])
            body = bare(copy).base_model
            disable_dropout_in_model(body)
        critic.attach(bare(self.model), body)

    # --- w ------------------------------------------------------------------------------------------------------------

    def _weigh(self, output: dict[str, Any], now: Parts, rows: int) -> torch.Tensor:
        """Advantages, returns and values [rows, tokens] of a rollout; a row without a reward bears no loss."""
        rewards = self._own(self._totals(), rows)
        mask = output["completion_mask"] * output.get("tool_mask", 1) * ~rewards.isnan()[:, None]
        mask = self._masked(output, mask)
        recipe = self.configuration.recipe
        values = self._values(output) * mask
        given = self._given(output, rewards.nan_to_num(), mask)
        advantages, returns = weights.gae(given, values, mask, recipe.gamma, recipe.lam)
        self._note_fit(values, returns, advantages, mask)
        if recipe.whiten_advantages:
            advantages = self._whitened(advantages, mask)
        output |= {"advantages": advantages, "returns": returns, "values": values}
        return mask

    def _given(self, output: dict[str, Any], rewards: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Rewards a token [rows, tokens]: the response's at its last, and what drifting from the base costs."""
        last = mask.cumsum(1) == mask.sum(1, keepdim=True)
        given = rewards[:, None] * (last & mask.bool())
        coefficient = self.configuration.recipe.kl_coef
        if not coefficient:
            return given
        old = output.get("old_per_token_logps")
        with torch.no_grad():
            old = self._logps(self.model, output)[0] if old is None else old
            drift = (old - self._logps(self.copy_of("base"), output)[0]) * mask
        self._note("kl_in_reward", drift, mask)
        return given - coefficient * drift

    @torch.no_grad()
    def _values(self, output: dict[str, Any]) -> torch.Tensor:
        """The critic's, as it is now."""
        model = self.policy
        own = critic.of(model)

        def plain(ids: torch.Tensor, mask: torch.Tensor, columns: int) -> Any:
            return (before_tokens(own(input_ids=ids, attention_mask=mask), columns),)

        def packed(ids: torch.Tensor, allowed: torch.Tensor, positions: torch.Tensor, _: Any) -> Any:
            return (own(input_ids=ids, attention_mask=self._as_mask(allowed), position_ids=positions),)

        with self.phase("values"):
            if own.body is None:
                return self._seen(model, output, "all")[2]
            size = self.args.per_device_train_batch_size
            found: torch.Tensor = self._by_row(plain, packed, *whole(output), size)[0]
            return found

    def _whitened(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """With mean 0 and standard deviation 1 over the tokens of all processes."""
        (mean,), (variance,) = self._moments(mask, values)
        return (values - mean) * (variance + 1e-8).rsqrt() * mask

    def _moments(self, mask: torch.Tensor, *tensors: torch.Tensor) -> tuple[list[Any], list[Any]]:
        """(means, variances) over the tokens of all processes."""
        sums = [mask.sum()] + [(one * mask).sum(dtype=torch.float32) for one in tensors]
        count, *totals = self.accelerator.reduce(torch.stack([one.float() for one in sums]), "sum")
        means = [total / count.clamp(min=1) for total in totals]
        squares = [((one - mean) ** 2 * mask).sum() for one, mean in zip(tensors, means, strict=True)]
        return means, [one / count.clamp(min=1) for one in self.accelerator.reduce(torch.stack(squares), "sum")]

    def _note_fit(
        self, values: torch.Tensor, returns: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
    ) -> None:
        """How well the critic knew the returns before it learned from them."""
        means, variances = self._moments(mask, returns - values, returns, values, advantages)
        metrics = self._metrics["train"]
        metrics["value_error"].append((variances[0] + means[0] ** 2).sqrt().item())  # root mean square
        if variances[1] > 0:
            metrics["explained_variance"].append(1 - (variances[0] / variances[1]).item())
        for name, mean, variance in zip(("returns", "values", "advantages"), means[1:], variances[1:], strict=True):
            metrics[f"{name}/mean"].append(mean.item())
            metrics[f"{name}/std"].append(variance.sqrt().item())

    # --- s ------------------------------------------------------------------------------------------------------------

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        """The clipped surrogate and the critic's loss, each the mean that `loss_type` names."""
        recipe = self.configuration.recipe
        mask = inputs["completion_mask"] * inputs["tool_mask"]
        learns = self.finished >= recipe.value_warmup_steps
        logps, entropies, values = self._seen(model, inputs, "all" if learns else "head")
        self._compare_first(logps)
        old, advantages = inputs.get("old_per_token_logps", logps.detach()), inputs["advantages"]
        losses = -surrogates.clipped(logps, old, advantages, recipe.epsilon, recipe.epsilon_high)
        losses = losses * inputs.get("importance_sampling_ratio", 1.0)
        value, clipped = surrogates.value_loss(values, inputs["values"], inputs["returns"], recipe.cliprange_value)
        if self.beta:
            drift = inputs["ref_per_token_logps"] - logps
            losses = losses + self.beta * (drift.exp() - drift - 1)
            self._note("kl", drift.exp() - drift - 1, mask)
        ratio = surrogates.ratio(logps, old)
        low = (ratio < 1 - recipe.epsilon) & (advantages < 0)
        high = (ratio > 1 + recipe.epsilon_high) & (advantages > 0)
        told = {"entropy": entropies, "policy_loss": losses, "value_loss": value, "value_clip_ratio": clipped}
        told |= {"clip_ratio/low_mean": low, "clip_ratio/high_mean": high, "clip_ratio/region_mean": low | high}
        for name, numbers in told.items():
            self._note(name, numbers.float(), mask)
        return self._aggregated(
            learns * losses + recipe.vf_coef * value, mask, recipe.loss_type, inputs["num_items_in_batch"]
        )

    def _seen(self, model: Any, inputs: Any, mode: str) -> Any:
        """(log-probabilities, entropies, values) [rows, tokens] in one pass through policy and critic."""
        ids, attention, columns = whole(inputs)

        def plain(ids: torch.Tensor, mask: torch.Tensor, columns: int) -> Any:
            labels = ids.masked_fill(mask == 0, -100)
            labels[:, :-columns] = -100
            with self.accelerator.autocast():
                out = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True, values=mode)
            return out.log_probs[:, -columns:], out.entropy[:, -columns:], before_tokens(out["state_values"], columns)

        def packed(*rows: torch.Tensor) -> Any:
            out = self._read_packed(model, *rows, values=mode)
            return out.log_probs, out.entropy, out["state_values"]

        size = len(ids) if torch.is_grad_enabled() else self.args.per_device_train_batch_size
        return self._by_row(plain, packed, ids, attention, columns, size)

    def create_optimizer(self, model: Any = None) -> Any:
        """transformers', with a rate of its own for the critic."""
        optimizer = super().create_optimizer(model)
        theirs = {id(one) for one in critic.of(self.model if model is None else model).parameters()}
        groups = []
        for group in optimizer.param_groups:
            policy = [one for one in group["params"] if id(one) not in theirs]
            values = [one for one in group["params"] if id(one) in theirs]
            groups.append(group | {"params": policy})
            groups.append(group | {"params": values, "lr": self.configuration.recipe.value_learning_rate})
        optimizer.param_groups = [group for group in groups if group["params"]]
        return optimizer

    def _book(self, mask: torch.Tensor) -> None:
        super()._book(mask)
        self.ledger.value(self.rows, self.num_iterations, own_body=self.configuration.recipe.critic == "copy")

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The policy as any other, so that `from_pretrained` loads it; the critic beside it."""
        if state_dict is None:
            state_dict = self.policy.state_dict()
        policy, values = critic.split(state_dict)
        trained = {name for name, one in critic.of(self.policy).named_parameters() if one.requires_grad}
        super()._save(output_dir, policy)
        if self.args.should_save:
            file = Path(output_dir or str(self.args.output_dir)) / WEIGHTS
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous() for name, tensor in values.items() if name in trained}, file)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        own = critic.of(self.model if model is None else model)
        own.load_state_dict(
            load_file(Path(resume_from_checkpoint) / WEIGHTS), strict=False
        )  # frozen ones are the base's


def bare(model: Any) -> Any:
    """The model that an adapter is in, or itself."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def before_tokens(values: torch.Tensor, columns: int) -> torch.Tensor:
    """Of values at all positions, those of the states in which each response token was chosen."""
    return values[:, -columns - 1 : -1]
