"""Models that cost more than was held for them: stopped at once, until the hub says that it was acknowledged."""

from collections.abc import Iterable

from llmgov.snapshot import short_name


class Stopped:
    """What this sidecar saw, and what the hub's directory lists (other sidecars' overruns, and earlier ones).

    Models go by their `short_name`, as the directory names them.
    """

    def __init__(self) -> None:
        self._here: set[str] = set()
        self._listed: frozenset[str] = frozenset()
        self.names: frozenset[str] = frozenset()

    def add(self, model: str) -> None:
        """A model (`provider/model`) cost more than was held."""
        self._here.add(short_name(model))
        self.names = self._listed | self._here

    def list(self, models: Iterable[str]) -> None:
        """The hub's list: what was on it and is not any more has been acknowledged."""
        listed = frozenset(models)
        acknowledged = self._listed - listed
        self._here -= acknowledged
        self._listed = listed
        self.names = self._listed | self._here
