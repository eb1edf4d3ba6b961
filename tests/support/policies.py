"""Short ways to write a configuration, a request and a principal; what a test is about stays in the test."""

from llmgov.policy import engine, runtime, state
from llmgov.policy.decision import Decision, Principal, Workload
from llmgov.snapshot import (
    Account,
    Body,
    Dimension,
    Directory,
    ModelPrice,
    NamespacePart,
    OrganizationPart,
    Policy,
    PricePart,
    Provider,
    Role,
    Settings,
    Snapshot,
    Team,
)
from llmgov.wire.events import (
    CostFacts,
    Format,
    Operation,
    OutputLimit,
    Request,
    Route,
    Text,
    TextRole,
)

OPENAI = Provider("llm-governance/openai", "openai", "https://api.openai.example")
ANTHROPIC = Provider("llm-governance/anthropic", "anthropic", "https://api.anthropic.example")

GPT = ModelPrice(
    "openai",
    "gpt-4o",
    {Dimension.INPUT: 2_500_000, Dimension.OUTPUT: 10_000_000},
    context_window=128_000,
    max_output_tokens=16_384,
    aliases=("gpt-4o-2024-08-06",),
)
O3 = ModelPrice(
    "openai",
    "o3",
    {Dimension.INPUT: 2_000_000, Dimension.OUTPUT: 8_000_000},
    context_window=200_000,
    max_output_tokens=100_000,
    reasoning=True,
)

PRINCIPAL = Principal(Workload("shop", "checkout"))


def policy(body: Body, name: str = "p", **fields: object) -> Policy:
    """An LLMPolicy `ns/<name>` of priority 100."""
    return Policy(**{"id": f"ns/{name}", "priority": 100, "body": body, **fields})


def configure(
    *policies: Policy,
    accounts: tuple[Account, ...] = (),
    providers: tuple[Provider, ...] = (OPENAI, ANTHROPIC),
    prices: tuple[ModelPrice, ...] = (GPT, O3),
    settings: Settings | None = None,
    roles: tuple[Role, ...] = (),
    team: Team | None = None,
    observe: bool = False,
    directory: Directory | None = None,
) -> runtime.Runtime:
    """A runtime for namespace `shop`."""
    organization = OrganizationPart(
        "prod", settings or Settings(), policies, accounts=accounts, providers=providers, roles=roles
    )
    snapshot = Snapshot(1, organization, NamespacePart("shop", observe=observe, team=team), PricePart(prices))
    return runtime.Runtime(snapshot, directory)


def request(
    text: str = "hello",
    *,
    model: str = "gpt-4o",
    asked: int | None = None,
    role: TextRole = TextRole.USER,
    texts: tuple[Text, ...] | None = None,
    cost: CostFacts | None = None,
    operation: Operation = Operation.CHAT_COMPLETIONS,
    **fields: object,
) -> Request:
    """A chat completion with one message."""
    shown = (Text("messages[0].content", text, role),) if texts is None else texts
    produces = operation is not Operation.EMBEDDINGS
    facts = cost or CostFacts(sum(len(shown_text.text.encode()) for shown_text in shown), produces_output=produces)
    return Request(
        **{
            "route": Route(Format.OPENAI, operation, "/v1/chat/completions"),
            "body": text.encode(),
            "model": model,
            "stream": False,
            "texts": shown,
            "output_limit": OutputLimit("max_completion_tokens", asked) if produces else None,
            "cost": facts,
            **fields,
        }
    )


def decide(
    configured: runtime.Runtime,
    asked: Request | None = None,
    principal: Principal = PRINCIPAL,
    now: int = 0,
    counters: state.State | None = None,
    **options: object,
) -> Decision:
    """One decision, with counters of its own unless some are given."""
    return engine.decide(asked or request(), principal, configured, counters or state.State(), now, **options)
