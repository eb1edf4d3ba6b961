"""Which statuses are written, and when, in virtual time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov import instants
from llmgov.instants import SECOND
from llmgov_operator import agenda
from llmgov_operator.agenda import Agenda, Write

NOW = instants.from_rfc3339("2026-11-24T08:30:10.5Z")


def _condition(kind: str, status: str, since: str = "2026-11-24T08:00:00Z", message: str = "") -> dict[str, Any]:
    return {
        "type": kind, "status": status, "observedGeneration": 1, "lastTransitionTime": since, "reason": kind,
        "message": message,
    }  # fmt: skip


def _status(ready: str = "True", **fields: Any) -> dict[str, Any]:
    return {"observedGeneration": 1, "conditions": [_condition("Ready", ready)], **fields}


def _body(uid: str = "u1", status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": uid}} | ({} if status is None else {"status": status})


class _Objects:
    """What an API server keeps, and when it was written."""

    def __init__(self) -> None:
        self.bodies = {"u1": _body()}
        self.written: list[int] = []

    def take(self, asked: Agenda, now: int) -> None:
        for write in asked.due(self.bodies, now):
            self.bodies[write.uid] = _body(write.uid, dict(write.status))
            self.written.append(now)
            asked.wrote(write, now)


@given(st.lists(st.tuples(st.integers(0, 7 * SECOND), st.integers(0, 3)), max_size=30))
def test_no_object_is_written_twice_within_five_seconds_and_the_last_word_is_written(
    steps: list[tuple[int, int]],
) -> None:
    objects, asked, now = _Objects(), Agenda(NOW), NOW
    for wait, spent in steps:
        now += wait
        asked.want("Budget", "u1", _status(spent=str(spent)))
        objects.take(asked, now)
    while (at := asked.next(now)) is not None:
        now = at
        objects.take(asked, now)
    assert all(
        later - earlier >= 5 * SECOND for earlier, later in zip(objects.written, objects.written[1:], strict=False)
    )
    if steps:
        assert objects.bodies["u1"]["status"]["spent"] == str(steps[-1][1])
    assert asked.waiting == 0


def test_what_changes_while_it_is_written_is_written_later() -> None:
    objects, asked = _Objects(), Agenda(NOW)
    asked.want("Budget", "u1", _status(spent="1"))
    (write,) = asked.due(objects.bodies, NOW)
    asked.want("Budget", "u1", _status(spent="2"))
    objects.bodies["u1"] = _body(status=dict(write.status))
    asked.wrote(write, NOW)
    assert asked.next(NOW) == NOW + 5 * SECOND
    (write,) = asked.due(objects.bodies, NOW + 5 * SECOND)
    assert write.status["spent"] == "2"


def test_a_second_start_finds_everything_written() -> None:
    objects, first, second = _Objects(), Agenda(NOW), Agenda(NOW)
    first.want("Budget", "u1", _status(spent="1"))
    objects.take(first, NOW)
    second.want("Budget", "u1", _status(spent="1"))
    objects.take(second, NOW + instants.HOUR)
    assert objects.written == [NOW]
    assert second.next(NOW) is None


@given(st.integers(0, 7 * SECOND), st.integers(0, 7 * SECOND), st.integers(0, 7 * SECOND))
def test_the_next_leader_keeps_the_distance_to_what_the_last_one_wrote(wrote: int, began: int, asked: int) -> None:
    objects, first = _Objects(), Agenda(NOW)
    first.want("Budget", "u1", _status(spent="1"))
    objects.take(first, NOW + wrote)
    now = NOW + wrote + began
    second = Agenda(now)
    now += asked
    second.want("Budget", "u1", _status(spent="2"))
    objects.take(second, now)
    while (at := second.next(now)) is not None:
        now = at
        objects.take(second, now)
    before, after = objects.written
    assert after - before >= 5 * SECOND
    assert after <= NOW + wrote + began + max(asked, 5 * SECOND), "no longer than it has to"
    assert objects.bodies["u1"]["status"]["spent"] == "2"


def test_what_nobody_has_told_of_yet_does_not_wait_for_a_leader_s_begin() -> None:
    objects, asked = _Objects(), Agenda(NOW)
    asked.want("Budget", "u1", _status())
    objects.take(asked, NOW)
    assert objects.written == [NOW]


def test_what_somebody_else_wrote_is_put_right() -> None:
    objects, asked = _Objects(), Agenda(NOW)
    asked.want("Budget", "u1", _status(spent="1"))
    objects.take(asked, NOW)
    objects.bodies["u1"]["status"]["spent"] = "0"
    objects.take(asked, NOW + 6 * SECOND)
    assert len(objects.written) == 1
    asked.touched("u1")
    asked.touched("unknown")
    objects.take(asked, NOW + 6 * SECOND)
    assert objects.bodies["u1"]["status"]["spent"] == "1"


def _due(asked: Agenda, bodies: dict[str, Any], now: int) -> list[Write]:
    return list(asked.due(bodies, now))


def test_a_write_that_fails_is_tried_later_and_ever_later() -> None:
    asked, bodies, now = Agenda(NOW), {"u1": _body()}, NOW
    asked.want("Budget", "u1", _status())
    waits = []
    for _ in range(8):
        (write,) = _due(asked, bodies, now)
        asked.failed(write, now)
        at = asked.next(now)
        assert at is not None
        assert _due(asked, bodies, at - 1) == []
        waits.append((at - now) // SECOND)
        now = at
    assert waits == [10, 20, 40, 80, 160, 320, 320, 320]
    (write,) = _due(asked, bodies, now)
    asked.wrote(write, now)
    asked.want("Budget", "u1", _status(spent="1"))
    (write,) = _due(asked, bodies, now + 5 * SECOND)
    asked.failed(write, now)
    assert asked.next(now) == now + 10 * SECOND


def test_objects_that_are_gone_are_forgotten() -> None:
    asked, bodies = Agenda(NOW), {"u1": _body("u1"), "u2": _body("u2")}
    for uid in ("u1", "u2", "u3"):
        asked.want("Budget", uid, _status())
    asked.keep(["u1", "u3"])
    assert [write.uid for write in asked.due(bodies, NOW)] == ["u1"]
    assert asked.waiting == 1
    asked.touched("u2")
    assert asked.waiting == 1


@pytest.mark.parametrize(
    ("current", "wanted", "said"),
    [
        pytest.param({}, _status(), False, id="nothing was written yet"),
        pytest.param(_status(), _status(), True, id="the same"),
        pytest.param(_status("False"), _status(), False, id="a condition changed"),
        pytest.param(
            {"observedGeneration": 1, "conditions": [_condition("Ready", "True", message="x")]}, _status(), False,
            id="a sentence changed",
        ),
        pytest.param(
            {"observedGeneration": 1, "conditions": [_condition("Ready", "True", "2020-01-01T00:00:00Z")]}, _status(),
            True, id="it was so since another time",
        ),
        pytest.param(_status() | {"observedGeneration": 0}, _status(), False, id="it was said of an older generation"),
        pytest.param(
            {"observedGeneration": 1, "conditions": [_condition("Ready", "True"), _condition("Theirs", "False")]},
            _status(), True, id="somebody else has a condition there, too",
        ),
        pytest.param(
            _status(keyFingerprint="ab", lastVerified="t", lastRotation="t"), _status(), True,
            id="the hub's fields are the hub's",
        ),
        pytest.param(_status(spent="1"), _status(spent="2"), False, id="an amount changed"),
        pytest.param(_status(spent="1"), _status(), False, id="an amount is no longer there"),
        pytest.param(_status(), _status(namespaces=[]), True, id="an empty list may be left out"),
        pytest.param(_status(namespaces=["a"]), _status(namespaces=[]), False, id="a list became empty"),
        pytest.param(_status(forecast="100.00"), _status(forecast="105.00"), True, id="a forecast moved by 5 %"),
        pytest.param(_status(forecast="100.00"), _status(forecast="106.00"), False, id="a forecast moved by 6 %"),
        pytest.param(_status(forecast="0.00"), _status(forecast="0.00"), True, id="nothing is forecast"),
        pytest.param(_status(forecast="0.00"), _status(forecast="0.01"), False, id="something is forecast"),
        pytest.param(_status(), _status(forecast="0.01"), False, id="there was no forecast"),
    ],
)  # fmt: skip
def test_is_said(current: dict[str, Any], wanted: dict[str, Any], said: bool) -> None:
    assert agenda.is_said(current, wanted) is said


def test_a_condition_keeps_the_time_since_when_it_holds() -> None:
    current = {"conditions": [_condition("Ready", "True"), _condition("Accepted", "False")]}
    wanted = {
        "conditions": [
            _condition("Ready", "True", "1970-01-01T00:00:00Z", "other"), _condition("Accepted", "True"),
            _condition("New", "True"),
        ]
    }  # fmt: skip
    times = {each["type"]: each["lastTransitionTime"] for each in agenda.merged(current, wanted, NOW)["conditions"]}
    assert times == {
        "Ready": "2026-11-24T08:00:00Z", "Accepted": "2026-11-24T08:30:10Z", "New": "2026-11-24T08:30:10Z",
    }  # fmt: skip


VALUES = st.sampled_from(["0.00", "1.00", "1.04", "2.00"])
FIELDS = st.dictionaries(st.sampled_from(["spent", "held", "forecast"]), VALUES)
STATUSES = st.builds(
    lambda fields, ready, accepted: {
        "observedGeneration": 1, "conditions": [_condition("Ready", ready), _condition("Accepted", accepted)], **fields
    },
    FIELDS, st.sampled_from(["True", "False"]), st.sampled_from(["True", "False"]),
)  # fmt: skip


@given(STATUSES, STATUSES)
def test_what_was_merged_is_said(current: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert agenda.is_said(agenda.merged(current, wanted, NOW), wanted)
