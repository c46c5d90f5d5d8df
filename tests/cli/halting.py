"""The ``pellucid`` command that halts at a given place: ``python halting.py MODULE:NAME[.NAME] WORDS...``.

Where it would call the function it writes the file ``halted`` and waits for a signal, or for the file ``released``.
So a test stops a real process at an exact point of its work.
"""

from __future__ import annotations

import functools
import importlib
import signal
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    from pellucid.cli.app import main

    place, words = sys.argv[1], sys.argv[2:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests themselves run in the background
    if place:
        module, _, path = place.partition(":")
        holder: Any = importlib.import_module(module)
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        function = getattr(holder, name)

        @functools.wraps(function)
        def halt(*values: Any, **options: Any) -> Any:
            Path("halted").touch()
            while not Path("released").exists():
                time.sleep(0.01)
            return function(*values, **options)

        setattr(holder, name, halt)
    main(words)
