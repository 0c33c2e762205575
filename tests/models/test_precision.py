"""The self-check of matrix products against products that are known to be rounded."""

import pytest
import torch

from conf.errors import UserError
from models import precision


def test_the_highest_setting_is_exact_and_checking_leaves_the_setting_alone():
    before = torch.get_float32_matmul_precision()
    assert precision.exact("highest")
    precision.exact("medium")
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("bits", [16, 13])  # of the mantissa's 24 that bfloat16 and TF32 drop
def test_products_of_rounded_numbers_are_seen_and_refused_on_a_processor_alone(monkeypatch, bits):
    multiply = torch.Tensor.__matmul__

    def rounding(a, b):
        if a.dtype != torch.float32:
            return multiply(a, b)
        return multiply(*((x.view(torch.int32) >> bits << bits).view(torch.float32) for x in (a, b)))

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounding)
    assert not precision.exact("medium")
    with pytest.raises(UserError, match="matmul_precision=highest"):
        precision.settle("medium", "cpu")
    before = torch.get_float32_matmul_precision()
    precision.settle("medium", "cuda")
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision(before)
