"""The purse's leases with the mark: which attempts hold from which, and what goes back so that nobody waits for it."""

from llmgov import instants
from llmgov.ledger.commands import Command, Held, Returned, Send, Write
from llmgov.ledger.definitions import fingerprint
from llmgov.ledger.messages import Lease, LeaseGrant, LeaseRefusal, LeaseRequest, LeaseReturn, Why
from llmgov.ledger.purse import Purse, Wish
from tests.support import ledgers
from tests.support.ledgers import NOW, PATH

TEAM = ledgers.account()
HOUR = instants.HOUR


def wish(attempt: str, amount: int, *, strict: bool) -> Wish:
    return Wish(attempt, (ledgers.charge(TEAM),), amount, amount, PATH, strict=strict)


def lease(id_: str, amount: int, *, strict: bool, hours: int = 1) -> Lease:
    return Lease(
        id_, TEAM.key, NOW - HOUR, NOW + 5 * HOUR, amount, NOW + hours * HOUR, None, fingerprint(TEAM), strict=strict
    )


def messages(commands: tuple[Command, ...]) -> list[object]:
    return [command.message for command in commands if isinstance(command, Send)]


def held(commands: tuple[Command, ...]) -> list[tuple[str, int]]:
    """The parts that were set aside, by lease."""
    return [(part.lease, part.held) for each in commands if isinstance(each, Held) for part in each.charged]


def lent(*leases: Lease) -> Purse:
    """A purse with these leases, and nobody who holds from them."""
    purse = Purse(ledgers.epoch())
    purse.define({TEAM.key: TEAM}, NOW)
    for number, one in enumerate(leases, 1):
        purse.hold(wish(f"first-{number}", 10_000 * number, strict=one.strict), NOW)
        purse.on_grant(LeaseGrant(number, (one,), NOW), NOW)
        purse.cancel(f"first-{number}", NOW)
    return purse


def test_a_request_has_the_mark_of_the_attempt_in_hand() -> None:
    for strict in (False, True):
        (message,) = messages(Purse(ledgers.epoch()).hold(wish("a", 10, strict=strict), NOW))
        assert isinstance(message, LeaseRequest)
        assert message.strict is strict


def test_a_strict_attempt_holds_from_strict_leases_first_and_then_from_the_others() -> None:
    purse = lent(lease("ordinary", 100, strict=False), lease("strict", 30, strict=True, hours=2))
    assert held(purse.hold(wish("a", 50, strict=True), NOW)) == [("strict", 30), ("ordinary", 20)]


def test_an_attempt_that_is_not_strict_holds_from_ordinary_leases_only() -> None:
    purse = lent(lease("ordinary", 100, strict=False), lease("strict", 30, strict=True))
    assert held(purse.hold(wish("a", 100, strict=False), NOW)) == [("ordinary", 100)]
    assert purse.idle(TEAM.key, NOW) == 30


def test_what_it_cannot_hold_goes_back_before_it_asks() -> None:
    purse = lent(lease("strict", 30, strict=True))
    commands = purse.hold(wish("a", 20, strict=False), NOW)
    back, request = messages(commands)
    assert back == LeaseReturn(ledgers.epoch(), "strict", 1, 30, final=True)
    assert commands[0] == Write(Returned(back), sync=False)
    assert isinstance(request, LeaseRequest)
    assert (request.strict, request.needs[0].least) == (False, 20)


def test_what_is_wanted_with_the_mark_is_for_strict_attempts_alone() -> None:
    purse = Purse(ledgers.epoch())
    purse.define({TEAM.key: TEAM}, NOW)
    purse.hold(wish("a", 10, strict=True), NOW)
    purse.hold(wish("b", 20, strict=False), NOW)
    purse.hold(wish("c", 40, strict=True), NOW)
    (request,) = messages(purse.on_grant(LeaseGrant(1, (), NOW), NOW))
    assert isinstance(request, LeaseRequest)
    assert request.needs[0].want == 50


def test_a_refusal_does_not_end_the_wait_for_what_came_back_to_a_strict_lease_meanwhile() -> None:
    purse = lent(lease("strict", 30, strict=True))
    purse.hold(wish("flying", 30, strict=True), NOW)
    (request,) = messages(purse.hold(wish("a", 20, strict=False), NOW))
    assert isinstance(request, LeaseRequest)
    purse.settle("flying", 5, NOW)
    refusal = LeaseRefusal(request.request, Why.EXHAUSTED, TEAM.key, 0, 100, NOW + HOUR, NOW)
    back, again = messages(purse.on_refusal(refusal, NOW))
    assert back == LeaseReturn(ledgers.epoch(), "strict", 1, 25, final=True)
    assert isinstance(again, LeaseRequest)
