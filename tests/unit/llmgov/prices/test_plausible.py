"""What a model can honestly report of one attempt, and what only a fault reports."""

import pytest

from llmgov import prices
from llmgov.snapshot import Dimension, ModelPrice
from llmgov.wire.events import CostFacts, Usage

RATES = {Dimension.INPUT: 1, Dimension.OUTPUT: 1}
KNOWN = ModelPrice("openai", "gpt-4o-mini", RATES, context_window=128_000, max_output_tokens=16_384)
NO_WINDOW = ModelPrice("own", "llama", RATES, max_output_tokens=16_384)
NO_MAXIMUM = ModelPrice("own", "llama", RATES, context_window=128_000)
UNKNOWN = ModelPrice("own", "llama", RATES)
SMALL = CostFacts(text_bytes=80)
INPUT, CACHED, OUTPUT, SPOKEN = Dimension.INPUT, Dimension.CACHED_INPUT, Dimension.OUTPUT, Dimension.OUTPUT_AUDIO
SEARCH = Dimension.WEB_SEARCH_CALL
OVER_INPUT, OVER_OUTPUT = (
    "128001 input tokens where 128000 are possible",
    "16385 output tokens where 16384 are possible",
)


@pytest.mark.parametrize(
    ("price", "facts", "counts", "expected"),
    [
        (KNOWN, SMALL, {INPUT: 128_000, OUTPUT: 16_384}, ()),
        (KNOWN, SMALL, {INPUT: 128_001}, (OVER_INPUT,)),
        (KNOWN, SMALL, {INPUT: 100_000, CACHED: 28_000}, ()),
        (KNOWN, SMALL, {INPUT: 100_000, CACHED: 28_001}, (OVER_INPUT,)),
        (KNOWN, SMALL, {OUTPUT: 16_385}, (OVER_OUTPUT,)),
        (KNOWN, SMALL, {OUTPUT: 10_000, SPOKEN: 6_385}, (OVER_OUTPUT,)),
        (KNOWN, SMALL, {INPUT: 128_001, OUTPUT: 16_385}, (OVER_INPUT, OVER_OUTPUT)),
        (KNOWN, CostFacts(80, choices=3), {OUTPUT: 3 * 16_384}, ()),
        (KNOWN, CostFacts(80, choices=3), {OUTPUT: 3 * 16_384 + 1}, ("49153 output tokens where 49152 are possible",)),
        (KNOWN, CostFacts(80, extra_output_tokens=10), {OUTPUT: 16_394}, ()),
        (KNOWN, CostFacts(80, iterations=2), {INPUT: 256_000}, ()),
        (KNOWN, CostFacts(80, iterations=2), {INPUT: 256_001}, ("256001 input tokens where 256000 are possible",)),
        (KNOWN, CostFacts(300_000, overhead_tokens=7), {INPUT: 300_007}, ()),
        (KNOWN, CostFacts(300_000), {INPUT: 300_001}, ("300001 input tokens where 300000 are possible",)),
        (NO_WINDOW, SMALL, {INPUT: 10**9, OUTPUT: 16_385}, (OVER_OUTPUT,)),
        (NO_MAXIMUM, SMALL, {INPUT: 128_001, OUTPUT: 10**9}, (OVER_INPUT,)),
        (UNKNOWN, SMALL, {INPUT: 10**9, OUTPUT: 10**9}, ()),
        (KNOWN, SMALL, {SEARCH: 1_000}, ()),
        (KNOWN, SMALL, {SEARCH: 1_001}, ("1001 webSearchCalls where 1000 are possible",)),
        (KNOWN, CostFacts(80, calls={SEARCH: 5_000}), {SEARCH: 5_000}, ()),
    ],
    ids=[
        "the whole window and the whole maximum",
        "a token more than the window",
        "what was cached is a part of the window",
        "and counts towards it",
        "a token more than the maximum",
        "speech counts as output",
        "both are named",
        "each choice may have the maximum",
        "all choices together no more",
        "a rejected prediction is billed beside the maximum",
        "each run of the model reads its own window",
        "all runs together no more",
        "texts to embed may be longer together than the window",
        "but not longer than what was sent",
        "without a known window the output is still bounded",
        "without a known maximum the input is still bounded",
        "a customer's own model without either is not bounded here",
        "calls of a tool that nobody bounded",
        "more calls than any answer makes",
        "as many calls as the request allows",
    ],
)
def test_the_bound_of_a_report(
    price: ModelPrice, facts: CostFacts, counts: dict[Dimension, int], expected: tuple[str, ...]
) -> None:
    assert prices.excess(Usage(counts), facts, price) == expected
