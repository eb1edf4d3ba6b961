"""Models that somebody knows the price of: what patterns can match, and what a tenant's price may not go below."""

from collections.abc import Iterable

from llmgov import resources, snapshot
from llmgov.policy import globs
from llmgov.resources.vocabulary import ProviderKind

_OWN_SERVERS = (ProviderKind.AZURE_OPENAI.value, ProviderKind.OPENAI_COMPATIBLE.value)
"""Kinds whose models depend on the server: a pattern over them is never called unknown."""


class Models:
    """Known models, by exact name and alias of each provider."""

    __slots__ = ("_matching", "_names", "_prices")

    def __init__(
        self,
        prices: snapshot.PricePart,
        declared: Iterable[snapshot.ModelPrice],
        credentials: Iterable[resources.ProviderCredential],
    ) -> None:
        self._prices = {
            (price.provider, name): price
            for price in (*declared, *prices.models)
            for name in (price.model, *price.aliases)
        }
        aliases = {
            (credential.spec.provider.value, name)
            for credential in credentials
            for pair in (credential.spec.models or {}).items()
            for name in pair
        }
        self._names = frozenset(self._prices) | aliases
        self._matching: dict[str, bool] = {}

    def price(self, kind: str, model: str) -> snapshot.ModelPrice | None:
        """The known price of a model of a provider's kind, by exact name or alias."""
        return self._prices.get((kind, model))

    def of_kind(self, kind: str) -> tuple[snapshot.ModelPrice, ...]:
        """All known prices of a provider's kind, each once."""
        return tuple({id(price): price for (owner, _), price in self._prices.items() if owner == kind}.values())

    def matches(self, pattern: str) -> bool:
        """Whether a pattern over `provider/model` or `model` matches anything known, or may match what nobody lists."""
        found = self._matching.get(pattern)
        if found is None:
            found = self._matching[pattern] = self._search(pattern)
        return found

    def _search(self, pattern: str) -> bool:
        if not self._names or pattern.startswith(tuple(f"{kind}/" for kind in _OWN_SERVERS)):
            return True
        patterns = globs.of((pattern,))
        return any(patterns.match_model(kind, name) for kind, name in self._names)
