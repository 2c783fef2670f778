import pytest
from transformers import CLIPTokenizer

from fewstep.demo import weights
from fewstep.demo.vocabulary import MAX_TOKENS, learn_merges, write_tokenizer
from fewstep.demo.world import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES


@pytest.fixture(scope="module")
def tokenizer():
    return CLIPTokenizer.from_pretrained(weights.TOKENIZER)


def test_merges_are_those_of_the_papers_example():
    # Sennrich et al., algorithm 1: e s, es t, (est and the end of the word,) l o
    words = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    assert learn_merges(words)[:3] == [("e", "s"), ("es", "t</w>"), ("l", "o")]


def test_every_word_of_the_world_is_one_token(tokenizer):
    names = " ".join([*SHAPES, *COLOURS, *BACKGROUNDS, *SIZES, *RELATIONS])
    assert tokenizer.tokenize(names) == [word + "</w>" for word in names.split()]


def test_an_unknown_word_is_spelled_out_and_not_lost(tokenizer):
    pieces = tokenizer.tokenize("zebra")
    assert "".join(pieces) == "zebra</w>" and len(pieces) > 1
    assert tokenizer.unk_token not in pieces


def test_a_caption_is_padded_to_one_chunk(tokenizer):
    ids = tokenizer("a red circle", padding="max_length").input_ids
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert len(ids) == MAX_TOKENS
    assert ids[0] == start and ids[4:] == [end] * (MAX_TOKENS - 4)


def test_the_shipped_tokenizer_is_the_one_that_is_written(tmp_path):
    def read(folder):
        return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}

    write_tokenizer(tmp_path)
    assert read(weights.TOKENIZER) == read(tmp_path)
