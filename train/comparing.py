"""What is measured of a model that was not trained here with a base beside it: one process a model, both in memory."""

from pathlib import Path
from typing import Any

from conf import freeze
from conf.files import read_json, write_json
from conf.schema import Configuration
from evaluation.drift import OF_WEIGHTS
from train.measuring import FAILED, RESULT, Measurement, Place
from train.measuring import measure as make

FILE = "tokenizer.json"  # in models/<label>: how its tokenizer is beside the base's


def measure(folder: Path, label: str) -> None:
    """Every measure of drift in `drift.measures` that has no result; what cannot be made of two models that write other
    tokens is refused by name."""
    from models.loading import load_configured, tokenizer_of

    own = freeze.read(folder / "models" / label / "evaluation" / "config.yaml")
    base = freeze.read(folder / "base" / "evaluation" / "config.yaml")
    place = Place(folder / "models" / label / "evaluation", 1, True, label, Path(own.model.path))
    tokenizers = tokenizer_of(base), tokenizer_of(own)
    about = beside(*tokenizers)
    write_json(folder / "models" / label / FILE, about)
    asked = [Measurement("drift", name, (), "after") for name in own.drift.measures]
    todo = [one for one in asked if not (place.of(one) / RESULT).is_file()]
    refused = [one for one in todo if not about["same_vocabulary"] and one.name not in OF_WEIGHTS]
    for one in refused:
        _refuse(place, one, str(about["why"]))
    rest = [one for one in todo if one not in refused]
    if rest:
        make(_with_drift(base, own), place, rest, lambda: load_configured(own, read_only=True)[0], tokenizers[1])


def beside(base: Any, own: Any) -> dict[str, Any]:
    """{same_vocabulary, same_template, why}: whether a token id is the same text in both, and a prompt the same ids."""
    left, right = base.get_vocab(), own.get_vocab()
    shared = sum(right.get(token) == number for token, number in left.items())
    same = left == right
    why = f"its vocabulary has {len(right)} tokens, the base's {len(left)}, and {shared} are the same in both"
    template = base.chat_template == own.chat_template
    return {"same_vocabulary": same, "same_template": template, "why": "" if same else why}


def told(folder: Path, label: str) -> dict[str, Any]:
    """What `measure` found of the tokenizer; empty where it was not looked at."""
    path = folder / "models" / label / FILE
    return dict(read_json(path)) if path.is_file() else {}


def _refuse(place: Place, one: Measurement, why: str) -> None:
    place.of(one).mkdir(parents=True, exist_ok=True)
    error = f"refused: {why}, so a token of one is no token of the other"
    write_json(place.of(one) / FAILED, {"what": one.title, "step": place.step, "error": error, "seconds": 0.0})


def _with_drift(base: Configuration, own: Configuration) -> Configuration:
    """The base's configuration, measured as is asked for now."""
    return base.model_copy(update={"drift": own.drift})
