"""What a project does with what people say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.project.opened import Opened

if TYPE_CHECKING:
    from pellucid.flow.online.forget import Forgotten
    from pellucid.flow.online.voters import Voter


class VoteVerbs(Opened):
    """List voters, and forget what they said; see `pellucid.Project`."""

    def forget(self, dataset: str, **options: Any) -> Forgotten:
        """Takes votes back, and the champion unlearns them exactly; options as of ``flow.online.forget.forget``."""
        from pellucid.flow.online.forget import forget

        return forget(self.workspace, dataset, progress=self._progress, **options)

    def voters(self, dataset: str) -> list[Voter]:
        """Who has said how much, and how far each is right."""
        from pellucid.flow.online.voters import list_voters

        return list_voters(self.workspace, dataset)
