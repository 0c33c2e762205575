"""What an arm minimises at each step, and its learning rate: both are other ones in the first `teacher_steps`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch.optim.lr_scheduler import LambdaLR

from conf.schema import Configuration, Recipe


class Parts(NamedTuple):
    """What a step minimises."""

    q: str
    w: str
    surrogate: str
    loss_type: str


def parts(recipe: Recipe, step: int) -> Parts:
    """Of the step after `step` finished ones: SFT's in the first `teacher_steps`, then the recipe's own."""
    if step < recipe.teacher_steps:
        return Parts("teacher", "one", "log", "dapo")
    return Parts(recipe.q, recipe.w, recipe.surrogate, recipe.loss_type)


def two_rates(scheduler: Any, configuration: Configuration) -> LambdaLR:
    """`scheduler`, of the recipe's own rate, with teacher_learning_rate in its place until the teacher's steps end."""
    recipe = configuration.recipe
    before, share = scheduler.lr_lambdas[0], recipe.teacher_learning_rate / recipe.learning_rate
    updates = recipe.teacher_steps * configuration.updates_per_step
    return LambdaLR(scheduler.optimizer, lambda update: before(update) * (share if update < updates else 1.0))


def scheduled(create: Callable[..., Any], configuration: Configuration, updates: int, optimizer: Any) -> Any:
    """The schedule of the budget's own updates, as `create` makes it, with the rate of their last one kept beyond them
    (budget.overrun): where it decays that is close to zero, and little is learned there."""
    own = configuration.train.steps * configuration.updates_per_step
    if updates <= own:
        return create(updates, optimizer)
    scheduler: Any = create(own, optimizer)
    within = scheduler.lr_lambdas[0]
    return LambdaLR(scheduler.optimizer, lambda update: within(min(update, own - 1)))
