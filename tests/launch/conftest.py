"""A folder that passes for a base, and configurations that use it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from conf.schema import Configuration
from launch.compose import compose


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model folder with the files that make one whole; no model is in it."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    save_file({"weight": np.zeros(4, np.float32)}, folder / "model.safetensors")
    return folder


@pytest.fixture
def make(base: Path, tmp_path: Path) -> Callable[..., Configuration]:
    """A configuration on that base, its runs in a temporary folder."""

    def build(*overrides: str) -> Configuration:
        return compose([f"model.path={base}", f"runs={tmp_path / 'runs'}", *overrides])

    return build
