"""Upload finished runs to the hub: `python -m launch.push experiment=embedded hub.model_id=OWNER/NAME`.

Each run's last checkpoint within its budget, without what only a run going on needs, goes into OWNER/NAME-ARM-seed-N,
its card with it.
The token is the environment's or `hf auth login`'s; it is in no file and in no message.
"""

import re
import sys
from pathlib import Path

from conf import freeze
from conf.errors import UserError
from conf.files import read_json, write_json
from conf.schema import Configuration
from launch import command, folders
from launch.compose import compose
from models import seal
from models.folder import check_sealed
from train import card, checkpoints, ledger

FILE = "pushed.json"  # in a run's folder: what the hub has of it


def main(arguments: list[str]) -> None:
    """Upload every finished run of the experiment; what the hub has already is left. UserError where one fails."""
    configuration = compose(arguments)
    experiment = folders.experiment_folder(configuration)
    runs = [run for run in sorted(experiment.glob("arms/*/seed-*")) if folders.done(run)]
    if not configuration.hub.model_id:
        why = "there is no repository to upload to"
        raise UserError("hub.model_id=", why, "set hub.model_id=OWNER/NAME; ARM and seed are added to it")
    if not runs:
        change = f"`python -m launch.pair experiment={configuration.experiment.name}` first"
        raise UserError(f"{experiment}", "no run there is finished", change)
    for run in runs:
        print(f"{run.parent.name}/{run.name}: {upload(configuration, run)}", flush=True)


def after_training(configurations: list[Configuration]) -> None:
    """Upload the finished runs among `configurations` that ask for it. What fails is told, and the command goes on."""
    for configuration in configurations:
        run = folders.run_folder(configuration)
        if not configuration.hub.model_id or not folders.done(run):
            continue
        try:
            print(f"{run.parent.name}/{run.name}: {upload(configuration, run)}", flush=True)
        except UserError as error:
            print(f"not uploaded: {error}", file=sys.stderr, flush=True)


def repository(configuration: Configuration, run: Path) -> str:
    """OWNER/NAME-ARM-seed-N, what a name on the hub may not have exchanged for a dash."""
    return configuration.hub.model_id + re.sub(r"[^\w.-]+", "-", f"-{run.parent.name}-{run.name}")


def upload(configuration: Configuration, run: Path) -> str:
    """The address of the run's last checkpoint on the hub, where it is afterwards. UserError where that failed."""
    last, saved = ledger.compared(run, freeze.read(run / "config.yaml")), sorted((run / "checkpoints").glob("step-*"))
    checkpoint = [path for path in saved if checkpoints.step_of(path) <= last][-1]
    check_sealed(checkpoint)
    card.write(run, checkpoints.step_of(checkpoint))
    names = [*seal.of_model(checkpoint), *(name for name in seal.LATER if (checkpoint / name).is_file())]
    name = repository(configuration, run)
    now = {"repository": name, "files": seal.digests(checkpoint, names)}
    before = read_json(run / FILE) if (run / FILE).is_file() else {}
    if now | {"url": before.get("url")} != before:
        write_json(run / FILE, now | {"url": _sent(configuration, checkpoint, names, name)})
    return str(read_json(run / FILE)["url"])


def _sent(configuration: Configuration, checkpoint: Path, names: list[str], name: str) -> str:
    """Make the repository where it is missing, and one commit of the files."""
    from httpx2 import HTTPError  # what huggingface_hub speaks with the network through
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    hub, api = configuration.hub, HfApi()
    words = f"{checkpoint.parent.parent.parent.name}, {checkpoint.parent.parent.name}, {checkpoint.name}"
    try:
        api.create_repo(name, private=hub.private_repo, exist_ok=True)
        made = api.upload_folder(repo_id=name, folder_path=checkpoint, allow_patterns=names, commit_message=words)
    except (
        HTTPError,
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # of the network, of what the hub refuses, of a cut upload
        refused = isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403)
        said = " ".join(str(error).split())[:300] or type(error).__name__
        change = "`hf auth login` with a token that may write there" if refused else "look at the network and the name"
        again = f"`python -m launch.push experiment={configuration.experiment.name} hub.model_id={hub.model_id}`"
        raise UserError(f"hub.model_id={hub.model_id}: {name}", said, f"{change}, then {again}") from None
    return str(made.commit_url)


if __name__ == "__main__":
    command.run(main, __doc__)
