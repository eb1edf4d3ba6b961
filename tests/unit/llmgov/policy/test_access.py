"""Model access: globs, deny before allow, permissions as the administrator guide names them."""

import pytest

from llmgov.policy import access, globs
from llmgov.policy.decision import Action, Principal, Workload
from llmgov.policy.runtime import Runtime
from llmgov.snapshot import ModelAccess, NamespacePart, OrganizationPart, PricePart, Provider, Role, Settings, Snapshot
from llmgov.wire.events import Operation, Reason, ReplaceText
from tests.support.policies import ANTHROPIC, OPENAI, configure, decide, policy, request

GUIDE = ModelAccess(allow=("openai/gpt-4o*", "anthropic/claude-*"), deny=("*-preview",))

MODELS = [
    ("an allowed model passes", GUIDE, "gpt-4o", None),
    ("an allowed family passes", GUIDE, "gpt-4o-mini", None),
    ("a model that nothing allows is refused", GUIDE, "o3", "model_not_allowed"),
    ("deny wins over allow", GUIDE, "gpt-4o-audio-preview", "model_denied"),
    ("case hides nothing from deny", GUIDE, "GPT-4o-PREVIEW", "model_denied"),
    ("an empty allow list allows all others", ModelAccess(deny=("openai/o*",)), "gpt-4o", None),
    ("a denied provider's model is refused", ModelAccess(deny=("openai/*",)), "gpt-4o", "model_denied"),
    ("a bare name is a model of any provider", ModelAccess(allow=("gpt-4o",)), "gpt-4o", None),
    ("a pattern covers the whole name", ModelAccess(allow=("openai/gpt-4",)), "gpt-4o", "model_not_allowed"),
    ("a question mark is one character", ModelAccess(allow=("gpt-4?",)), "gpt-4o", None),
    (
        "another provider's model of that name is not meant",
        ModelAccess(allow=("anthropic/*",)),
        "anthropic/claude",
        "model_not_allowed",
    ),
    ("punctuation is not a pattern", ModelAccess(allow=("gpt.4o",)), "gpt-4o", "model_not_allowed"),
]


@pytest.mark.parametrize(("body", "model", "reason"), [row[1:] for row in MODELS], ids=[row[0] for row in MODELS])
def test_models(body: ModelAccess, model: str, reason: str | None) -> None:
    found = decide(configure(policy(body)), request(model=model))
    assert [v.reason for v in found.violations] == ([reason] if reason else [])
    assert (found.refusal is None) is (reason is None)
    if found.refusal is not None:
        assert found.refusal.reason is Reason.DENIED


def test_the_message_says_what_is_allowed() -> None:
    refusal = decide(configure(policy(GUIDE, "models")), request(model="o3")).refusal
    assert refusal is not None
    assert refusal.message == (
        "llmgov: policy ns/models does not allow model openai/o3; use one that it allows:"
        " openai/gpt-4o*, anthropic/claude-*"
    )


def test_all_policies_must_allow_a_model() -> None:
    configured = configure(policy(ModelAccess(allow=("*",)), "wide", priority=900), policy(GUIDE, "narrow"))
    refusal = decide(configured, request(model="o3")).refusal
    assert refusal is not None
    assert refusal.policy == "ns/narrow"


def test_a_list_of_models_is_not_judged() -> None:
    found = decide(configure(policy(GUIDE)), request(model="", texts=(), operation=Operation.OPENAI_MODELS))
    assert found.refusal is None


PERMISSIONS = [
    ("llm.use.*", "openai", "o3", True),
    ("*", "openai", "o3", True),
    ("llm.use.openai", "openai", "gpt-4o", True),
    ("llm.use.openai", "anthropic", "claude-sonnet-4", False),
    ("llm.use.anthropic", "anthropic", "claude-sonnet-4", True),
    ("llm.use.gpt4", "openai", "gpt-4", True),
    ("llm.use.gpt4", "openai", "gpt-4-turbo", True),
    ("llm.use.gpt4", "openai", "gpt-4o", False),
    ("llm.use.gpt4", "openai", "gpt-4.1", False),
    ("llm.use.gpt41", "openai", "gpt-4.1-mini", True),
    ("llm.use.gpt4*", "openai", "gpt-4o-mini", True),
    ("llm.use.claude", "anthropic", "claude-sonnet-4", True),
    ("llm.use.openai", "openai-compatible", "openai-lookalike", False),
    ("llm.use.", "openai", "gpt-4o", False),
    ("llm.useless", "openai", "gpt-4o", False),
    ("policies.view", "openai", "gpt-4o", False),
]


