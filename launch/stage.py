"""What needs a process of its own, for it loads torch or draws: `python -m launch.stage report|evaluate FOLDER`."""

from pathlib import Path

from conf import freeze
from launch import command


def main(arguments: list[str]) -> None:
    """Run one stage on a folder."""
    stage, folder = arguments
    {"report": report, "evaluate": evaluate_model}[stage](Path(folder))


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
    model, tokenizer = load_configured(configuration)
    digest = models.digest(path)
    evaluate(model, tokenizer, configuration, folder, step=0, label=path, model_digest=digest)


if __name__ == "__main__":
    command.run(main)
