"""What needs a process of its own, for it loads torch or draws: `python -m launch.stage STAGE FOLDER`."""

import sys
from pathlib import Path

from conf import freeze
from conf.errors import ending


def main(arguments: list[str]) -> None:
    """Run one stage on a folder."""
    stage, folder = arguments
    work = {"report": report, "evaluate": evaluate_model, "targets": make_targets}[stage]
    code = ending(lambda: work(Path(folder)), Path(folder))
    if code:
        raise SystemExit(code)


def report(folder: Path) -> None:
    """Write the experiment's report."""
    from evaluation.report import write_report

    write_report(folder)


def evaluate_model(folder: Path) -> None:
    """Evaluate the model of folder/config.yaml into folder."""
    import models
    from evaluation.run import evaluate
    from models.loading import load_configured
    from train.worker import settle

    configuration = freeze.read(folder / "config.yaml")
    path = configuration.model.path
    settle(configuration, folder)
    model, tokenizer = load_configured(configuration, read_only=True)
    digest = models.digest(path)
    evaluate(model, tokenizer, configuration, folder, step=0, label=path, model_digest=digest)


def make_targets(folder: Path) -> None:
    """Sample and judge the responses that folder/config.yaml asks for."""
    from data.targets import make
    from evaluation.grade import check_verifiers
    from train.worker import settle

    configuration = freeze.read(folder / "config.yaml")
    settle(configuration, folder)
    check_verifiers({configuration.data.kind}, configuration.hardware.reward_workers)
    make(configuration, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
