"""What a method is: which of Monday it keeps, which of Tuesday's labels it doubts, and what it learns from the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

ALL = "all"  # the memory that keeps every row of Monday
PUBLISHED_RATIO = 0.2  # of Monday's rows that the published replay keeps


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table."""

    name: str
    about: str  # one line for people, with the source
    head: str = "ridge"  # specification, as of `pellucid.heads.head`
    settings: tuple[
        tuple[str, Any], ...
    ] = ()  # of the head; "tuned" for the lambda of the held-out logistic regression
    labels: str = "given"  # Tuesday's labels that are learnt: "given", "truth" or "none"
    doubt: str = "none"  # a name of `pellucid.protocol.doubts.DOUBTS`
    memory: str = ALL  # a name of `pellucid.protocol.memories.MEMORIES`
    ratio: float = PUBLISHED_RATIO  # 0..1, the share of Monday's rows that is kept; unused where memory is "all"

    @property
    def sees_truth(self) -> bool:
        """Whether it uses what no learner knows, Tuesday's true labels."""
        return self.labels == "truth" or self.doubt == "oracle"

    @property
    def sees_wide(self) -> bool:
        """Whether it looks at the pictures with more than the features that are learnt."""
        return self.doubt in ("audit", "cleanlab-wide")

    @property
    def monday(self) -> str:
        """What it has of Monday, for people: ``all``, or ``20 % random``."""
        return self.memory if self.memory in (ALL, "none") else f"{self.ratio:.0%} {self.memory}".replace("%", " %")

    def keeping(self, memory: str) -> Method:
        """The same method with another memory, named ``NAME@MEMORY``."""
        return replace(self, name=f"{self.name.partition('@')[0]}@{memory}", memory=memory)