@pytest.mark.parametrize(("permission", "provider", "model", "opens"), PERMISSIONS)
def test_permissions(permission: str, provider: str, model: str, opens: bool) -> None:
    assert access.permits([permission], provider, model) is opens


def principal(*roles: str, verified: bool = True) -> Principal:
    return Principal(Workload("shop", "checkout"), "jane", verified, roles)


def test_permissions_come_with_the_roles_of_verified_users_only() -> None:
    configured = configure(
        policy(ModelAccess(require_permission=True), "perm"), roles=(Role("analyst", ("llm.use.openai",)),)
    )
    assert decide(configured, principal=principal("analyst")).refusal is None
    for stranger in (principal(), principal("unknown"), principal("analyst", verified=False)):
        assert decide(configured, principal=stranger).refusal is not None
    refusal = decide(configured, principal=principal()).refusal
    assert refusal is not None
    assert refusal.message == (
        "llmgov: policy ns/perm requires permission llm.use.openai or llm.use.gpt4o for model openai/gpt-4o,"
        " and user jane holds none of them; ask an administrator for a role that does"
    )


@pytest.mark.parametrize("model", ["", "gpt 4o", "gpt-4o\n", "x" * 257, "gpt-4o\u200b"])
def test_what_cannot_be_a_models_name_is_malformed(model: str) -> None:
    refusal = decide(configure(), request(model=model)).refusal
    assert refusal is not None
    assert (refusal.reason, refusal.param) == (Reason.MALFORMED, "model")


def test_without_a_credential_nothing_goes_anywhere() -> None:
    refusal = decide(configure(providers=(ANTHROPIC,))).refusal
    assert refusal is not None
    assert refusal.message == (
        "llmgov: namespace shop has no ProviderCredential for the openai API; ask your platform team for one"
    )


def test_an_alias_is_judged_and_sent_as_the_model_it_means() -> None:
    provider = Provider("ns/openai", "openai", "https://x.example", models={"fast": "gpt-4o"})
    configured = configure(policy(ModelAccess(allow=("openai/gpt-4o",))), providers=(provider,))
    found = decide(configured, request(model="fast"))
    assert (found.model, found.edits) == ("gpt-4o", (ReplaceText("model", "gpt-4o"),))


def test_a_namespaces_own_credential_goes_before_the_organizations() -> None:
    own = Provider("shop/openai", "openai", "https://own.example")
    compatible = Provider("shop/vllm", "openai-compatible", "https://vllm.example", models={"llama": "llama"})
    snapshot = Snapshot(
        1,
        OrganizationPart("prod", providers=(OPENAI,)),
        NamespacePart("shop", providers=(compatible, own)),
        PricePart(),
    )
    assert decide(Runtime(snapshot)).provider == own
    assert decide(Runtime(snapshot), request(model="llama")).provider == compatible


def test_retries_and_fallbacks_come_from_the_policies() -> None:
    configured = configure(
        policy(ModelAccess(retries=3, fallback_models=("gpt-4o-mini",)), "a"), policy(ModelAccess(retries=1), "b")
    )
    found = decide(configured)
    assert (found.retries, found.fallback_models) == (1, ("gpt-4o-mini",))


def test_only_a_policy_in_force_lets_a_route_pass_uncounted() -> None:
    body = ModelAccess(unmetered_routes=("POST /v1/files*",))
    someone = Principal(Workload("shop", "checkout"))
    assert access.unmetered("POST", "/v1/files/1", someone, configure(policy(body))) == "ns/p"
    assert access.unmetered("GET", "/v1/files", someone, configure(policy(body))) is None
    assert access.unmetered("POST", "/v1/files", someone, configure(policy(body, dry_run=True))) is None


def test_the_kill_switch_lets_every_model_pass_and_still_records() -> None:
    found = decide(configure(policy(GUIDE), settings=Settings(kill_switch=True)), request(model="o3"))
    assert found.refusal is None
    assert found.observed
    assert [(v.reason, v.dry_run) for v in found.violations] == [("model_not_allowed", True)]


def test_an_observed_namespace_is_only_watched() -> None:
    found = decide(configure(policy(GUIDE), observe=True), request(model="o3"))
    assert (found.action, found.observed) == (Action.ALLOW, True)


def test_an_empty_set_of_globs_matches_nothing() -> None:
    assert not globs.of(()).match("anything")
