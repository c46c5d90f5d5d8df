"""Nobody is there to train: what is said, and the command that starts a worker where this project is."""

from __future__ import annotations

from nicegui import ui

from pellucid.flow.environment import command_line
from pellucid.types import Right
from pellucid.web.parts import Words
from pellucid.web.view import View


def call_for_worker(view: View, words: str) -> None:
    """A warning with the way out; folders of this machine are shown to those only who may start something."""
    with ui.element("div").classes("warning").props('role="status"'):
        Words(words)
        if view.may(Right.ADMIN):
            Words("Start one on this server's machine; it works from any folder:", "note")
            Words(command_line(view.desk.workspace.root, "worker", "--watch"), "command", "code")
            Words("The next time, pellucid up starts the server and a worker together.", "note")
        else:
            Words("Ask whoever runs this server to start one: pellucid worker --watch", "note")
