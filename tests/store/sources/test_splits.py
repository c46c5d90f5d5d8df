"""Split words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.store.sources.splits import SPLIT_WORDS, count_as, is_split_word
from pellucid.types import Split


@given(
    st.sets(
        st.sampled_from(sorted(SPLIT_WORDS)).flatmap(lambda word: st.sampled_from([word, word.title(), f" {word}"]))
    )
)
def test_every_word_counts_as_something_and_only_validation_is_a_decision(words: set[str]) -> None:
    splits, warnings = count_as(words)
    assert set(splits) == words
    assert len(warnings) == sum(word.strip().lower().startswith("val") for word in words)
    for word, split in splits.items():
        plain = word.strip().lower()
        assert is_split_word(word)
        if not plain.startswith("val"):
            assert split == plain.removesuffix("ing")
        else:
            has_test = any(other.strip().lower().startswith("test") for other in words)
            assert split is (Split.TRAIN if has_test else Split.TEST)
