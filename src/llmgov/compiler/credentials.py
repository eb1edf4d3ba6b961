"""ProviderCredentials as providers of the data plane; outside of the root namespace they may not loosen anything."""

import urllib.parse
from collections.abc import Iterator, Mapping

from llmgov import money, problems, resources, snapshot
from llmgov.compiler import codes, contracts, fragments, inputs, naming, spaces
from llmgov.compiler.world import World
from llmgov.resources import prices
from llmgov.resources.vocabulary import ProviderKind

OWN_ADDRESSES: Mapping[ProviderKind, str] = {
    ProviderKind.OPENAI: "https://api.openai.com/v1",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com",
    ProviderKind.GOOGLE: "https://generativelanguage.googleapis.com",
}
"""Where requests go without a `baseURL`: the base URLs of the providers' SDKs."""

_OWN_HOSTS = tuple(urllib.parse.urlsplit(address).netloc for address in OWN_ADDRESSES.values())
"""Hosts that tenants may use where the settings list none: the providers' own, shared ones."""

_UNCHANGED = 1_000_000
"""A multiplier of 1, in parts per million."""

_UNKNOWN_WINDOW = 10**12
"""Where nobody knows a model's context window, a tenant's is not believed: it is larger than any."""


def compiled(given: resources.ProviderCredential, world: World) -> fragments.Fragment:
    """The provider that a credential makes, or why there is none."""
    found = tuple(_problems(given, world))
    if fragments.has_error(found):
        return fragments.Fragment(problems=found)
    spec = given.spec
    known = world.models.of_kind(spec.provider.value)
    provider = snapshot.Provider(
        id=given.id,
        kind=spec.provider.value,
        base_url=_address(given),
        models=dict(sorted((spec.models or {}).items())),
        prices=contracts.all_prices(spec, known, str(given.ref)),
    )
    return fragments.Fragment(where=_where(given, world), provider=provider, problems=found)


def _address(given: resources.ProviderCredential) -> str:
    return (given.spec.base_url or OWN_ADDRESSES[given.spec.provider]).rstrip("/")


def _where(given: resources.ProviderCredential, world: World) -> tuple[str, ...] | None:
    if not world.is_root(given):
        return (given.metadata.namespace or "",)
    allowed = given.spec.allowed_namespaces
    return None if allowed is None else spaces.select(allowed, world.spaces)


def _problems(given: resources.ProviderCredential, world: World) -> Iterator[problems.Problem]:
    yield from _secret(given, world)
    yield from spaces.unknown(given.spec.allowed_namespaces, world.spaces, given.ref, "spec.allowedNamespaces")
    if not world.is_root(given):
        yield from _delegation(given, world)


def _secret(given: resources.ProviderCredential, world: World) -> Iterator[problems.Problem]:
    wanted, namespace = given.spec.secret_ref, given.metadata.namespace or ""
    if world.secrets is None:
        return
    secret = world.secrets.get((namespace, wanted.name))
    if secret is None:
        others = (name for where, name in world.secrets if where == namespace)
        message = naming.missing("Secret", wanted.name, others, f" in the namespace {namespace}")
        yield codes.SECRET_NOT_FOUND.at(given.ref, "spec.secretRef.name", message)
        return
    if wanted.key not in secret.keys:
        message = f"the Secret {wanted.name} has no entry {wanted.key}{naming.meant(wanted.key, secret.keys)}"
        yield codes.SECRET_KEY_MISSING.at(given.ref, "spec.secretRef.key", message)
    if not world.is_root(given) and secret.type != inputs.PROVIDER_KEY_TYPE:
        message = f"the Secret {wanted.name} is of type {secret.type}"
        yield codes.SECRET_WRONG_TYPE.at(given.ref, "spec.secretRef.name", message)


def _delegation(given: resources.ProviderCredential, world: World) -> Iterator[problems.Problem]:
    if given.spec.allowed_namespaces is not None:
        message = f"may be given in the root namespace {world.root} only: others use their own credentials themselves"
        yield codes.ROOT_ONLY_TARGET.at(given.ref, "spec.allowedNamespaces", message)
    yield from _host(given, world)
    yield from _aliases(given, world)
    for index, price in enumerate(given.spec.prices or ()):
        yield from _price(given, f"spec.prices[{index}]", price, world)
    yield from _factors(given, world)


