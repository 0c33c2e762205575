"""A model folder that cannot be used says what it lacks."""

import pytest

from conf.errors import UserError
from models.folder import check, digest
from models.tiny import make_model, make_tokenizer


@pytest.fixture
def folder(tmp_path):
    tokenizer = make_tokenizer()
    make_model(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_a_whole_folder_passes_and_its_digest_follows_its_weights(folder):
    check(str(folder))
    before = digest(folder)
    assert before == digest(folder)
    make_model(make_tokenizer(), seed=1).save_pretrained(folder)
    assert digest(folder) != before


def test_missing_weights_and_missing_folder_are_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="safetensors"):
        check(str(folder))
    with pytest.raises(UserError, match="no such folder"):
        check(str(folder / "nowhere"))


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
def test_weights_cut_short_are_refused(folder, keep):
    file = folder / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: int(keep if keep >= 4 or keep == 0 else keep * len(data))])
    with pytest.raises(UserError, match="cut short"):
        check(str(folder))
