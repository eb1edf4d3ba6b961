"""What of an event goes on record, and which of it is personal.

Personal is what names or may name a person or what they wrote: the user (also inside account keys and charging paths),
the pod, the prompt and its digest, and free sentences and JSON paths, which can repeat names that a client chose.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, Union, assert_never

import msgspec

from llmgov.audit import events
from llmgov.audit.canonical import MAX_INTEGER, Json
from llmgov.ledger import messages
from llmgov.policy.decision import Violation


class Personal(msgspec.Struct, frozen=True):
    """A value that the record itself holds only as a salted commitment."""

    value: str


Fact: TypeAlias = Union[Json, Personal, Sequence["Fact"], Mapping[str, "Fact"]]  # noqa: UP007 - recursive
Facts: TypeAlias = Mapping[str, Fact]

USER_TARGET = "user/"
_DRY_RUN = "dry-run@"
_KEY_SEPARATOR = "|"
_SEPARATORS_BEFORE_A_USER = 4
"""How targets of single users begin (`snapshot.Target`)."""


def kind(event: events.AuditEvent) -> str:
    """The event's tag: `intent`, `settlement`, `inForce`, …"""
    return str(event.__struct_config__.tag)


def subject_of(event: events.AuditEvent) -> str | None:
    """Whose key seals the event's personal fields (`user/<name>`, `workload/<namespace>/<serviceAccount>`).

    `None` where the event has none: then `chain.append` needs no key.
    """
    match event:
        case messages.Intent() | messages.Refused() | messages.Violated():
            subject = event.subject
            if subject.user is not None:
                return f"user/{subject.user}"
            return f"workload/{subject.namespace}/{subject.service_account}"
        case events.ApprovalDecided() | events.Corrected() | events.LossAccepted() | events.Erased():
            return f"user/{event.actor}"
        case events.InForce() | events.LedgerBegun():
            return None if event.actor is None else f"user/{event.actor}"
        case messages.Settlement() | events.Tombstone():
            return None
    assert_never(event)


def of(event: events.AuditEvent) -> Facts:
    """The event as facts, without its kind; what is absent is left out."""
    match event:
        case messages.Intent():
            return _present(_intent(event))
        case messages.Settlement():
            return _present(_settlement(event))
        case messages.Refused():
            return _present(_refused(event))
        case messages.Violated():
            return _present(_violated(event))
        case events.InForce():
            return _present(_in_force(event))
        case events.ApprovalDecided():
            return _present(_approval_decided(event))
        case events.Corrected():
            return _present(_corrected(event))
        case events.LedgerBegun():
            return _present(_life(event))
        case events.LossAccepted():
            return _present({**_life(event), "waiting": event.waiting})
        case events.Erased():
            return _present(
                {"at": event.at, "key": event.key, "actor": Personal(event.actor), "reason": _personal(event.reason)}
            )
        case events.Tombstone():
            return _present(tombstone(event))
    assert_never(event)


def names_user(key: str) -> bool:
    """Whether a target (`user/jane`) or an account's key names a single user.

    A key (`snapshot.account_key`) does by its target, `cluster|user/jane|Month|UTC`, or by the user that is added to
    the key of each user's account, `cluster|user|Month|UTC|jane`.
    """
    if key.count(_KEY_SEPARATOR) >= _SEPARATORS_BEFORE_A_USER:
        return True
    segments = key.split(_KEY_SEPARATOR)[:2]
    return any(segment.removeprefix(_DRY_RUN).startswith(USER_TARGET) for segment in segments)


def tombstone(event: events.Tombstone) -> dict[str, Json]:
    """A tombstone's facts, its signature included."""
    return {
        "at": event.at,
        "writer": event.writer,
        "first": event.first,
        "hashes": list(event.hashes),
        "attempts": event.attempts,
        "cost": _whole(event.cost),
        "targets": {target: _whole(cost) for target, cost in event.targets.items()},
        "signer": event.signer,
        "signature": event.signature,
    }


