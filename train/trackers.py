"""Mirrors of a run: W&B, trackio, TensorBoard, told what the run's files say. The files are the record.

Nothing is computed here, so values are equal; a tracker that fails is named once and left, and training goes on.
"""

import netrc
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from conf import freeze
from conf.files import read_json, write_json
from conf.schema import Configuration
from train import processes

FILE = "tracker.json"  # in a run's folder: the id of its W&B run
WANDB_HOST = "https://api.wandb.ai"
PATIENCE = 5.0  # seconds to wait for the host's first answer
FINISH = 120.0  # seconds at the end of a run for what was not sent yet; `wandb sync` sends the rest
KINDS_OF_SCORES = {  # as a tracker names them -> where they stand in scores.json
    "greedy": ("greedy",),
    "sampled": ("sampled",),
    "aware": ("modes", "aware", "greedy"),
    "likelihood": ("likelihood", "acc_norm"),
}

Values = dict[str, Any]


class Tracker(NamedTuple):
    """One library's three calls."""

    log: Callable[[Values, int], None]  # numbers of a step
    note: Callable[[Values], None]  # what the run has come to
    close: Callable[[], None]


class Mirror:
    """What tells a tracker. Without one it tells nobody."""

    def __init__(self, folder: Path, tracker: Tracker | None = None) -> None:
        self.folder, self.tracker = folder, tracker
        self.told: set[Path] = set()  # files of scores

    def step(self, step: int, metrics: Values, entry: Values) -> None:
        """The rows of metrics.jsonl and, below `ledger/`, of ledger.jsonl; scores that have appeared before them."""
        if self.tracker:
            self.scores()
            costs = {f"ledger/{key}": value for key, value in entry.items() if key != "step"}
            self._tell(self.tracker.log, metrics | _numbers(costs), step)

    def scores(self) -> None:
        """Every scores.json of the run that was not told yet, at its checkpoint's step."""
        for path in sorted(self.folder.glob("evaluation/step-*/**/scores.json")):
            if self.tracker and path not in self.told:
                self.told.add(path)
                step, found = of_scores(path, self.folder / "evaluation")
                self._tell(self.tracker.log, found, step)
                if self.tracker:
                    self._tell(self.tracker.note, found)

    def close(self) -> None:
        """Tell the last scores and end."""
        self.scores()
        if self.tracker:
            self._tell(self.tracker.close)
        self.tracker = None

    def _tell(self, call: Callable[..., Any], *given: Any) -> Any:
        try:
            return call(*given)
        except Exception as error:  # whatever a tracker raises, nothing of the run hangs on it
            self.tracker = None
            print(f"the tracker failed and is told no more; the files have everything: {_line(error)}", flush=True)
            return None


def opened(configuration: Configuration, folder: Path, resumed_at: int) -> Mirror:
    """The mirror of the run in `folder`, which goes on after step `resumed_at`; in one process alone."""
    begin = {"wandb": _wandb, "trackio": _trackio, "tensorboard": _tensorboard}.get(configuration.logger.name)
    mirror = Mirror(folder)
    if begin is None or processes.rank() != 0:
        return mirror
    mirror.tracker = mirror._tell(begin, configuration, folder, resumed_at)
    mirror.told = {path for path in folder.glob("evaluation/step-*/**/scores.json") if resumed_at}
    base = folder.parents[2] / "base" / "evaluation" / "scores.json"
    if mirror.tracker and base.is_file():
        mirror._tell(mirror.tracker.note, {f"base/{key}": value for key, value in of_scores(base)[1].items()})
    return mirror


@contextmanager
def late(configuration: Configuration, folder: Path) -> Iterator[None]:
    """Tell the scores that appear within, of a run that has trained; nothing for an experiment's folder."""
    steps = [int(one.name.removeprefix("step-")) for one in folder.glob("checkpoints/step-*")]
    mirror = opened(configuration, folder, max(steps)) if steps else Mirror(folder)
    try:
        yield
    finally:
        mirror.close()


def about(configuration: Configuration, folder: Path) -> Values:
    """What a run's page says of it: its arm, the digest of what it shares with the others, its configuration."""
    lock = folder.parents[2] / "lock.json"
    shared = {"arm": configuration.recipe.name, "lock": freeze.digest(lock) if lock.is_file() else ""}
    return shared | configuration.model_dump(mode="json")


def of_scores(path: Path, root: Path | None = None) -> tuple[int, Values]:
    """The checkpoint's step, and the scores of every group and benchmark in a scores.json: scores/<name>/<kind>, of the
    kinds greedy, sampled, aware (greedy, any clear statement) and likelihood (a character).

    Below `root`/step-*, what lies in a folder of its own is told under that folder's name.
    """
    scores = read_json(path)
    inner = path.parent.relative_to(root).parts[1:] if root else ()
    head = "/".join(("scores", *inner))
    named = {**scores["benchmarks"], **scores["groups"]}
    found = {
        f"{head}/{name}/{kind}": _percent(one, *keys)
        for name, one in named.items()
        for kind, keys in KINDS_OF_SCORES.items()
    }
    return int(scores["step"]), _numbers(found)


