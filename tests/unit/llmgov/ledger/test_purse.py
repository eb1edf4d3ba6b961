"""The purse by conversation: what happens in, commands out."""

import msgspec
import pytest

from llmgov import instants
from llmgov.ledger.commands import Command, Held, Leased, Refused, Returned, Send, Write
from llmgov.ledger.definitions import fingerprint
from llmgov.ledger.messages import (
    Holding,
    Holdings,
    Lease,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Need,
    Recall,
    Recalled,
    Recount,
    Why,
)
from llmgov.ledger.purse import Purse, Wish
from llmgov.policy.decision import Charge
from llmgov.snapshot import Account, Target, TargetKind, user_account_key
from tests.support import ledgers
from tests.support.ledgers import NOW, PATH

TEAM = ledgers.account()
ORGANIZATION = ledgers.account(Target(TargetKind.ORGANIZATION))
DEFINITIONS = {TEAM.key: TEAM, ORGANIZATION.key: ORGANIZATION}
LOWERED = msgspec.structs.replace(TEAM, limit=TEAM.limit // 2)
MINUTE = instants.MINUTE
SKEW = 3 * instants.HOUR
"""The ledger's clock is ahead of the sidecar's."""


def purse() -> Purse:
    return Purse(ledgers.epoch())


def wish(attempt: str, least: int, want: int | None = None, **fields: object) -> Wish:
    charges = (ledgers.charge(TEAM), ledgers.charge(ORGANIZATION))
    return Wish(attempt, charges, least, least if want is None else want, PATH, **fields)  # type: ignore[arg-type]


def only_team(attempt: str, least: int, want: int | None = None) -> Wish:
    return Wish(attempt, (ledgers.charge(TEAM),), least, least if want is None else want, PATH)


def lease(
    id_: str, amount: int, key: str = TEAM.key, minutes: int = 10, over: int | None = None, by: Account | None = None
) -> Lease:
    now, definition = NOW + SKEW, fingerprint(by or DEFINITIONS.get(key, TEAM))
    return Lease(id_, key, now - MINUTE, now + 60 * MINUTE, amount, now + minutes * MINUTE, over, definition)


def grant(request: int, *leases: Lease) -> LeaseGrant:
    return LeaseGrant(request, leases, NOW + SKEW)


def refusal(request: int, remaining: int = 0, why: Why = Why.EXHAUSTED) -> LeaseRefusal:
    return LeaseRefusal(request, why, TEAM.key, remaining, 100, NOW + MINUTE, NOW)


def asked(commands: tuple[Command, ...]) -> LeaseRequest:
    (command,) = commands
    assert isinstance(command, Send)
    assert isinstance(command.message, LeaseRequest)
    return command.message


def held(commands: tuple[Command, ...]) -> dict[str, int]:
    return {command.attempt: command.amount for command in commands if isinstance(command, Held)}


def refused(commands: tuple[Command, ...]) -> list[str]:
    return [command.attempt for command in commands if isinstance(command, Refused)]


def returned(commands: tuple[Command, ...]) -> list[tuple[str, int, int, bool]]:
    """Returns that are recorded and then sent, in this order."""
    written = [command.record.message for command in commands if isinstance(command, Write) and not command.sync]  # type: ignore[union-attr]
    sent = [c.message for c in commands if isinstance(c, Send) and isinstance(c.message, LeaseReturn)]
    assert written == sent
    return [(message.lease, message.serial, message.amount, message.final) for message in sent]


def with_money(amount: int, minutes: int = 10) -> Purse:
    """A purse with one idle lease `L` of the team, after a first attempt that cost nothing."""
    made = purse()
    made.hold(only_team("first", amount), NOW)
    made.on_grant(grant(1, lease("L", amount, minutes=minutes)), NOW)
    made.settle("first", 0, NOW)
    return made


def test_everything_missing_is_asked_for_in_one_request() -> None:
    request = asked(purse().hold(wish("a", 5, 20), NOW))
    needs = (Need(TEAM.key, TEAM, 5, 20), Need(ORGANIZATION.key, ORGANIZATION, 5, 20))
    assert request == LeaseRequest(ledgers.epoch(), 1, needs, PATH, None, 1, (TEAM.key, ORGANIZATION.key), 5)


def test_only_what_is_missing_is_asked_for() -> None:
    made = with_money(8)
    request = asked(made.hold(wish("a", 5, 20), NOW))
    assert request.needs == (Need(TEAM.key, TEAM, 0, 12), Need(ORGANIZATION.key, ORGANIZATION, 5, 20))


def test_a_lease_is_on_disk_before_it_is_held_from() -> None:
    made, team, organization = purse(), lease("L", 30), lease("M", 40, ORGANIZATION.key)
    made.hold(wish("a", 5, 20), NOW)
    commands = made.on_grant(grant(1, team, organization), NOW)
    assert commands[:2] == (Write(Leased(team), sync=True), Write(Leased(organization), sync=True))
    assert held(commands[2:]) == {"a": 20}
    assert [(part.lease, part.held) for part in commands[2].charged] == [("L", 20), ("M", 20)]  # type: ignore[union-attr]


def test_from_memory_nothing_is_asked_and_nothing_written() -> None:
    made = with_money(10)
    (command,) = made.hold(only_team("a", 4), NOW)
    assert isinstance(command, Held)
    assert made.idle(TEAM.key, NOW) == 6


def test_a_hold_is_made_from_several_leases() -> None:
    made = with_money(8)
    made.hold(only_team("a", 10), NOW)
    commands = made.on_grant(grant(2, lease("M", 5)), NOW)
    (hold,) = [command for command in commands if isinstance(command, Held)]
    assert [(part.lease, part.held) for part in hold.charged] == [("L", 8), ("M", 2)]


def test_less_than_wanted_is_taken_once_the_hub_was_asked() -> None:
    made = purse()
    made.hold(only_team("a", 5, 100), NOW)
    assert held(made.on_grant(grant(1, lease("L", 50)), NOW)) == {"a": 50}


def test_a_grant_that_is_not_enough_is_followed_by_another_request() -> None:
    made = with_money(8)
    made.hold(only_team("a", 10), NOW)
    made.on_recall(Recall(ledgers.epoch(), TEAM.key), NOW)
    commands = made.on_grant(grant(2, lease("M", 2)), NOW)
    assert asked(commands[1:]).needs == (Need(TEAM.key, TEAM, 8, 8),)


def test_who_waits_is_served_in_the_order_of_asking() -> None:
    made = purse()
    made.hold(only_team("a", 6), NOW)
    assert made.hold(only_team("b", 6), NOW) == ()
    assert made.hold(only_team("c", 1), NOW) == ()
    commands = made.on_grant(grant(1, lease("L", 10)), NOW)
    assert held(commands) == {"a": 6}
    assert asked(commands[2:]).needs == (Need(TEAM.key, TEAM, 2, 3),)
    assert held(made.settle("a", 3, NOW)) == {"b": 6, "c": 1}


def test_those_of_other_accounts_do_not_wait() -> None:
    made = purse()
    made.hold(only_team("a", 6), NOW)
    other = Wish("b", (ledgers.charge(ORGANIZATION),), 6, 6)
    assert asked(made.hold(other, NOW)).request == 2


def test_a_refusal_ends_every_wait_that_what_remains_cannot_satisfy() -> None:
    made = purse()
    for attempt, least in (("first", 5), ("a", 6), ("b", 9), ("c", 3)):
        made.hold(only_team(attempt, least), NOW)
    assert refused(made.on_refusal(refusal(1), NOW)) == ["first"]
    commands = made.on_refusal(refusal(2, remaining=3), NOW)
    assert refused(commands) == ["a", "b"]
    assert asked(commands[2:]).needs == (Need(TEAM.key, TEAM, 3, 3),)


def test_a_refusal_does_not_end_waits_that_came_after_the_question() -> None:
    """What others hold is decided when they are asked: by the time the answer is here, some of it may be idle."""
    made = purse()
    made.hold(only_team("a", 6), NOW)
    made.hold(only_team("b", 9), NOW)
    commands = made.on_refusal(refusal(1), NOW)
    assert refused(commands) == ["a"]
    assert asked(commands[1:]).needs == (Need(TEAM.key, TEAM, 9, 9),)


def test_a_refusal_does_not_end_waits_of_accounts_that_are_not_enforced() -> None:
    made = purse()
    for attempt in ("first", "a"):
        made.hold(only_team(attempt, 6), NOW)
    made.hold(Wish("b", (Charge(TEAM, TEAM.key, enforced=False),), 6, 6), NOW)
    assert refused(made.on_refusal(refusal(1), NOW)) == ["first"]
    assert refused(made.on_refusal(refusal(2), NOW)) == ["a"]


def test_what_is_there_is_used_when_no_more_is_granted() -> None:
    made = with_money(8)
    made.hold(only_team("a", 5, 20), NOW)
    assert held(made.on_refusal(refusal(2), NOW)) == {"a": 8}


def test_what_remains_includes_what_is_idle_here() -> None:
    made = with_money(8)
    made.hold(only_team("a", 20), NOW)
    (command,) = made.on_refusal(refusal(2, remaining=5), NOW)
    assert isinstance(command, Refused)
    assert command.refusal.remaining == 13
    assert asked(made.hold(only_team("b", 13), NOW)).needs == (Need(TEAM.key, TEAM, 5, 5),)


def test_a_repeated_answer_changes_nothing() -> None:
    made = purse()
    made.hold(only_team("a", 6), NOW)
    made.on_grant(grant(1, lease("L", 6)), NOW)
    made.settle("a", 6, NOW)
    assert made.on_grant(grant(1, lease("L", 6)), NOW) == ()
    assert made.on_refusal(refusal(1), NOW) == ()
    assert made.idle(TEAM.key, NOW) == 0


def test_an_approval_is_always_asked_for_and_never_bypassed() -> None:
    made = with_money(10)
    request = asked(made.hold(Wish("a", (ledgers.charge(TEAM),), 4, 4, PATH, approval="apr-1"), NOW))
    assert (request.approval, request.needs) == ("apr-1", ())
    assert refused(made.on_refusal(LeaseRefusal(2, Why.APPROVAL, "", 0, 0, NOW, NOW), NOW)) == ["a"]
    made.hold(Wish("b", (ledgers.charge(TEAM),), 4, 4, PATH, approval="apr-2"), NOW)
    assert held(made.on_grant(grant(3), NOW)) == {"b": 4}


def test_an_attempt_without_accounts_holds_what_it_wants_at_once() -> None:
    (command,) = purse().hold(Wish("a", (), 5, 7), NOW)
    assert command == Held("a", 7, ())


@pytest.mark.parametrize(
    ("team", "organization", "amount", "tightest"),
    [(7, 20, 7, TEAM.key), (20, 9, 9, ORGANIZATION.key), (20, 30, 20, "")],
    ids=["the first", "the last", "none where all gave what was wanted"],
)
def test_the_account_that_gave_least_is_named(team: int, organization: int, amount: int, tightest: str) -> None:
    made = purse()
    made.hold(wish("a", 5, 20), NOW)
    commands = made.on_grant(grant(1, lease("L", team), lease("M", organization, ORGANIZATION.key)), NOW)
    (found,) = [command for command in commands if isinstance(command, Held)]
    assert (found.amount, found.tightest) == (amount, tightest)


def test_leases_beyond_a_limit_that_is_not_enforced_say_so() -> None:
    made = purse()
    made.hold(only_team("a", 6), NOW)
    commands = made.on_grant(grant(1, lease("L", 6, over=100)), NOW)
    assert commands[-1] == Held("a", 6, commands[-1].charged, {TEAM.key: 100})  # type: ignore[union-attr]


def test_all_accounts_are_named_also_where_nothing_is_enforced() -> None:
    """The ledger may know better, and then looks at those that were left out."""
    made = purse()
    charges = tuple(Charge(each, each.key, enforced=False) for each in (TEAM, ORGANIZATION))
    (asks,) = made.hold(Wish("a", charges, 6, 6), NOW)
    assert isinstance(asks, Send)
    assert isinstance(asks.message, LeaseRequest)
    assert asks.message.accounts == (TEAM.key, ORGANIZATION.key)


def test_ids_of_attempts_are_used_once() -> None:
    made = with_money(10)
    made.hold(only_team("a", 4), NOW)
    with pytest.raises(ValueError, match="already has a hold"):
        made.hold(only_team("a", 4), NOW)


class TestReturning:
    def test_a_used_up_lease_is_closed(self) -> None:
        made = with_money(10)
        made.hold(only_team("a", 10), NOW)
        assert returned(made.settle("a", 10, NOW)) == [("L", 1, 0, True)]
        assert made.open_leases() == ()

    def test_settling_twice_frees_once(self) -> None:
        made = with_money(10)
        made.hold(only_team("a", 10), NOW)
        made.settle("a", 4, NOW)
        assert made.settle("a", 0, NOW) == ()
        assert made.idle(TEAM.key, NOW) == 6

    def test_an_overrun_is_taken_from_the_rest_of_the_lease(self) -> None:
        made = with_money(10)
        made.hold(only_team("a", 4), NOW)
        made.settle("a", 7, NOW)
        assert made.idle(TEAM.key, NOW) == 3

    def test_an_overrun_beyond_the_lease_returns_nothing(self) -> None:
        made = with_money(10)
        made.hold(only_team("a", 4), NOW)
        assert returned(made.settle("a", 70, NOW)) == [("L", 1, 0, True)]

    def test_a_recall_takes_what_is_idle_and_leaves_what_is_held(self) -> None:
        made = with_money(10)
        made.hold(only_team("a", 4), NOW)
        commands = made.on_recall(Recall(ledgers.epoch(), TEAM.key, "hub-1/3"), NOW)
        assert returned(commands) == [("L", 1, 6, False)]
        assert commands[-1] == Send(Recalled(ledgers.epoch(), TEAM.key, 6, "hub-1/3"))
        assert returned(made.settle("a", 1, NOW)) == []
        assert made.idle(TEAM.key, NOW) == 3

    def test_a_recall_of_another_epoch_or_account_takes_nothing(self) -> None:
        made = with_money(10)
        assert made.on_recall(Recall(ledgers.epoch(number=2), TEAM.key), NOW) == ()
        other = Recall(ledgers.epoch(), ORGANIZATION.key)
        assert made.on_recall(other, NOW) == (Send(Recalled(ledgers.epoch(), ORGANIZATION.key, 0)),)

    def test_a_deadline_ends_holds_and_gives_back(self) -> None:
        made = with_money(10)
        made.hold(only_team("a", 4), NOW)
        deadline = made.next_deadline()
        assert deadline == NOW + 10 * MINUTE
        assert made.idle(TEAM.key, deadline - 1) == 6
        assert made.idle(TEAM.key, deadline) == 0
        assert returned(made.on_time(deadline)) == [("L", 1, 6, False)]
        assert made.next_deadline() is None
        assert returned(made.settle("a", 1, deadline)) == [("L", 2, 3, True)]

    def test_a_window_that_ends_before_the_deadline_ends_the_lease(self) -> None:
        made = with_money(10, minutes=600)
        assert made.next_deadline() == NOW + 60 * MINUTE

    def test_time_is_counted_from_the_asking_not_from_the_answer(self) -> None:
        made = purse()
        made.hold(only_team("a", 4), NOW)
        made.on_grant(grant(1, lease("L", 10)), NOW + 5 * MINUTE)
        assert made.next_deadline() == NOW + 10 * MINUTE

    def test_closing_refuses_who_waits_and_returns_the_rest_as_it_settles(self) -> None:
        made = with_money(10)
        made.hold(only_team("a", 4), NOW)
        made.hold(only_team("b", 40), NOW)
        commands = made.close(NOW)
        assert refused(commands) == ["b"]
        assert returned(commands) == [("L", 1, 6, False)]
        assert returned(made.settle("a", 1, NOW)) == [("L", 2, 3, True)]
        late = made.on_grant(grant(2, lease("M", 34)), NOW)
        assert returned(late) == [("M", 1, 34, True)]
        assert refused(made.hold(only_team("c", 1), NOW)) == ["c"]

    def test_a_fenced_epoch_closes(self) -> None:
        made = with_money(10)
        made.hold(only_team("a", 40), NOW)
        commands = made.on_refusal(LeaseRefusal(2, Why.FENCED, "", 0, 0, NOW, NOW), NOW)
        assert refused(commands) == ["a"]
        assert returned(commands) == [("L", 1, 10, True)]
        (later,) = made.hold(only_team("b", 1), NOW)
        assert isinstance(later, Refused)
        assert later.refusal.why is Why.FENCED

    def test_what_a_cancelled_wait_brings_serves_others(self) -> None:
        made = purse()
        made.hold(only_team("a", 4), NOW)
        made.hold(only_team("b", 5), NOW)
        assert asked(made.cancel("a", NOW)).request == 2
        assert held(made.on_grant(grant(1, lease("L", 9)), NOW)) == {"b": 5}

    def test_answered_requests_are_named_so_that_the_hub_forgets_them(self) -> None:
        made = with_money(4)
        assert asked(made.hold(only_team("a", 5), NOW)).closed == 2


def define(made: Purse, *accounts: Account) -> tuple[Command, ...]:
    return made.define({account.key: account for account in accounts}, NOW)


class TestADefinitionThatChanges:
    def test_what_was_lent_before_goes_back_at_once_and_is_asked_for_anew(self) -> None:
        made = with_money(10)
        assert returned(define(made, LOWERED)) == [("L", 1, 10, True)]
        assert asked(made.hold(only_team("a", 4), NOW)).needs[0].least == 4
        assert held(made.on_grant(grant(2, lease("M", 4)), NOW)) == {"a": 4}

    def test_the_same_definitions_again_change_nothing(self) -> None:
        made = purse()
        define(made, TEAM, ORGANIZATION)
        made.hold(only_team("a", 10), NOW)
        made.on_grant(grant(1, lease("L", 20)), NOW)
        assert define(made, TEAM, ORGANIZATION) == ()
        assert define(made, TEAM, msgspec.structs.replace(ORGANIZATION, limit=1)) == ()
        assert held(made.hold(only_team("b", 10), NOW)) == {"b": 10}

    def test_an_account_that_is_limited_no_more_gives_back_too(self) -> None:
        made = purse()
        define(made, TEAM)
        made.hold(only_team("a", 10), NOW)
        made.on_grant(grant(1, lease("L", 20)), NOW)
        assert returned(define(made)) == [("L", 1, 10, False)]

    def test_attempts_keep_what_they_hold_and_its_rest_serves_nobody_here(self) -> None:
        made = purse()
        made.hold(only_team("a", 10), NOW)
        made.on_grant(grant(1, lease("L", 12)), NOW)
        assert returned(define(made, LOWERED)) == [("L", 1, 2, False)]
        assert asked(made.hold(only_team("b", 5), NOW)).needs[0].least == 5
        commands = made.settle("a", 1, NOW)
        assert returned(commands) == [("L", 2, 9, True)]
        assert held(commands) == {}

    def test_what_was_on_its_way_goes_back_before_it_is_asked_for_anew(self) -> None:
        made = purse()
        made.hold(only_team("a", 5), NOW)
        define(made, LOWERED)
        commands = made.on_grant(grant(1, lease("L", 50)), NOW)
        assert held(commands) == {}
        assert returned(commands) == [("L", 1, 50, True)]
        assert asked(commands[-1:]).needs[0].least == 5
        assert held(made.on_grant(grant(2, lease("M", 5)), NOW)) == {"a": 5}

    def test_a_refusal_on_its_way_is_not_believed(self) -> None:
        made = purse()
        made.hold(only_team("a", 5), NOW)
        made.hold(only_team("b", 5), NOW)
        define(made, msgspec.structs.replace(TEAM, limit=2 * TEAM.limit))
        assert asked(made.on_refusal(refusal(1), NOW)).request == 2
        assert refused(made.on_refusal(refusal(2), NOW)) == ["a", "b"]

    def test_an_approval_that_was_consumed_on_the_way_is_not_asked_for_again(self) -> None:
        made = purse()
        request = asked(made.hold(Wish("a", (ledgers.charge(TEAM),), 4, 4, PATH, approval="apr-1"), NOW))
        assert request.approval == "apr-1"
        define(made, LOWERED)
        assert asked(made.on_grant(grant(1, lease("L", 4)), NOW)[-1:]).approval is None
        assert held(made.on_grant(grant(2, lease("M", 4)), NOW)) == {"a": 4}

    def test_a_change_that_was_taken_back_before_it_was_heard_of_ends_what_was_lent_by_it(self) -> None:
        made = purse()
        define(made, TEAM)
        made.hold(only_team("a", 4), NOW)
        assert held(made.on_grant(grant(1, lease("L", 9, by=LOWERED)), NOW)) == {"a": 4}, "it may be the newer one"
        assert returned(define(made, TEAM)) == [("L", 1, 5, False)]

    def test_what_was_lent_by_it_on_its_way_goes_back_too(self) -> None:
        made = purse()
        define(made, TEAM)
        made.hold(only_team("a", 4), NOW)
        define(made, TEAM)
        commands = made.on_grant(grant(1, lease("L", 9, by=LOWERED)), NOW)
        assert (held(commands), returned(commands)) == ({}, [("L", 1, 9, True)])

    def test_what_was_lent_by_a_newer_one_stays_good_when_that_is_heard_of(self) -> None:
        made = purse()
        define(made, TEAM)
        made.hold(only_team("a", 4), NOW)
        made.on_grant(grant(1, lease("L", 9, by=LOWERED)), NOW)
        assert define(made, LOWERED) == ()

    def test_users_own_accounts_follow_the_definition_that_they_share(self) -> None:
        made, key = purse(), user_account_key(TEAM.key, "jane")
        made.hold(Wish("a", (Charge(TEAM, key),), 4, 4, PATH), NOW)
        made.on_grant(grant(1, lease("L", 9, key)), NOW)
        assert returned(define(made, LOWERED)) == [("L", 1, 5, False)]


class TestWindows:
    """The ledger's window is over, and by this clock, which was set back, the lease is still good."""

    LATER = NOW + SKEW + 60 * MINUTE

    def following(self, request: int, *leases: Lease) -> LeaseGrant:
        """A grant in the window after that of `lease`."""
        times = {"window_start": self.LATER, "window_end": self.LATER + 60 * MINUTE, "deadline": self.LATER + MINUTE}
        later = tuple(msgspec.structs.replace(each, **times) for each in leases)
        return LeaseGrant(request, later, self.LATER)

    def test_a_hold_is_made_from_one_window(self) -> None:
        made = with_money(8)
        assert asked(made.hold(only_team("a", 10), NOW)).needs == (Need(TEAM.key, TEAM, 2, 2),)
        commands = made.on_grant(self.following(2, lease("M", 2)), NOW)
        assert (held(commands), returned(commands)) == ({}, [("L", 1, 8, True)])
        assert made.idle(TEAM.key, NOW) == 2
        assert asked(commands[-1:]).needs == (Need(TEAM.key, TEAM, 8, 8),)
        (hold,) = [each for each in made.on_grant(self.following(3, lease("N", 8)), NOW) if isinstance(each, Held)]
        assert [(part.lease, part.held) for part in hold.charged] == [("M", 2), ("N", 8)]

    def test_of_all_accounts_the_windows_share_a_moment(self) -> None:
        made = with_money(8)
        assert asked(made.hold(wish("a", 5), NOW)).needs == (Need(ORGANIZATION.key, ORGANIZATION, 5, 5),)
        commands = made.on_grant(self.following(2, lease("M", 5, ORGANIZATION.key)), NOW)
        assert (held(commands), returned(commands)) == ({}, [("L", 1, 8, True)])
        assert asked(commands[-1:]).needs == (Need(TEAM.key, TEAM, 5, 5),)

    def test_what_attempts_hold_they_keep_and_its_rest_serves_nobody_here(self) -> None:
        made = with_money(8)
        made.hold(only_team("a", 6), NOW)
        made.hold(only_team("b", 5), NOW)
        commands = made.on_grant(self.following(2, lease("M", 5)), NOW)
        assert (held(commands), returned(commands)) == ({"b": 5}, [("L", 1, 2, False)])
        assert returned(made.settle("a", 1, NOW)) == [("L", 2, 5, True)]
        assert made.idle(TEAM.key, NOW) == 0

    def test_a_late_answer_of_an_earlier_window_goes_back(self) -> None:
        made = purse()
        made.hold(only_team("a", 5), NOW)
        made.hold(Wish("b", (ledgers.charge(ORGANIZATION),), 5, 5), NOW)
        made.on_grant(self.following(2, lease("M", 5, ORGANIZATION.key)), NOW)
        commands = made.on_grant(grant(1, lease("L", 5)), NOW)
        assert (held(commands), returned(commands)) == ({}, [("L", 1, 5, True)])
        assert held(made.on_grant(self.following(3, lease("N", 5)), NOW)) == {"a": 5}

    def test_a_ledger_whose_clock_was_corrected_is_believed(self) -> None:
        made = purse()
        made.hold(only_team("a", 5), NOW)
        made.on_grant(self.following(1, lease("L", 9)), NOW)
        made.hold(only_team("b", 5), NOW)
        commands = made.on_grant(grant(2, lease("M", 5)), NOW)
        assert (held(commands), returned(commands)) == ({"b": 5}, [("L", 1, 4, False)])


def test_a_return_is_recorded_before_it_is_sent() -> None:
    made = with_money(10)
    written, sent = made.close(NOW)
    assert isinstance(written, Write)
    assert isinstance(written.record, Returned)
    assert sent == Send(written.record.message)


def test_money_that_comes_back_while_the_hub_refuses_is_asked_for_what_is_missing_now() -> None:
    made = purse()
    made.hold(only_team("first", 50), NOW)
    made.on_grant(grant(1, lease("l1", 50)), NOW)
    assert asked(made.hold(only_team("second", 70), NOW)).needs[0].least == 70
    made.settle("first", 2, NOW)
    again = asked(made.on_refusal(refusal(2, remaining=55), NOW))
    assert [(need.key, need.least) for need in again.needs] == [(TEAM.key, 70 - 48)]
    assert held(made.on_grant(grant(3, lease("l2", 22)), NOW)) == {"second": 70}


def test_money_that_comes_back_and_does_not_suffice_with_what_remains_ends_in_the_refusal() -> None:
    made = purse()
    made.hold(only_team("first", 50), NOW)
    made.on_grant(grant(1, lease("l1", 50)), NOW)
    made.hold(only_team("second", 70), NOW)
    made.settle("first", 2, NOW)
    assert refused(made.on_refusal(refusal(2, remaining=21), NOW)) == ["second"]


class TestARecount:
    def test_names_every_lease_with_what_became_of_its_money(self) -> None:
        made = purse()
        define(made, TEAM)
        made.hold(only_team("spent", 3), NOW)
        made.on_grant(grant(1, lease("L", 20)), NOW)
        made.hold(only_team("held", 4), NOW)
        made.settle("spent", 2, NOW)
        made.on_recall(Recall(ledgers.epoch(), TEAM.key), NOW)
        (command,) = made.on_recount(Recount(ledgers.epoch(), "2:life"), NOW)
        told = Holding(lease("L", 20), spent=2, held=4, returned=14, serial=1, account=TEAM, path=PATH)
        assert command == Send(Holdings(ledgers.epoch(), "2:life", (told,), closed=2))

    def test_says_which_requests_have_been_answered(self) -> None:
        made = with_money(5)
        made.hold(only_team("a", 9), NOW)
        (command, *_) = made.on_recount(Recount(ledgers.epoch(), "2:life"), NOW)
        assert isinstance(command, Send)
        assert isinstance(command.message, Holdings)
        assert command.message.closed == 2

    def test_counts_an_overrun_as_spent(self) -> None:
        made = purse()
        made.hold(only_team("a", 3), NOW)
        made.hold(only_team("b", 3), NOW)
        made.on_grant(grant(1, lease("L", 6)), NOW)
        made.settle("a", 9, NOW)
        (told,) = made.holdings()
        assert (told.spent, told.held, told.returned, told.account) == (9, 3, 0, TEAM)

    def test_of_another_epoch_is_not_answered(self) -> None:
        assert with_money(5).on_recount(Recount(ledgers.epoch(number=2), "2:life"), NOW) == ()


def test_money_is_held_from_what_ends_first_also_after_a_lease_was_ended_before_its_time() -> None:
    """An ended lease that an attempt still holds from stays among the others of its account."""
    made = purse()
    other = msgspec.structs.replace(TEAM, limit=TEAM.limit + 1)
    made.hold(only_team("a", 10), NOW)
    made.on_grant(grant(1, lease("A", 20)), NOW)
    made.hold(only_team("b", 15), NOW)
    made.on_grant(grant(2, lease("B", 5, minutes=20, by=other)), NOW)
    made.define(DEFINITIONS, NOW)
    made.settle("a", 0, NOW)
    made.hold(only_team("c", 12), NOW)
    commands = made.on_grant(grant(3, lease("C", 12, minutes=5)), NOW)
    (charged,) = (command.charged for command in commands if isinstance(command, Held))
    assert [(part.lease, part.held) for part in charged] == [("C", 12)]
