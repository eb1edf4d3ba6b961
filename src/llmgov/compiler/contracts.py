"""Prices of a credential's contract, and what its service tiers and regions do to all prices of its provider."""

from collections.abc import Iterable, Mapping

import msgspec

from llmgov import money, snapshot
from llmgov.resources import credential, prices


def price(given: prices.Price, kind: str, source: str) -> snapshot.ModelPrice:
    """A price as the data plane reads it; `kind` is the provider's, `source` names the credential."""
    return snapshot.ModelPrice(
        provider=kind,
        model=given.model,
        rates=given.rates.in_pico(),
        context_window=given.context_window,
        max_output_tokens=given.max_output_tokens,
        context_tiers=tuple(
            snapshot.ContextTier(tier.above, tier.rates.in_pico()) for tier in given.context_tiers or ()
        ),
        reasoning=bool(given.reasoning),
        source=source,
    )


def factors(given: Mapping[str, str] | None) -> dict[str, int]:
    """Multipliers in parts per million."""
    return {name: money.parse_amount(factor) for name, factor in (given or {}).items()}


def all_prices(
    spec: credential.ProviderCredentialSpec, known: Iterable[snapshot.ModelPrice], source: str
) -> tuple[snapshot.ModelPrice, ...]:
    """The prices that differ from the known ones: the contract's, and every price where tiers or regions are given."""
    kind = spec.provider.value
    by_model = {each.model: each for each in known}
    by_name = {alias: each for each in by_model.values() for alias in each.aliases} | by_model
    own = [_completed(price(each, kind, source), by_name.get(each.model)) for each in spec.prices or ()]
    tiers, regions = factors(spec.service_tiers), factors(spec.regions)
    if not tiers and not regions:
        return tuple(own)
    priced = {each.model: each for each in (*by_model.values(), *own)}
    return tuple(
        msgspec.structs.replace(
            each, service_tiers={**each.service_tiers, **tiers}, regions={**each.regions, **regions}
        )
        for _, each in sorted(priced.items())
    )


def _completed(own: snapshot.ModelPrice, known: snapshot.ModelPrice | None) -> snapshot.ModelPrice:
    """The contract's price with what it leaves out and the known one says: sizes, names, multipliers; never rates.

    A price of one dated version (an alias of the known model) is for that version alone.
    """
    if known is None:
        return own
    return msgspec.structs.replace(
        own,
        context_window=own.context_window or known.context_window,
        max_output_tokens=own.max_output_tokens or known.max_output_tokens,
        service_tiers=known.service_tiers,
        regions=known.regions,
        aliases=known.aliases if known.model == own.model else (),
        reasoning=own.reasoning or known.reasoning,
        image_tokens=known.image_tokens,
    )
