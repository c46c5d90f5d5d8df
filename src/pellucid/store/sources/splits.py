"""The words that people use for splits, and what they count as here."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pellucid.types import Split

VALIDATION = "validation"
SPLIT_WORDS: Mapping[str, str] = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "test": Split.TEST,
    "testing": Split.TEST,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "trusted": Split.TRUSTED,
}


def is_split_word(word: str) -> bool:
    """Whether a word names a split; case and outer blanks do not matter.

    >>> is_split_word("Train"), is_split_word("cat")
    (True, False)
    """
    return word.strip().lower() in SPLIT_WORDS


def count_as(words: Collection[str]) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Decide what each of a source's split words counts as, and warn where that is a decision.

    Validation images count as test images where the source has none of those. Where it has both, the test
    split stays as its maker meant it and validation counts as train: nothing here needs a third split, as
    settings are chosen by leave-one-out error.

    Args:
        words: split words as :func:`is_split_word` knows them, all that the source uses.

    >>> count_as({"train", "val"})[0] == {"train": Split.TRAIN, "val": Split.TEST}
    True
    >>> count_as({"test", "val"})[1]
    ("'val' counts as train, as there is a test split too",)
    """
    meant = {word: SPLIT_WORDS[word.strip().lower()] for word in sorted(words)}
    stand_in = Split.TRAIN if Split.TEST in meant.values() else Split.TEST
    splits = {word: stand_in if meaning == VALIDATION else Split(meaning) for word, meaning in meant.items()}
    why = "as there is a test split too" if stand_in is Split.TRAIN else "as there is no test split"
    return splits, tuple(
        f"{word!r} counts as {stand_in}, {why}" for word, meaning in meant.items() if meaning == VALIDATION
    )
