"""Whether matrix products are as exact as float32 has them, which on a processor only the processor knows."""

import torch

from conf.errors import UserError

SIZE, INNER = 64, 1024  # of the products tried
ALLOWED = 1e-5  # error by the product of norms: float32 has 1e-7 here, TF32 and bfloat16 1e-4 and more


def exact(setting: str) -> bool:
    """Whether torch.set_float32_matmul_precision(setting) keeps float32's precision on this processor."""
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(SIZE, INNER, generator=rng), torch.randn(INNER, SIZE, generator=rng)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(setting)
    error = (a @ b).double() - a.double() @ b.double()
    torch.set_float32_matmul_precision(before)
    norms = a.double().norm(dim=1, keepdim=True) * b.double().norm(dim=0, keepdim=True)
    return bool((error.abs() / norms).max() < ALLOWED)


def settle(setting: str, device: str) -> None:
    """Set it; UserError where the products on a processor would lose precision (on a GPU that is what is asked)."""
    if device == "cpu" and not exact(setting):
        given, why = f"hardware.matmul_precision={setting}", "this processor rounds the products to bfloat16"
        raise UserError(given, why, "set hardware.matmul_precision=highest")
    torch.set_float32_matmul_precision(setting)
