from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.vocabulary import UNKNOWN, Vocabulary

WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd", "<unk>"]), max_size=60)


@settings(deadline=None)
@given(words=WORDS, min_count=st.integers(1, 4))
def test_known_words_come_back_and_rare_ones_are_unknown(words: list[str], min_count: int) -> None:
    vocabulary = Vocabulary.build(words, min_count=min_count)
    back = [vocabulary.words[number] for number in vocabulary.encode(words)]
    expected = [word if words.count(word) >= min_count else UNKNOWN for word in words]
    assert back == expected


def test_order_is_by_frequency_then_alphabet_and_not_by_position() -> None:
    one, other = (Vocabulary.build(words) for words in (["b", "a", "c", "c"], ["c", "a", "c", "b"]))
    assert one == other
    assert one.words == (UNKNOWN, "c", "a", "b")


def test_min_count_must_be_positive() -> None:
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        Vocabulary.build(["a"], min_count=0)
