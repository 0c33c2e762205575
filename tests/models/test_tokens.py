"""End and pad tokens that a configuration exchanges: a base of Qwen3 pads with its end token, and ends no turn so."""

import pytest

from conf.errors import UserError
from data import inputs
from launch.compose import compose
from models import load_tokenizer, response_ids, tokenizer_of
from models.loading import load_configured
from models.tiny import make_model, make_tokenizer


@pytest.fixture
def folder(tmp_path):
    """A model whose tokenizer pads with its end token, and has another to end a turn with."""
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    model = make_model(tokenizer)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(tmp_path)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_a_base_that_pads_with_its_end_token_is_refused_until_told_another(folder):
    with pytest.raises(UserError, match="never learn to stop") as caught:
        load_tokenizer(str(folder))
    assert "model.eos_token" in caught.value.change
    configuration = compose([f"model.path={folder}", "model.eos_token='<|im_end|>'"])
    tokenizer, loaded = tokenizer_of(configuration), load_configured(configuration)[1]
    ends = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert response_ids(tokenizer, "1")[-1] == loaded.eos_token_id == ends != tokenizer.pad_token_id
    assert tokenizer_of(compose([f"model.path={folder}", "model.pad_token='<|im_end|>'"])).pad_token_id == ends


def test_a_token_that_is_not_in_the_vocabulary_is_refused(folder):
    with pytest.raises(UserError, match="has no such token"):
        tokenizer_of(compose([f"model.path={folder}", "model.eos_token='<|nothing|>'"]))


def test_targets_end_in_it_so_the_compiled_data_depend_on_it(folder):
    plain, told = (compose([f"model.path={folder}", *more]) for more in ([], ["model.eos_token='<|im_end|>'"]))
    assert inputs.key(inputs.read(plain)) != inputs.key(inputs.read(told))