def _percent(cell: Any, *keys: str) -> Any:
    """What stands below `keys`: a benchmark has a score with its interval there, a group the bare number."""
    for key in keys:
        cell = (cell or {}).get(key)
    return cell.get("score") if isinstance(cell, dict) else cell


def settle(configuration: Configuration) -> None:
    """Before a tracker's library is imported by any other: where trackio keeps an experiment's runs."""
    if configuration.logger.name == "trackio":
        folder = configuration.runs / configuration.experiment.name / "trackio"
        os.environ.setdefault("TRACKIO_DIR", str(folder.resolve()))


# --- TensorBoard and trackio ------------------------------------------------------------------------------------------


def _tensorboard(configuration: Configuration, folder: Path, resumed_at: int) -> Tracker:
    """Event files in the run's folder; what was written after the step it goes on from is purged."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_at + 1 if resumed_at else None)

    def log(values: Values, step: int) -> None:
        for key, value in values.items():
            writer.add_scalar(key, value, step)
        writer.flush()

    def note(values: Values) -> None:
        writer.add_text("scores", _table(values), resumed_at)

    writer.add_text("about", _table(freeze.flatten(about(configuration, folder))), resumed_at)
    return Tracker(log, note, writer.close)


def _trackio(configuration: Configuration, folder: Path, resumed_at: int) -> Tracker:
    """A local database of the experiment, shown by `trackio show`; it takes no network."""
    import trackio

    run = trackio.init(
        configuration.logger.project,
        name=_name(configuration),
        group=configuration.experiment.name,
        config=about(configuration, folder),
        resume="allow",
        embed=False,
        auto_log_cpu=False,
        auto_log_gpu=False,
    )
    return Tracker(run.log, lambda values: run.log(values, step=resumed_at), trackio.finish)


# --- W&B --------------------------------------------------------------------------------------------------------------


def _wandb(configuration: Configuration, folder: Path, resumed_at: int) -> Tracker:
    """The run's one W&B run, gone on with by its stored id. Steps that it has already are not told again."""
    import wandb

    run = _begin_wandb(
        wandb,
        _mode(configuration.logger.mode),
        project=configuration.logger.project,
        name=_name(configuration),
        group=configuration.experiment.name,
        job_type=configuration.recipe.name,
        id=_stored_id(folder),
        resume="allow",
        dir=str(folder),
        config=about(configuration, folder),
        settings=wandb.Settings(console="off", silent=True, disable_git=True, finish_timeout=FINISH),
    )

    def log(values: Values, step: int) -> None:
        if step >= run.step:
            run.log(values, step=step)

    return Tracker(log, run.summary.update, run.finish)


def _begin_wandb(wandb: Any, mode: str, **given: Any) -> Any:
    """wandb.init; offline where the host refuses or does not answer."""
    try:
        return wandb.init(mode=mode, **given)
    except wandb.Error as error:
        if mode == "offline":
            raise
        _say_offline(_line(error))
        return wandb.init(mode="offline", **given)


def _mode(wanted: str) -> str:
    """`auto` as `online` where there is a key and the host answers, else as `offline`."""
    wanted = os.environ.get("WANDB_MODE", "auto") if wanted == "auto" else wanted
    if wanted != "auto":
        return wanted
    host = _host()
    lacking = "" if has_key() else "there is no key (WANDB_API_KEY, or `wandb login`)"
    lacking = lacking or ("" if _answers(host) else f"{host} does not answer")
    if lacking:
        _say_offline(lacking)
    return "offline" if lacking else "online"


def _say_offline(why: str) -> None:
    print(f"W&B: kept offline, for {why}; later `wandb sync RUN_FOLDER/wandb/offline-run-*` sends it", flush=True)


def has_key() -> bool:
    """Whether a key for W&B's host stands in the environment or in netrc; it is not read further."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    files = [os.environ.get("NETRC"), Path.home() / ".netrc", Path.home() / "_netrc"]
    try:
        known = [netrc.netrc(str(file)) for file in files if file and Path(file).is_file()]
    except (netrc.NetrcParseError, OSError):
        return False
    return any(one.authenticators(urlsplit(_host()).hostname or "") for one in known)


def _host() -> str:
    return os.environ.get("WANDB_BASE_URL", WANDB_HOST)


def _answers(host: str) -> bool:
    try:
        urllib.request.urlopen(host, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _stored_id(folder: Path) -> str:
    """The id of the folder's W&B run, made where there is none; no number of the run depends on it."""
    path = folder / FILE
    if not path.is_file():
        write_json(path, {"wandb": uuid.uuid4().hex[:12]})
    return str(read_json(path)["wandb"])


# --- names and numbers ------------------------------------------------------------------------------------------------


def _name(configuration: Configuration) -> str:
    return f"{configuration.experiment.name}-{configuration.recipe.name}-{configuration.seed}"


def _numbers(values: Values) -> Values:
    return {key: value for key, value in values.items() if isinstance(value, int | float)}


def _table(values: Values) -> str:
    """Markdown, one row a key."""
    return "\n".join(["| key | value |", "|---|---|", *(f"| {key} | {value} |" for key, value in values.items())])


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:300]
