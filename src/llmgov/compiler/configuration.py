"""GovernanceSettings as the data plane needs them."""

from collections.abc import Iterator, Mapping

from llmgov import problems, snapshot
from llmgov.compiler import codes
from llmgov.resources import access_settings, durations, settings
from llmgov.resources.vocabulary import UnknownParts

REF = problems.ResourceRef("GovernanceSettings", "default")


def compiled(spec: settings.GovernanceSettingsSpec, jwks: Mapping[str, str]) -> snapshot.Settings:
    """The settings; an issuer whose keys were not fetched yet is left out, so that its tokens are refused."""
    requests, identity, audit = spec.requests, spec.identity, spec.audit
    return snapshot.Settings(
        issuers=tuple(_issuer(issuer, keys) for issuer, keys in _with_keys(identity, jwks)),
        trusted_user_headers=identity.trusted_user_headers or (),
        trust_body_user=identity.trust_body_user,
        refuse_unknown_parts=requests.unknown_parts is UnknownParts.REFUSE,
        budget_status=requests.budget_status_code,
        max_staleness=None if requests.max_staleness is None else durations.parse(requests.max_staleness),
        audit=audit.mode,
        prompts=audit.prompts,
        ledger_unavailable=spec.failure_modes.ledger,
        kill_switch=requests.kill_switch,
        retention_days=audit.retention.default_days,
        max_users=spec.ledger.max_users,
    )


def keys_missing(spec: settings.GovernanceSettingsSpec, jwks: Mapping[str, str]) -> Iterator[problems.Problem]:
    """A warning for every issuer whose keys are not there."""
    for index, issuer in enumerate(spec.identity.issuers or ()):
        if issuer.jwks is None and issuer.issuer not in jwks:
            message = f"the keys of {issuer.issuer} were not fetched; its tokens are refused"
            yield codes.KEYS_NOT_FETCHED.at(REF, f"spec.identity.issuers[{index}].jwksURL", message)


def _with_keys(
    identity: access_settings.Identity, jwks: Mapping[str, str]
) -> Iterator[tuple[access_settings.Issuer, str]]:
    for issuer in identity.issuers or ():
        keys = issuer.jwks or jwks.get(issuer.issuer)
        if keys is not None:
            yield issuer, keys


def _issuer(issuer: access_settings.Issuer, keys: str) -> snapshot.Issuer:
    return snapshot.Issuer(
        issuer=issuer.issuer,
        audience=issuer.audience,
        algorithms=tuple(algorithm.value for algorithm in issuer.algorithms),
        jwks=keys,
        user_claim=issuer.user_claim or "sub",
        max_age=None if issuer.max_age is None else durations.parse(issuer.max_age),
    )
