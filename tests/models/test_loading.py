"""What is trained keeps its precision and waits in host memory for ZeRO; what is only read has the engine's."""

import torch

from launch.compose import compose
from models.loading import load_configured, read_dtype


def test_under_zero_a_model_that_is_read_is_as_the_engine_has_it():
    plain = compose([])
    sharded = compose(["hardware=gpu8"])
    hardware = sharded.hardware.model_copy(update={"device": "cpu"})
    sharded = sharded.model_copy(update={"hardware": hardware})
    assert (read_dtype(plain), read_dtype(sharded)) == ("float32", "bfloat16")
    assert load_configured(plain)[0].dtype == torch.float32
    assert load_configured(sharded)[0].dtype == torch.bfloat16
    trained = load_configured(sharded, trained=True)[0]
    assert trained.dtype == torch.float32 and trained.device.type == "cpu"