def _host(given: resources.ProviderCredential, world: World) -> Iterator[problems.Problem]:
    address = urllib.parse.urlsplit(_address(given))
    allowed = world.settings.allowed_provider_hosts
    if address.scheme != "https":
        yield codes.HOST_NOT_ALLOWED.at(given.ref, "spec.baseURL", "must be an https URL")
    elif not any(_covers(pattern, address) for pattern in (_OWN_HOSTS if allowed is None else allowed)):
        yield codes.HOST_NOT_ALLOWED.at(given.ref, "spec.baseURL", f"the host {address.netloc} is not allowed")


def _covers(pattern: str, address: urllib.parse.SplitResult) -> bool:
    """Whether a listed host is the address's, at the same port; `*.` stands for one or more labels."""
    host, _, port = pattern.lower().partition(":")
    if int(port or 443) != (_port(address) or 443):
        return False
    name = address.hostname or ""
    return name.endswith(host[1:]) and name != host[2:] if host.startswith("*.") else name == host


def _port(address: urllib.parse.SplitResult) -> int | None:
    """The port of an address, 0 where it is no port, so that nothing covers it."""
    try:
        return address.port
    except ValueError:
        return -1


def _aliases(given: resources.ProviderCredential, world: World) -> Iterator[problems.Problem]:
    kind = given.spec.provider.value
    for alias, model in (given.spec.models or {}).items():
        known = world.models.price(kind, alias)
        if known is not None and known is not world.models.price(kind, model):
            message = f"{alias} is itself a model with a known price and may not stand for {model}"
            yield codes.ROOT_ONLY_LOOSENING.at(given.ref, f'spec.models["{alias}"]', message)


def _price(
    given: resources.ProviderCredential, field: str, price: prices.Price, world: World
) -> Iterator[problems.Problem]:
    known = world.models.price(given.spec.provider.value, price.model)
    if known is None:
        message = f"nobody knows the price of {given.spec.provider.value}/{price.model} that this one could raise"
        yield codes.PRICE_NOT_KNOWN.at(given.ref, field, message)
        return
    rates = price.rates.in_pico()
    lower = [dimension.value for dimension, rate in known.rates.items() if rates.get(dimension, -1) < rate]
    if lower:
        message = f"the price of {price.model} for {', '.join(sorted(lower))} is missing or below the known one"
        yield codes.PRICE_LOWERED.at(given.ref, f"{field}.rates", message)
    if known.context_tiers:
        yield from _tiers(given, field, price, known)
    if price.context_window is not None and price.context_window < (known.context_window or _UNKNOWN_WINDOW):
        message = f"a smaller context window than the known one of {price.model} would bound its cost too low"
        yield codes.PRICE_LOWERED.at(given.ref, f"{field}.contextWindow", message)


def _tiers(
    given: resources.ProviderCredential, field: str, price: prices.Price, known: snapshot.ModelPrice
) -> Iterator[problems.Problem]:
    """Each known tier must be met by rates at least as high for every input that it is for."""
    own = sorted(((tier.above, tier.rates.in_pico()) for tier in price.context_tiers or ()), key=lambda tier: tier[0])
    for tier in known.context_tiers:
        meeting = [price.rates.in_pico(), *(rates for above, rates in own if above <= tier.above)][-1]
        later = [rates for above, rates in own if above > tier.above]
        if any(
            rates.get(dimension, -1) < rate for rates in (meeting, *later) for dimension, rate in tier.rates.items()
        ):
            message = f"the price of {price.model} above {tier.above} tokens is missing or below the known one"
            yield codes.PRICE_LOWERED.at(given.ref, f"{field}.contextTiers", message)


def _factors(given: resources.ProviderCredential, world: World) -> Iterator[problems.Problem]:
    known = world.models.of_kind(given.spec.provider.value)
    for field, factors, name in (
        ("spec.serviceTiers", given.spec.service_tiers, "service_tiers"),
        ("spec.regions", given.spec.regions, "regions"),
    ):
        for key, factor in contracts.factors(factors).items():
            least = max((getattr(price, name).get(key, _UNCHANGED) for price in known), default=_UNCHANGED)
            if factor < least:
                message = f"multiplies prices by less than the known {money.format_amount(least)}"
                yield codes.PRICE_LOWERED.at(given.ref, f'{field}["{key}"]', message)
