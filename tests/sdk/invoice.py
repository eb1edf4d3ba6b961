"""What the providers' price lists say that an answer costs: by hand, in decimals, sharing nothing with the product.

Prices are USD for a million tokens as published at https://platform.openai.com/docs/pricing (standard, priority and
flex processing) and https://platform.claude.com/docs/en/about-claude/pricing (with prompt caching and long prompts).
"""

import dataclasses
from decimal import ROUND_CEILING, Decimal
from typing import Any

MICRO = Decimal("0.000001")


@dataclasses.dataclass(frozen=True, slots=True)
class Rates:
    """USD for a million tokens: read, read from the cache, said, written to the cache for five minutes or an hour."""

    read: str
    cached: str
    said: str
    minutes: str = "0"
    hour: str = "0"


OPENAI = {
    ("gpt-4o", "default"): Rates("2.50", "1.25", "10.00"),
    ("gpt-4o", "priority"): Rates("4.25", "2.125", "17.00"),
    ("gpt-4o-mini", "default"): Rates("0.15", "0.075", "0.60"),
    ("gpt-4.1", "default"): Rates("2.00", "0.50", "8.00"),
    ("gpt-5-mini", "default"): Rates("0.25", "0.025", "2.00"),
    ("gpt-5-mini", "priority"): Rates("0.45", "0.045", "3.60"),
    ("gpt-5-mini", "flex"): Rates("0.125", "0.0125", "1.00"),
    ("o4-mini", "default"): Rates("1.10", "0.275", "4.40"),
    ("text-embedding-3-small", "default"): Rates("0.02", "0", "0"),
    ("text-embedding-3-large", "default"): Rates("0.13", "0", "0"),
}
ANTHROPIC = {
    "claude-haiku-4-5": Rates("1", "0.10", "5", "1.25", "2"),
    "claude-haiku-5-5": Rates("0.10", "0.01", "0.50", "0.125", "0.20"),
    "claude-sonnet-5-5": Rates("2", "0.10", "10", "2.50", "4"),
    "claude-opus-5-5": Rates("4", "0.20", "20", "5", "8"),
}
HAIKU_ABOVE_100K = Rates("0.50", "0.05", "2.50", "0.625", "1")
"""What claude-haiku-5-5 costs, all of it, where the prompt has more than 100,000 tokens, cached ones included."""


def of_openai(model: str, answer: Any) -> Decimal:
    """What a chat completion, its last chunk, a response or embeddings cost, in USD; the SDK's own object."""
    usage = answer.usage
    rates = OPENAI[model, getattr(answer, "service_tier", None) or "default"]
    if hasattr(usage, "input_tokens"):
        read, cached, said = usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens
    else:
        details = getattr(usage, "prompt_tokens_details", None)
        read, cached = usage.prompt_tokens, details.cached_tokens if details else 0
        said = getattr(usage, "completion_tokens", 0)
    return _sum((read - cached, rates.read), (cached, rates.cached), (said, rates.said))


def of_anthropic(model: str, answer: Any) -> Decimal:
    """What a message cost, in USD; the SDK's own object."""
    usage = answer.usage
    prompt = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    long = model == "claude-haiku-5-5" and prompt > 100_000
    rates = HAIKU_ABOVE_100K if long else ANTHROPIC[model]
    return _sum(
        (usage.input_tokens, rates.read),
        (usage.cache_read_input_tokens, rates.cached),
        (usage.cache_creation.ephemeral_5m_input_tokens, rates.minutes),
        (usage.cache_creation.ephemeral_1h_input_tokens, rates.hour),
        (usage.output_tokens, rates.said),
    )


def _sum(*rows: tuple[int, str]) -> Decimal:
    """Exact until the end, then rounded up to a millionth of a dollar."""
    exact = sum((tokens * Decimal(price) for tokens, price in rows), Decimal()) / 1_000_000
    return exact.quantize(MICRO, ROUND_CEILING)
