"""What lost pods cost, each loss counted once, in the account that counts what was asked for."""

import msgspec
import pytest

from llmgov import instants, snapshot
from llmgov.ledger import losses, windows
from llmgov.ledger.losses import Losses
from llmgov.ledger.rows import AccountRow, LeaseRow, LeaseState
from llmgov.ledger.windows import Span
from llmgov.snapshot import Account, Period, Target, TargetKind

NOW = instants.from_rfc3339("2026-11-24T08:00:00Z")
ALWAYS = Span(0, 2**62)
DAY, MONTH = (windows.current(period, "UTC", NOW) for period in (Period.DAY, Period.MONTH))


def _account(target: Target, period: Period, zone: str = "UTC") -> AccountRow:
    key = snapshot.account_key("test", str(target), period, zone)
    return AccountRow(key, str(target), Account(key, target, 1, period, zone, "Budget/llm-governance/b"))


ORGANIZATION = Target(TargetKind.ORGANIZATION)
BY_DAY, BY_MONTH = _account(ORGANIZATION, Period.DAY), _account(ORGANIZATION, Period.MONTH)
IN_BERLIN = _account(ORGANIZATION, Period.MONTH, "Europe/Berlin")
TEAM = _account(Target(TargetKind.TEAM, "payments"), Period.DAY)
SPACE = _account(Target(TargetKind.NAMESPACE, "payments"), Period.DAY)


def _lease(row: AccountRow, billed: int, lost: int = 0, holder: str = "pod-1") -> LeaseRow:
    """A lease of the window that is open now; `lost` of it nobody accounted for."""
    span = windows.current(row.account.period, row.account.time_zone, NOW)
    name = f"{holder}:1/1/{row.key}"
    return LeaseRow(name, row.key, *span, holder, 1, lost, 0, state=LeaseState.LOST, billed=billed)


BILLED = (_lease(BY_MONTH, 70, 3), _lease(BY_DAY, 20, 5), _lease(TEAM, 90, 1))


@pytest.mark.parametrize(
    ("time", "accounts", "expected"),
    [
        pytest.param(MONTH, (BY_DAY, BY_MONTH, TEAM), Losses(BY_MONTH.key, 70, 3), id="a month is the month's account"),
        pytest.param(DAY, (BY_DAY, BY_MONTH, TEAM), Losses(BY_DAY.key, 20, 5), id="a day is the day's account"),
        pytest.param(ALWAYS, (BY_DAY, BY_MONTH, TEAM), Losses(BY_MONTH.key, 70, 3), id="all time: the longest windows"),
        pytest.param(
            Span(MONTH.start, 2**62), (BY_MONTH, IN_BERLIN), Losses(BY_MONTH.key, 70, 3), id="the zone that begins then"
        ),
        pytest.param(
            Span(NOW - 1, NOW), (BY_DAY, BY_MONTH), Losses(BY_DAY.key, 0, 0, 25), id="within a day nobody knows"
        ),
        pytest.param(DAY, (BY_MONTH,), Losses(BY_MONTH.key, 0, 0, 73), id="nor of a month which day it was"),
        pytest.param(DAY, (TEAM,), Losses("", 90, 1, 0), id="without an organization: what each pod cost most"),
        pytest.param(Span(DAY.end, MONTH.end), (TEAM,), Losses("", 0, 0, 73), id="only windows of that time"),
    ],
)
def test_each_loss_counts_once(time: Span, accounts: tuple[AccountRow, ...], expected: Losses) -> None:
    assert losses.losses(BILLED, accounts, time) == expected


def test_without_an_organization_several_pods_add_up() -> None:
    leases = [_lease(TEAM, 4), _lease(SPACE, 9), _lease(TEAM, 5, holder="pod-2"), _lease(SPACE, 1, holder="pod-2")]
    assert losses.losses(leases, (TEAM, SPACE), ALWAYS).billed == 9 + 5


def test_what_may_still_be_spent_is_not_unknown() -> None:
    held = msgspec.structs.replace(_lease(BY_DAY, 0, 50), state=LeaseState.FINAL)
    assert losses.losses([held], (BY_DAY,), DAY) == Losses(BY_DAY.key)


def test_what_counts_only_some_requests_of_the_organization_is_not_its_account() -> None:
    row = msgspec.structs.replace(BY_DAY, scope=BY_DAY.key)
    assert losses.losses([_lease(BY_DAY, 6)], (row,), DAY).account == ""
