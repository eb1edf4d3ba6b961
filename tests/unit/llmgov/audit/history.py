"""A small history of two writers, as two hubs would leave it: what the audit's tests tamper with."""

import hashlib

import msgspec

from llmgov.audit import chain, checkpoint, events, record, sealing, signing, tally
from llmgov.instants import SECOND
from llmgov.ledger import messages
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Dimension

SIGNER = signing.Signer(b"s" * 32)
OTHER_SIGNER = signing.Signer(b"t" * 32)
PINS = signing.pins([SIGNER.public])
START = 1_700_000_000_000_000
KEYS = {
    "jane": sealing.SubjectKey("k1", b"j" * 32),
    "joe": sealing.SubjectKey("k2", b"o" * 32),
    "web": sealing.SubjectKey("k3", b"w" * 32),
}


class History(msgspec.Struct):
    """Records and checkpoints in the order of a store."""

    records: list[record.AuditRecord] = []
    checkpoints: list[checkpoint.Checkpoint] = []

    def at(self, writer: str, seq: int) -> int:
        """The index of a record."""
        return next(index for index, one in enumerate(self.records) if (one.writer, one.seq) == (writer, seq))

    def head(self, writer: str) -> chain.ChainHead:
        """Where a writer's chain stands."""
        return max((chain.ChainHead(r.writer, r.seq, r.hash) for r in self.records if r.writer == writer),
                   key=lambda head: head.seq, default=chain.ChainHead(writer))  # fmt: skip

    def append(self, writer: str, event: events.AuditEvent, key: sealing.SubjectKey | None = None) -> None:
        """Append, one second later than the record before."""
        salt = hashlib.sha256(f"{writer} {len(self.records)}".encode()).digest()
        now = START + len(self.records) * SECOND
        self.records.append(chain.append(self.head(writer), event, now=now, salt=salt, key=key)[0])

    def sign(self, writer: str, signer: signing.Signer = SIGNER) -> None:
        """Sign what is not signed."""
        before = [one for one in self.checkpoints if one.writer == writer]
        previous = before[-1] if before else None
        seq = previous.last if previous else 0
        hashes = [one.hash for one in self.records if one.writer == writer and one.seq > seq]
        now = START + len(self.records) * SECOND
        self.checkpoints.append(checkpoint.sign(previous, writer, hashes, now=now, signer=signer))

    def anchor(self) -> checkpoint.Anchor:
        """The latest checkpoint of each writer."""
        return checkpoint.Anchor(tuple({one.writer: one for one in self.checkpoints}.values()))

    def attempt(self, writer: str, number: int, cost: int, user: str = "jane") -> None:
        """An intent and its settlement."""
        self.append(writer, intent(number, user), KEYS[user])
        self.append(writer, settlement(number, cost))


def subject(user: str | None) -> messages.Subject:
    """A workload of team payments, called by `user`."""
    path = ("workload/shop/web", "namespace/shop", "team/payments", "organization")
    return messages.Subject(
        "shop", "web", user, ("payments",), (*path, f"user/{user}"), "openai", "gpt-4o", "chat.completions", "web-1"
    )


def intent(number: int, user: str = "jane") -> messages.Intent:
    """Attempt `number` of epoch `pod:1`."""
    charged = (messages.Charged("lease-1", "c|organization|Month|UTC", 500),)
    return messages.Intent(f"pod:1/{number}", START + number, f"r{number}", subject(user), 500, charged, ("v1",))


def settlement(number: int, cost: int) -> messages.Settlement:
    """Its end."""
    usage = {Dimension.INPUT: 10, Dimension.OUTPUT: 5}
    return messages.Settlement(f"pod:1/{number}", START, messages.Outcome.SETTLED, cost, usage, 200, "gpt-4o")


def refused(number: int) -> messages.Refused:
    """A refusal of Joe's."""
    violation = Violation("shop/pii", Action.DENY, "pattern:ssn", "an SSN", path="messages[0].content")
    return messages.Refused(
        f"pod:1/{number}", START, f"r{number}", subject("joe"), "content", "shop/pii", "llmgov: no", (violation,), 400
    )


def make() -> History:
    """hub-0: attempts 1 and 2, a refusal, all signed in two checkpoints, and a tail; hub-1: attempt 4."""
    history = History()
    history.attempt("hub-0", 1, 300)
    history.sign("hub-0")
    history.append("hub-1", intent(4, "joe"), KEYS["joe"])
    history.attempt("hub-0", 2, 200)
    history.append("hub-0", refused(3), KEYS["joe"])
    history.sign("hub-0")
    history.append("hub-1", settlement(4, 50))
    history.sign("hub-1")
    history.append("hub-0", events.InForce(START, "organization", "v2", "v1"))
    return history


SUMS = tally.Sums(3, 550, {"workload/shop/web": 550, "namespace/shop": 550, "team/payments": 550, "organization": 550})
"""What the ledger would say of it."""
