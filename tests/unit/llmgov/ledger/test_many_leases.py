"""Of a sidecar's many small leases one attempt holds from as many as the ledger takes, and the rest goes back."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger import bounds
from llmgov.ledger.commands import Command, Held, Refused, Send
from llmgov.ledger.definitions import fingerprint
from llmgov.ledger.messages import Lease, LeaseGrant, LeaseRequest, LeaseReturn, Why
from llmgov.ledger.purse import Purse, Wish
from llmgov.snapshot import Account, Target, TargetKind
from tests.support import ledgers
from tests.support.ledgers import NOW, PATH

ACCOUNTS = [ledgers.account(Target(TargetKind.TEAM, f"t{number}")) for number in range(4)]


def wish(attempt: str, amount: int, accounts: list[Account], least: int | None = None) -> Wish:
    charges = tuple(map(ledgers.charge, accounts))
    return Wish(attempt, charges, amount if least is None else least, amount, PATH)


def requests(commands: tuple[Command, ...]) -> list[LeaseRequest]:
    sent = [command.message for command in commands if isinstance(command, Send)]
    return [message for message in sent if isinstance(message, LeaseRequest)]


def returned(commands: tuple[Command, ...]) -> dict[str, int]:
    sent = [command.message for command in commands if isinstance(command, Send)]
    return {message.lease: message.amount for message in sent if isinstance(message, LeaseReturn)}


def lend(purse: Purse, request: LeaseRequest) -> tuple[Command, ...]:
    leases = tuple(
        Lease(f"{request.request}/{index}", need.key, NOW - 1, NOW + 10**9, need.want, NOW + 10**9,
              definition=fingerprint(need.account))
        for index, need in enumerate(request.needs)
    )  # fmt: skip
    return purse.on_grant(LeaseGrant(request.request, leases, NOW), NOW)


def scattered(rests: list[int], accounts: list[Account]) -> Purse:
    """A purse with as many leases of each account, each with a rest: attempts held all of them, and cost less."""
    purse = Purse(ledgers.epoch())
    for number, _ in enumerate(rests):
        (request,) = requests(purse.hold(wish(str(number), 100, accounts), NOW))
        lend(purse, request)
    for number, rest in enumerate(rests):
        purse.settle(str(number), 100 - rest, NOW)
    return purse


def by_account(held: Held) -> dict[str, list[int]]:
    parts = collections.defaultdict(list)
    for part in held.charged:
        parts[part.key].append(part.held)
    return dict(parts)


@pytest.mark.parametrize("among", [1, 2, 4])
def test_an_attempt_gives_back_what_would_be_too_many_parts_and_asks_for_the_whole(among: int) -> None:
    accounts, parts = ACCOUNTS[:among], bounds.MAX_PARTS // among
    purse = scattered([3] * 300, accounts)
    wanted = 3 * parts + 80
    commands = purse.hold(wish("big", wanted, accounts), NOW)
    assert len(returned(commands)) == among * (300 - (parts - 1))
    assert set(returned(commands).values()) == {3}
    (request,) = requests(commands)
    assert {need.want for need in request.needs} == {wanted - 3 * (parts - 1)}
    (held,) = [command for command in lend(purse, request) if isinstance(command, Held)]
    assert held.amount == wanted
    assert {key: (len(found), sum(found)) for key, found in by_account(held).items()} == {
        account.key: (parts, wanted) for account in accounts
    }


def test_what_the_largest_leases_have_is_held_from_them_and_nothing_goes_back() -> None:
    purse = scattered([1] * 200 + [50] * 100, ACCOUNTS[:1])
    (held,) = purse.hold(wish("big", 5100, ACCOUNTS[:1]), NOW)
    assert isinstance(held, Held)
    assert collections.Counter(by_account(held)[ACCOUNTS[0].key])[50] >= 98
    assert len(held.charged) <= bounds.MAX_PARTS
    assert purse.idle(ACCOUNTS[0].key, NOW) == 200 + 5000 - 5100


@given(st.lists(st.integers(1, 60), min_size=10, max_size=40), st.integers(1, 4), st.integers(1, 3_000))
def test_however_money_is_scattered_an_attempt_gets_what_it_needs_in_parts_that_the_ledger_takes(
    rests: list[int], among: int, amount: int
) -> None:
    accounts = ACCOUNTS[:among]
    purse = scattered(rests, accounts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "MAX_PARTS", 16)
        commands = purse.hold(wish("big", amount, accounts), NOW)
        answers = [command for command in commands if isinstance(command, Held)]
        for request in requests(commands):
            answers += [command for command in lend(purse, request) if isinstance(command, Held)]
    (held,) = answers
    assert held.amount == amount
    assert len(held.charged) <= 16
    assert {key: sum(found) for key, found in by_account(held).items()} == {account.key: amount for account in accounts}
    assert not requests(purse.settle("big", amount, NOW)), "nobody waits any more"


def test_an_attempt_that_is_charged_to_more_than_the_ledger_takes_is_refused_here() -> None:
    purse = Purse(ledgers.epoch())
    long = Wish("a", (ledgers.charge(),), 1, 1, ("organization",) * (bounds.MAX_PATH + 1))
    wide = Wish("b", (ledgers.charge(),) * (bounds.MAX_PATH + 1), 1, 1, PATH)
    for each in (long, wide):
        (refused,) = purse.hold(each, NOW)
        assert isinstance(refused, Refused)
        assert refused.refusal.why is Why.NOT_TAKEN
