"""A lease request, before anything is looked up for it: whether it can be meant, and which accounts it leaves out."""

from llmgov.ledger import windows
from llmgov.ledger.definitions import Definitions, covering, user_of
from llmgov.ledger.errors import BadInputError, Fault, require_amount, require_words
from llmgov.ledger.messages import LeaseRequest, Need
from llmgov.money import MAX_AMOUNT
from llmgov.snapshot import Target, TargetKind

MAX_NUMBER = 2**53
"""Beyond any number of boots or requests: a counter that is there is no counter."""

MAX_NEEDS = 256
"""Accounts that one attempt is charged to, and targets on its path."""

MAX_KEY = 1024
"""Characters of an account's key, which may have a user's name in it."""

MAX_REQUEST_ID = 128
"""Characters of a request's id; a sidecar's has a quarter of that."""


def check(request: LeaseRequest) -> None:
    """Refuse what no sidecar of ours asks for.

    Raises:
        BadInputError: a number or amount out of range, an account twice, or a key that is not its account's.
    """
    _require_number(request.epoch.number, "epoch.number", least=1)
    _require_number(request.request, "request")
    _require_number(request.closed, "closed")
    require_amount(request.least, "least")
    if request.request_id:
        require_words(request.request_id, "request_id", MAX_REQUEST_ID)
    if max(len(request.needs), len(request.path), len(request.accounts)) > MAX_NEEDS:
        raise BadInputError(Fault.RANGE, "needs", f"more than {MAX_NEEDS} accounts or targets")
    if len({need.key for need in request.needs}) != len(request.needs):
        raise BadInputError(Fault.REPEATED, "needs", "one account is named twice")
    for index, need in enumerate(request.needs):
        _check_need(request, need, f"needs[{index}]")


def _check_need(request: LeaseRequest, need: Need, field: str) -> None:
    require_words(need.key, f"{field}.key", MAX_KEY)
    require_amount(need.least, f"{field}.least")
    require_amount(need.want, f"{field}.want")
    if need.least > need.want:
        raise BadInputError(Fault.RANGE, f"{field}.want", "wants less than it needs")
    _check_key(request, need, field)
    account = need.account
    require_amount(account.limit, f"{field}.account.limit")
    if not 0 < account.nano_usd <= MAX_AMOUNT:
        raise BadInputError(Fault.RANGE, f"{field}.account.nano_usd", f"{account.nano_usd} is no rate")
    try:
        windows.zone_named(account.time_zone)
    except ValueError as error:
        raise BadInputError(Fault.UNKNOWN, f"{field}.account.time_zone", str(error)) from error


def _check_key(request: LeaseRequest, need: Need, field: str) -> None:
    """Of an account of each user only a user on the path, who is verified, has one; all others are their definition."""
    user = user_of(need.account, need.key)
    if user is None and (need.key != need.account.key or need.account.target == Target(TargetKind.USER)):
        raise BadInputError(Fault.UNKNOWN, f"{field}.key", f"{need.key} is no account of {need.account.key}")
    if user is not None and f"user/{user}" not in request.path:
        raise BadInputError(Fault.FOREIGN, f"{field}.key", f"user {user!r} is not on the charging path")


def _require_number(number: int, field: str, least: int = 0) -> None:
    if not least <= number <= MAX_NUMBER:
        raise BadInputError(Fault.NEGATIVE if number < 0 else Fault.RANGE, field, f"{number} is out of range")


def left_out(request: LeaseRequest, definitions: Definitions) -> list[Need]:
    """The accounts in force that cover the attempt and that the sidecar does not charge, as needs of nothing to lend.

    The sidecar has not heard of them yet, or should not be believed. Where nothing is enforced it names no accounts.
    """
    if not request.accounts:
        return []
    named = {*request.accounts, *(need.key for need in request.needs)}
    found = dict(covering(definitions, request.path))
    return [Need(key, account, request.least, request.least) for key, account in found.items() if key not in named]
