"""What needs a process of its own, for it loads torch or draws: `python -m launch.stage STAGE FOLDER`."""

import sys
from pathlib import Path

from conf import freeze
from conf.errors import ending


def main(arguments: list[str]) -> None:
    """Run one stage on a folder."""
    stage, folder = arguments
    stages = {"report": report, "evaluate": evaluate_model, "targets": make_targets}
    work = (stages | {"begin": begin, "check": check, "failed": failed})[stage]
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


def begin(folder: Path) -> None:
    """Note that the run in folder, or the experiment, begins on this machine."""
    from launch.folders import begin

    begin(folder)


def check(folder: Path) -> None:
    """Refuse a run of the experiment in folder that has nothing to imitate."""
    from launch.folders import check_targets

    check_targets(folder, [freeze.read(path) for path in sorted(folder.glob("arms/*/seed-*/config.yaml"))])


def failed(folder: Path) -> None:
    """Say which process of the run in folder failed first, where that is known."""
    from launch.ranks import first_failure

    log = folder / "worker.log"
    first = first_failure(folder, log.read_text(errors="replace")[-20_000:] if log.exists() else "")
    print(f"error: {first[1]}" if first else f"error: the run failed; see {log}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
