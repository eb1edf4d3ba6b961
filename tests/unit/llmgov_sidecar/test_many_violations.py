"""A request that violates more than one event may say is on record whole, in events that the ledger takes."""

import pytest

from llmgov.ledger import bounds
from llmgov.ledger.messages import Refused, Violated
from llmgov.snapshot import Audience, ContentFilter, Direction, OnDetect, Pattern, Policy
from tests.unit.llmgov_sidecar import harness, world

FILTERS, PATTERNS = 5, 64
"""As many patterns as one policy may have; of policies there may be any number."""


def filters(on_detect: OnDetect) -> list[Policy]:
    return [
        Policy(
            f"root/f{number}",
            1,
            ContentFilter(
                (Direction.REQUEST,),
                on_detect,
                tuple(Pattern(f"p{index}", f"x{{{index + 1}}}") for index in range(PATTERNS)),
                notify=tuple(Audience),
            ),
        )
        for number in range(FILTERS)
    ]


@pytest.mark.parametrize(("on_detect", "status"), [(OnDetect.FLAG, 200), (OnDetect.BLOCK, 400)])
def test_all_that_a_request_violates_is_on_record(on_detect: OnDetect, status: int) -> None:
    async def main() -> None:
        answer = harness.says(harness.whole(world.chat_answer()))
        async with world.world(answer, filters(on_detect)) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat("x" * PATTERNS))
            assert reply.status == status
            await client.close()
            await made.on_record()
            events = [event for event in made.events if isinstance(event, Refused | Violated)]
            rows = [row for row in await made.store.violations(0, 2**62) if row.reason != "event_refused"]
            assert len(rows) == FILTERS * PATTERNS
            assert max(len(event.violations) for event in events) <= bounds.MAX_VIOLATIONS
            assert len({event.request_id for event in events}) == 1
            assert len(events) == 2

    harness.run(main())
