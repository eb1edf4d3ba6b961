"""What an attempt's record says of its time."""

import types
from typing import Any, cast

import pytest

from llmgov import instants
from llmgov.ledger.messages import Settlement
from llmgov_sidecar.entry import Entry
from tests.support.ledgers import NOW


@pytest.mark.parametrize(("took", "duration"), [(3, 3), (0, 0), (-instants.HOUR, 0)])
def test_an_attempt_takes_no_less_than_no_time_whatever_happens_to_the_clock(took: int, duration: int) -> None:
    times, settlements = iter((NOW, NOW + took)), list[Settlement]()
    services = types.SimpleNamespace(
        clock=lambda: next(times),
        observer=lambda _: None,
        ends=types.SimpleNamespace(put=lambda settlement, _: settlements.append(settlement)),
        records=types.SimpleNamespace(settled=lambda *_: None),
    )
    decision = types.SimpleNamespace(violations=(), model="gpt-4o")
    entry = Entry(cast(Any, services), cast(Any, None), cast(Any, None), cast(Any, decision))
    entry.id = "pod-1:1/1"
    entry.settle_free()
    assert [settlement.duration for settlement in settlements] == [duration]
