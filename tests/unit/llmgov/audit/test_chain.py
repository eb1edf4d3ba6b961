"""The chain and its records, against hashes computed here from nothing but the documented format."""

import enum
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.audit import canonical, chain, events, facts, record, sealing
from llmgov.ledger import messages
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Audience, Dimension

SALT = bytes(range(32))
KEY = sealing.SubjectKey("key-1", b"k" * 32)
SUBJECT = messages.Subject(
    namespace="shop",
    service_account="web",
    user="jane@example.com",
    teams=("payments",),
    path=("workload/shop/web", "namespace/shop", "user/jane@example.com", "organization"),
    provider="openai",
    model="gpt-4o",
    operation="chat.completions",
    pod="web-7d9f",
)
VIOLATION = Violation(
    "shop/pii", Action.REDACT, "pattern:ssn", "jane sent an SSN", True, "messages[0]", (Audience.ADMINS,)
)
INTENT = messages.Intent(
    id="uid:1/7",
    at=1_700_000_000_000_000,
    request_id="req-1",
    subject=SUBJECT,
    hold=1200,
    charged=(messages.Charged("l1", "c|user/jane@example.com|Month|UTC", 1200),),
    snapshot=("abc", "def"),
    policies=("shop/pii",),
    prompt="hmac-sha256:00",
    retention_days=2555,
)
SETTLEMENT = messages.Settlement(
    "uid:1/7", 5, messages.Outcome.SETTLED, 900, {Dimension.INPUT: 10}, 200, "gpt-4o-2024-08-06"
)
REFUSED = messages.Refused(
    "uid:1/8", 6, "req-2", SUBJECT, "budget_exceeded", None, "llmgov: jane has no money", (VIOLATION,), 402
)
VIOLATED = messages.Violated("uid:1/9", 7, "req-1", "uid:1/7", SUBJECT, (VIOLATION,))
ADMINISTRATIVE = (
    events.InForce(1, "organization", "v2", "v1", "root@example.com"),
    events.ApprovalDecided(2, "ap-1", True, "root@example.com", "digest", "ticket 7"),
    events.Erased(3, "key-1", "root@example.com", "request of the person"),
    events.Tombstone(4, "hub-0", 1, ("aa", "bb"), 1, 900, {"organization": 900}, "k", "sig"),
)
EVENTS = (INTENT, SETTLEMENT, REFUSED, VIOLATED, *ADMINISTRATIVE)


def _append(event: events.AuditEvent) -> record.AuditRecord:
    return chain.append(chain.ChainHead("hub-0"), event, now=99, salt=SALT, key=KEY)[0]


def _expected_commitment(path: str, value: str) -> dict[str, str]:
    salt = hmac.new(SALT, b"field " + path.encode(), hashlib.sha256).digest()
    return {"commitment": hmac.new(salt, value.encode(), hashlib.sha256).hexdigest()}


def test_an_intents_record_is_exactly_the_documented_bytes() -> None:
    made = _append(INTENT)
    document = {
        "facts": {
            "at": 1_700_000_000_000_000,
            "charged": [
                {
                    "held": 1200,
                    "key": _expected_commitment("charged[0].key", "c|user/jane@example.com|Month|UTC"),
                    "lease": "l1",
                }
            ],
            "hold": 1200,
            "id": "uid:1/7",
            "policies": ["shop/pii"],
            "prompt": _expected_commitment("prompt", "hmac-sha256:00"),
            "request": "req-1",
            "snapshot": ["abc", "def"],
            "subject": {
                "model": "gpt-4o",
                "namespace": "shop",
                "operation": "chat.completions",
                "path": [
                    "workload/shop/web",
                    "namespace/shop",
                    _expected_commitment("subject.path[2]", "user/jane@example.com"),
                    "organization",
                ],
                "pod": _expected_commitment("subject.pod", "web-7d9f"),
                "provider": "openai",
                "serviceAccount": "web",
                "teams": ["payments"],
                "user": _expected_commitment("subject.user", "jane@example.com"),
            },
        },
        "format": 1,
        "kind": "intent",
        "previous": "0" * 64,
        "recorded": 99,
        "retentionDays": 2555,
        "seal": {"digest": hashlib.sha256(made.box or b"").hexdigest(), "key": "key-1"},
        "seq": 1,
        "writer": "hub-0",
    }
    exact = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert record.content(made) == exact
    assert made.hash == hashlib.sha256(b"llmgov audit record\n" + exact).hexdigest()


