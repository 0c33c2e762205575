"""`python -m train.prepare RUNS/EXPERIMENT/config.yaml`: compile the data, write the lock, evaluate the base."""

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from conf import freeze
from conf.errors import ending
from conf.files import write_json
from train.worker import settle

PACKAGES = ("torch", "transformers", "trl", "datasets", "tokenizers", "math-verify")


def prepare(file: Path) -> None:
    """Compile, lock, evaluate the base; each is kept where it is done and still valid."""
    configuration = freeze.read(file)
    settle(configuration, file.parent)
    from data.compile import compile_dataset
    from evaluation.run import evaluate
    from models import digest
    from models.loading import load_configured

    folder = file.parent
    manifest = compile_dataset(configuration, folder / "data")
    weights = digest(configuration.model.path)
    write_json(folder / "lock.json", lock(configuration, manifest, weights))
    model, tokenizer = load_configured(configuration)
    evaluate(model, tokenizer, configuration, folder / "base" / "evaluation", 0, "base", model_digest=weights)
    freeze.mark(folder, "prepared.json")


def lock(configuration: Any, manifest: dict[str, Any], base: str) -> dict[str, Any]:
    """Digests and settings that every arm must share."""
    return {
        "base": base,
        "data": manifest["digests"],
        "model": configuration.model.model_dump(mode="json"),
        "train": configuration.train.model_dump(mode="json"),
        "suite": configuration.suite.model_dump(mode="json", exclude={"batch_size"}),
        "packages": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
    }


def main() -> int:
    file = Path(sys.argv[1])
    return ending(lambda: prepare(file), file.parent)


if __name__ == "__main__":
    sys.exit(main())
