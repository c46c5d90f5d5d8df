"""A visible register: names of one kind of thing, and how one is built from its name and its settings."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from pellucid.errors import ConfigError, UsageError


@dataclass(frozen=True, slots=True)
class Register:
    """What can be named by a *specification*: a name, a name with an argument, or ``package.module:Class``.

    Keywords of a class's constructor are its settings; one named ``seed`` receives the seed and is none. A class
    with a ``settings(argument)`` of its own takes the part behind the colon as its first argument.
    """

    noun: str  # what one of them is called in messages: "detector"
    group: str  # entry points in which an installed package offers more, each NAME = "package.module:Class"
    contract: str  # "module.Protocol", for whoever writes one
    methods: tuple[str, ...]  # what a class has to have
    built_in: Mapping[str, str]  # name -> "module:Class", so that none is imported before it is asked for

    def available(self) -> dict[str, str]:
        """Names and classes, built in or from an entry point. Raises ConfigError for a name registered twice."""
        found = dict(self.built_in)
        for point in entry_points(group=self.group):
            if point.name in found:
                raise ConfigError(
                    f"{self.noun} {point.name!r} is registered twice, as {found[point.name]} and as {point.value}; "
                    "rename the entry point of one, or uninstall its package"
                )
            found[point.name] = point.value
        return found

    def settings(self, spec: str) -> dict[str, Any]:
        """The settings that a specification accepts, with their defaults. Raises UsageError for an unknown one."""
        return {name: value for name, value in _keywords(*self._resolve(spec)).items() if name != "seed"}

    def build(self, spec: str, settings: Mapping[str, Any], *, seed: int) -> Any:
        """What ``spec`` names. Raises UsageError for an unknown specification, setting or value, naming what is."""
        found, arguments = self._resolve(spec)
        accepted = _keywords(found, arguments)
        wanted = sorted(set(accepted) - {"seed"})
        unknown = sorted(set(settings) - set(wanted))
        if unknown:
            raise UsageError(
                f"{self.noun} {spec!r} has no setting {', '.join(unknown)}; "
                f"it accepts {', '.join(wanted) or 'no settings at all'}"
            )
        return found(*arguments, **settings, **({"seed": seed} if "seed" in accepted else {}))

    def _resolve(self, spec: str) -> tuple[type[Any], tuple[str, ...]]:
        known = self.available()
        name, colon, argument = spec.partition(":")
        if name not in known:
            return self._load(spec), ()
        found = self._load(known[name])
        takes_argument = hasattr(found, "settings")
        if takes_argument != bool(argument) or (colon and not argument):
            raise UsageError(f"{self.noun} {spec!r} should read {name + ':CLASS' if takes_argument else name!r}")
        return found, (argument,) if argument else ()

    def _load(self, path: str) -> type[Any]:
        module, _, name = path.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise UsageError(
                f"no {self.noun} {path!r} ({error}); there are {', '.join(sorted(self.available()))}, "
                "and your own class as package.module:Class"
            ) from error
        missing = [method for method in self.methods if not hasattr(found, method)]
        if not isinstance(found, type) or missing:
            raise UsageError(
                f"{path!r} is no {self.noun}: it lacks {', '.join(missing) or 'a class'}; see {self.contract}"
            )
        return found


def _keywords(found: type[Any], arguments: tuple[str, ...]) -> dict[str, Any]:
    if arguments:
        return dict(found.settings(*arguments))
    parameters = inspect.signature(found).parameters.values()
    return {p.name: p.default for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