def test_each_record_names_the_hash_of_the_one_before_it() -> None:
    head = chain.ChainHead("hub-0")
    links = []
    for event in EVENTS:
        made, head, _ = chain.append(head, event, now=99, salt=SALT, key=KEY)
        links.append((made.seq, made.previous, made.hash))
    assert [seq for seq, _, _ in links] == list(range(1, len(EVENTS) + 1))
    assert [previous for _, previous, _ in links] == ["0" * 64, *(hash_ for _, _, hash_ in links[:-1])]
    assert head == chain.ChainHead("hub-0", len(EVENTS), links[-1][2])


@pytest.mark.parametrize("event", EVENTS, ids=facts.kind)
def test_nothing_personal_is_readable_in_a_record(event: events.AuditEvent) -> None:
    stored = record.encode(_append(event))
    for secret in (b"jane", b"root@", b"web-7d9f", b"hmac-sha256", b"SSN", b"messages[0]", b"ticket", b"of the person"):
        assert secret not in stored


@pytest.mark.parametrize("event", EVENTS, ids=facts.kind)
def test_every_record_survives_storage_byte_for_byte(event: events.AuditEvent) -> None:
    made = _append(event)
    assert record.decode(record.encode(made)) == made
    assert record.digest(made) == made.hash


@pytest.mark.parametrize("event", EVENTS, ids=facts.kind)
def test_a_record_is_stored_as_it_encodes(event: events.AuditEvent) -> None:
    made, _, data = chain.append(chain.ChainHead("hub-0"), event, now=99, salt=SALT, key=KEY)
    assert data == record.encode(made)


@pytest.mark.parametrize("key", ["a", "é"], ids=["by the encoder in C", "by our own"])
def test_a_part_that_is_encoded_already_stands_as_it_is(key: str) -> None:
    part = canonical.Encoded(canonical.encode({"z": [1], key: "x"}))
    assert canonical.encode({key: part}) == canonical.encode({key: {"z": [1], key: "x"}})


@pytest.mark.parametrize("event", [INTENT, REFUSED, VIOLATED, *ADMINISTRATIVE[:3]], ids=facts.kind)
def test_the_subjects_key_gives_every_personal_value_back(event: events.AuditEvent) -> None:
    made = _append(event)
    opening = record.opened(made, KEY)
    shown = sealing.reveal(made.facts, opening.values)
    assert opening.values
    assert not sealing.commitments(shown)
    assert "example.com" in json.dumps(shown)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(sealing.SealingError, match="does not open"):
        record.opened(_append(INTENT), sealing.SubjectKey("key-1", b"x" * 32))


def test_a_box_opens_only_in_its_own_record() -> None:
    moved = chain.append(chain.ChainHead("hub-1"), INTENT, now=99, salt=SALT, key=KEY)[0]
    with pytest.raises(sealing.SealingError, match="does not open"):
        sealing.unseal(moved.box or b"", KEY, record.context("hub-0", 1))


def test_equal_values_look_unrelated_across_records_and_fields() -> None:
    other = chain.append(chain.ChainHead("hub-0"), INTENT, now=99, salt=bytes(32), key=KEY)[0]
    here, there = (dict(sealing.commitments(made.facts)) for made in (_append(INTENT), other))
    assert here.keys() == there.keys()
    assert not set(here.values()) & set(there.values())
    assert sealing.commitment(SALT, "a", "same") != sealing.commitment(SALT, "b", "same")


def test_an_event_with_personal_fields_needs_a_key_and_a_settlement_none() -> None:
    with pytest.raises(sealing.SealingError, match="needs its subject's key"):
        chain.append(chain.ChainHead("hub-0"), INTENT, now=1, salt=SALT, key=None)
    made, _, _ = chain.append(chain.ChainHead("hub-0"), SETTLEMENT, now=1, salt=SALT, key=None)
    assert made.seal is None
    assert made.box is None


def test_whose_key_is_the_users_or_else_the_workloads() -> None:
    machine = messages.Violated(
        "uid:1/9", 7, "req-1", None, messages.Subject("shop", "web", None, (), (), "", "", ""), ()
    )
    named = [facts.subject_of(event) for event in (INTENT, machine, SETTLEMENT, *ADMINISTRATIVE)]
    assert named == [
        "user/jane@example.com",
        "workload/shop/web",
        None,
        "user/root@example.com",
        "user/root@example.com",
        "user/root@example.com",
        None,
    ]