def _intent(event: messages.Intent) -> Mapping[str, Fact | None]:
    return {
        "id": event.id,
        "at": event.at,
        "request": event.request_id,
        "subject": _subject(event.subject),
        "hold": _whole(event.hold),
        "charged": [{"lease": c.lease, "key": _key(c.key), "held": _whole(c.held)} for c in event.charged],
        "snapshot": list(event.snapshot),
        "policies": list(event.policies),
        "prompt": _personal(event.prompt),
        "approval": event.approval,
    }


def _settlement(event: messages.Settlement) -> Mapping[str, Fact | None]:
    return {
        "id": event.id,
        "at": event.at,
        "outcome": event.outcome.value,
        "cost": _whole(event.cost),
        "usage": {dimension.value: _whole(count) for dimension, count in event.usage.items()},
        "status": event.status,
        "model": event.model,
        "duration": event.duration,
        "overrun": event.overrun,
        "stop": event.stop or None,
    }


def _refused(event: messages.Refused) -> Mapping[str, Fact | None]:
    return {
        "id": event.id,
        "at": event.at,
        "request": event.request_id,
        "subject": _subject(event.subject),
        "reason": event.reason,
        "policy": event.policy,
        "message": Personal(event.message),
        "violations": _violations(event.violations),
        "status": event.status,
        "count": event.count,
        "approvalDigest": _personal(event.approval_digest),
        "approvalSummary": _personal(event.approval_summary),
    }


def _violated(event: messages.Violated) -> Mapping[str, Fact | None]:
    return {
        "id": event.id,
        "at": event.at,
        "request": event.request_id,
        "attempt": event.attempt,
        "subject": _subject(event.subject),
        "violations": _violations(event.violations),
    }


def _in_force(event: events.InForce) -> Mapping[str, Fact | None]:
    return {
        "at": event.at,
        "part": event.part,
        "version": event.version,
        "replaced": event.replaced,
        "actor": _personal(event.actor),
    }


def _approval_decided(event: events.ApprovalDecided) -> Mapping[str, Fact | None]:
    return {
        "at": event.at,
        "approval": event.approval,
        "approved": event.approved,
        "actor": Personal(event.actor),
        "covers": Personal(event.covers),
        "reason": _personal(event.reason),
    }


def _corrected(event: events.Corrected) -> Mapping[str, Fact | None]:
    return {
        "at": event.at,
        "correction": event.correction,
        "what": event.what,
        "subject": event.subject,
        "before": _whole(event.before),
        "after": _whole(event.after),
        "actor": Personal(event.actor),
        "reason": Personal(event.reason),
        "account": _key(event.account) if event.account else None,
        "windowStart": event.window_start or None,
        "path": [_key(target) for target in event.path],
    }


def _life(event: events.LedgerBegun | events.LossAccepted) -> Mapping[str, Fact | None]:
    return {
        "at": event.at,
        "epoch": event.epoch,
        "generation": event.generation,
        "actor": _personal(event.actor),
        "reason": _personal(event.reason),
    }


def _subject(subject: messages.Subject) -> Facts:
    return _present(
        {
            "namespace": subject.namespace,
            "serviceAccount": subject.service_account,
            "user": _personal(subject.user),
            "teams": list(subject.teams),
            "path": [_key(target) for target in subject.path],
            "provider": subject.provider,
            "model": subject.model,
            "operation": subject.operation,
            "pod": _personal(subject.pod or None),
        }
    )


def _violations(violations: Iterable[Violation]) -> list[Fact]:
    return [
        _present(
            {
                "policy": violation.policy,
                "action": violation.action.value,
                "reason": violation.reason,
                "message": Personal(violation.message),
                "dryRun": violation.dry_run,
                "path": _personal(violation.path),
                "notify": [audience.value for audience in violation.notify],
            }
        )
        for violation in violations
    ]


def _key(key: str) -> Fact:
    return Personal(key) if names_user(key) else key


def _personal(value: str | None) -> Personal | None:
    return None if value is None else Personal(value)


def _whole(number: int) -> int | str:
    """The number, or its decimal digits where it is beyond what every reader of JSON holds exactly.

    A provider may report any usage; a record must be possible all the same.
    """
    return number if -MAX_INTEGER <= number <= MAX_INTEGER else str(number)


def _present(facts: Mapping[str, Fact | None]) -> Facts:
    return {name: fact for name, fact in facts.items() if fact is not None}
