"""What a client reads when an account refuses: amounts in the limit's currency, and all that counts against it."""

import msgspec
import pytest

from llmgov.ledger import telling
from llmgov.ledger.messages import LeaseRefusal, Why
from llmgov.policy.decision import CostPlan
from llmgov.snapshot import ModelPrice
from llmgov.wire.events import Reason

PLAN = CostPlan(20_000, 20_000, 0, 0, 0, 0, ModelPrice("openai", "gpt-4o", {}), (), None, None)
USD = LeaseRefusal(1, Why.EXHAUSTED, "k", 5_000, 5_000_000, 0, 0, source="Budget/ns/b", units=5_000_000)
EUR = LeaseRefusal(
    1, Why.EXHAUSTED, "k", 9_000, 5_400_000, 0, 0, source="Budget/ns/b", units=5_000_000, currency="EUR",
    nano_usd=1_080_000_000,
)  # fmt: skip


def asking(refusal: LeaseRefusal) -> LeaseRefusal:
    return msgspec.structs.replace(refusal, why=Why.APPROVAL, threshold=90, approval="apr-1")


BEGINNING = "llmgov: Budget/ns/b has"
END = "raise the budget, or wait until it resets at 1970-01-01T00:00:00Z"
COUNTED = "llmgov: Budget/ns/b requires approval: with"
COSTS = "and this request may cost $0.02"
LESS = "(`service_tier: default` costs less)"
ASK = "ask an approver to run `llmgov approvals approve apr-1`, then send it again"

CASES = [
    ("dollars", USD, "", f"{BEGINNING} $0.005 left and this request may cost $0.02; {END}"),
    (
        "euros, the cost rounded up and the rest down",
        EUR,
        "",
        f"{BEGINNING} 0.008333 EUR left and this request may cost 0.018519 EUR; {END}",
    ),
    (
        "a threshold of dollars",
        asking(USD),
        "",
        f"{COUNTED} $0.02 for this request, more than 90 % of $5.00 would be spent or held; {ASK}",
    ),
    (
        "a threshold of euros, as it was written",
        asking(EUR),
        "",
        f"{COUNTED} 0.018519 EUR for this request, more than 90 % of 5.00 EUR would be spent or held; {ASK}",
    ),
    (
        "the dearest tier, and what would cost less",
        USD,
        "service_tier: default",
        f"{BEGINNING} $0.005 left and this request may cost $0.02 at the dearest service tier {LESS}; {END}",
    ),
    (
        "a threshold that was denied",
        msgspec.structs.replace(USD, threshold=90, denied="too dear"),
        "",
        f"{BEGINNING} $0.005 left up to 90 % of $5.00 (going beyond that was denied: too dear) {COSTS}; {END}",
    ),
    (
        "a threshold that was denied without a word",
        msgspec.structs.replace(USD, threshold=90, denied=""),
        "",
        f"{BEGINNING} $0.005 left up to 90 % of $5.00 (going beyond that was denied) {COSTS}; {END}",
    ),
]


@pytest.mark.parametrize(("refusal", "cheaper", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_says(refusal: LeaseRefusal, cheaper: str, message: str) -> None:
    found = telling.told(refusal, msgspec.structs.replace(PLAN, cheaper=cheaper))
    assert found.message == message
    assert found.reason is (Reason.APPROVAL if refusal.why is Why.APPROVAL else Reason.BUDGET)


def test_programs_read_dollars_whatever_the_currency() -> None:
    assert telling.told(EUR, PLAN).details == {"needed": "0.02", "remaining": "0.009"}


def test_one_user_too_many_is_told_which_setting_decides() -> None:
    full = LeaseRefusal(1, Why.USERS, "", 0, 10_000, 0, 0, source="Budget/ns/each")
    told = telling.too_many_users(full)
    assert (told.reason, told.policy) == (Reason.DENIED, "Budget/ns/each")
    assert told.message.startswith("llmgov: Budget/ns/each counts 10000 users in this window already")
    assert "spec.ledger.maxUsers of GovernanceSettings" in told.message