def test_a_usage_beyond_exact_integers_is_recorded_as_digits() -> None:
    absurd = messages.Settlement("uid:1/7", 5, messages.Outcome.SETTLED, 2**60, {Dimension.INPUT: 2**70}, 200, "m")
    assert _append(absurd).facts["cost"] == str(2**60)
    assert _append(absurd).facts["usage"] == {"input": str(2**70)}


def test_retention_is_the_policys_where_it_names_one_and_a_tombstone_stays_for_ever() -> None:
    assert [_append(event).retention_days for event in (INTENT, SETTLEMENT, ADMINISTRATIVE[3])] == [2555, 365, 0]


@pytest.mark.parametrize(
    "change",
    [lambda line: line.replace(b'"seq":1', b'"seq": 1'), lambda line: line[:-1] + b',"seq":1}', lambda line: b"[]"],
    ids=["a space", "a repeated key", "no object"],
)
def test_only_the_exact_bytes_are_a_record(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(record.RecordError):
        record.decode(change(record.encode(_append(SETTLEMENT))))


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        ({"b": 1, "a": [True, "x"]}, b'{"a":[true,"x"],"b":1}'),
        ('\u20ac$\u000f\nA\'B"\\\\"/', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()),
        ({"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}, None),
    ],
    ids=["keys are sorted", "RFC 8785 section 3.2.2's string", "RFC 8785 section 3.2.3's order"],
)
def test_canonical_bytes_are_those_of_the_rfc(value: canonical.Json, exact: bytes | None) -> None:
    if exact is None:
        order = [int(part.rsplit(":", 1)[1]) for part in canonical.encode(value).decode().strip("{}").split(",")]
        assert order == [2, 4, 6, 7, 1, 5, 3]
    else:
        assert canonical.encode(value) == exact


@pytest.mark.parametrize("value", [1.5, None, 2**53, "\ud800", {"\ud800": 1}, {1: 2}, b"x"], ids=repr)
def test_what_has_no_exact_bytes_is_refused(value: object) -> None:
    with pytest.raises(canonical.CanonicalError):
        canonical.encode(value)  # type: ignore[arg-type]


_json = st.recursive(
    st.text(st.characters(codec="utf-8"), max_size=8) | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé\n", max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(_json)
@settings(max_examples=60)
def test_canonical_bytes_are_the_standard_librarys_where_that_agrees(value: canonical.Json) -> None:
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical.encode(value) == expected


def _variants(value: Any) -> Iterator[Any]:
    """The same document with one field, at any depth, made another."""
    match value:
        case msgspec.Struct():
            for name in value.__struct_fields__:
                for other in _variants(getattr(value, name)):
                    changed = msgspec.structs.replace(value, **{name: _value(other)})
                    yield pytest.param(changed, id=f"{name} {_id(other)}".rstrip())
        case tuple() if value:
            for other in _variants(value[0]):
                yield pytest.param((_value(other), *value[1:]), id=_id(other))
        case bool():
            yield not value
        case enum.Enum():
            yield next(member for member in type(value) if member is not value)
        case int():
            yield value + 1
        case str():
            yield value + "x"
        case dict():
            yield {}
        case _:
            yield "something" if value is None else ("something",)


def _value(found: Any) -> Any:
    return found.values[0] if hasattr(found, "values") and hasattr(found, "marks") else found


def _id(found: Any) -> str:
    return str(found.id) if hasattr(found, "marks") else ""


COMPLETE = (
    INTENT,
    SETTLEMENT,
    msgspec.structs.replace(REFUSED, policy="shop/pii", approval_digest="d", approval_summary="s"),
    VIOLATED,
    *ADMINISTRATIVE,
)


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        pytest.param(event, _value(other), id=f"{facts.kind(event)} {_id(other)}")
        for event in COMPLETE
        for other in _variants(event)
    ],
)
def test_every_fact_of_an_event_is_on_record(event: events.AuditEvent, changed: events.AuditEvent) -> None:
    """A field that somebody adds to an event and forgets here is found by this test."""
    assert _append(changed).hash != _append(event).hash
