"""A lease request, before anything is lent for it: whether it can be meant, and which accounts it leaves out."""

from collections.abc import Sequence

import msgspec

from llmgov.ledger import paths, windows
from llmgov.ledger.book import Book
from llmgov.ledger.bounds import (
    MAX_NAME,
    require_count,
    require_epoch,
    require_few,
    require_name,
    require_names,
)
from llmgov.ledger.definitions import Definitions, InForce, covering, decisive, user_of
from llmgov.ledger.errors import BadInputError, Fault, require_amount
from llmgov.ledger.messages import LeaseRequest, Need
from llmgov.money import MAX_AMOUNT
from llmgov.snapshot import Account, Target, TargetKind, Threshold

MAX_NEEDS = 256
"""Accounts that one attempt is charged to, and targets on its path."""

MAX_KEY = MAX_NAME
"""Characters of an account's key, which may have a user's name in it."""

MAX_REQUEST_ID = 128
"""Characters of a request's id; a sidecar's has a quarter of that."""

MAX_DEFINITION = 1024 * 1024
"""Bytes of an account's definition, which may list namespaces and users whom it is for."""

MAX_CURRENCY = 16
"""Characters of a currency's name; those in use have three."""

_ENCODER = msgspec.json.Encoder()


def check(request: LeaseRequest, definitions: Definitions) -> None:
    """Refuse what no sidecar of ours asks for.

    Nearly every request has the definitions that are in force, and each of those is looked at once (`InForce.sound`).

    Raises:
        BadInputError: a name, number or amount out of range, an account twice, a key that is not its account's, or a
            path that is nobody's.
    """
    require_epoch(request.epoch)
    require_count(request.request, "request")
    require_count(request.closed, "closed")
    require_amount(request.least, "least")
    require_name(request.request_id, "request_id", MAX_REQUEST_ID, empty=True)
    if request.approval is not None:
        require_name(request.approval, "approval")
    require_names(request.path, "path", MAX_NEEDS)
    paths.require_consistent(request.path, "path")
    require_names(request.accounts, "accounts", MAX_NEEDS)
    require_few(request.needs, "needs", MAX_NEEDS)
    if len({need.key for need in request.needs}) != len(request.needs):
        raise BadInputError(Fault.REPEATED, "needs", "one account is named twice")
    for index, need in enumerate(request.needs):
        _check_need(need, definitions, f"needs[{index}]")


def _check_need(need: Need, definitions: Definitions, field: str) -> None:
    require_name(need.key, f"{field}.key", MAX_KEY)
    require_amount(need.least, f"{field}.least")
    require_amount(need.want, f"{field}.want")
    if need.least > need.want:
        raise BadInputError(Fault.RANGE, f"{field}.want", "wants less than it needs")
    _check_definition(need.account, definitions, f"{field}.account")
    check_key(need.account, need.key, f"{field}.key")


def _check_definition(account: Account, definitions: Definitions, field: str) -> None:
    if isinstance(definitions, InForce) and definitions.get(account.key) == account:
        if account.key not in definitions.sound:
            check_account(account, field)
            definitions.sound.add(account.key)
    else:
        check_account(account, field)


def check_key(account: Account, key: str, field: str) -> None:
    """Refuse a key that is not the definition's: an account of each user is a user's; all others are their definition.

    Raises:
        BadInputError: `UNKNOWN`.
    """
    if user_of(account, key) is None and (key != account.key or account.target == Target(TargetKind.USER)):
        raise BadInputError(Fault.UNKNOWN, field, f"{key} is no account of {account.key}")


def check_accounts(book: Book, request: LeaseRequest, definitions: Definitions) -> None:
    """Refuse a request for money of an account that does not count its path, or that nobody defined.

    What the ledger itself knows of the account decides (`decisive`), whatever the request says of it.

    Raises:
        BadInputError: `FOREIGN` or `UNKNOWN`.
    """
    for index, need in enumerate(request.needs):
        field = f"needs[{index}].key"
        account = decisive(book, need.key, need.account, definitions)
        if account is None:
            raise BadInputError(Fault.UNKNOWN, field, f"{need.key} is not and never was in force as it is described")
        check_key(account, need.key, field)
        paths.require_covered(account, need.key, request.path, field)


def as_in_force(book: Book, request: LeaseRequest, *, observed: bool) -> LeaseRequest:
    """The request with what the configuration in force says of whether anything may be refused along its path.

    `observed` says that this configuration lets nothing be refused there: the kill switch is set, or the namespace only
    observes. It decides in either direction, as it does about limits, from the moment it is in force: who has not heard
    that the kill switch was taken back is lent nothing beyond a limit, and who has not heard that it was set is not
    refused. Only before any configuration was in force there is nothing but the sender's word.
    """
    if not book.edition or all(need.enforced is not observed for need in request.needs):
        return request
    needs = tuple(msgspec.structs.replace(need, enforced=not observed) for need in request.needs)
    return msgspec.structs.replace(request, needs=needs)


def bases(request: LeaseRequest, definitions: Definitions) -> list[Need]:
    """The definitions of users' accounts that are not in force, as needs of nothing: so that a `Lock` brings what there
    is of them for `check_accounts`."""
    found = (need for need in request.needs if need.key != need.account.key and need.account.key not in definitions)
    return [Need(need.account.key, need.account, 0, 0) for need in found]


def check_account(account: Account, field: str) -> None:
    """Refuse a definition that no configuration has.

    Raises:
        BadInputError: a name, number or amount out of range, or more than `MAX_DEFINITION`.
    """
    require_name(account.key, f"{field}.key", MAX_KEY)
    require_name(account.target.name, f"{field}.target.name", empty=True)
    require_amount(account.limit, f"{field}.limit")
    require_name(account.source, f"{field}.source")
    require_name(account.currency, f"{field}.currency", MAX_CURRENCY)
    require_count(account.nano_usd, f"{field}.nano_usd", least=1, most=MAX_AMOUNT)
    _check_thresholds(account.thresholds, f"{field}.thresholds")
    try:
        windows.zone_named(account.time_zone)
    except ValueError as error:
        raise BadInputError(Fault.UNKNOWN, f"{field}.time_zone", str(error)) from error
    _check_size(account, f"{field}.match")


def _check_thresholds(thresholds: Sequence[Threshold], field: str) -> None:
    require_few(thresholds, field, MAX_NEEDS)
    for index, threshold in enumerate(thresholds):
        require_count(threshold.percent, f"{field}[{index}].percent", least=1, most=100)
        require_few(threshold.actions, f"{field}[{index}].actions", MAX_NEEDS)


def _check_size(account: Account, field: str) -> None:
    """Whom a definition is for is what may make it long."""
    try:
        size = len(_ENCODER.encode(account))
    except UnicodeEncodeError as error:
        raise BadInputError(Fault.EMPTY, field, "is no text: it holds half a character") from error
    if size > MAX_DEFINITION:
        raise BadInputError(Fault.RANGE, field, f"makes a definition of {size} bytes, more than {MAX_DEFINITION}")


def left_out(request: LeaseRequest, definitions: Definitions) -> list[Need]:
    """The accounts in force that cover the attempt and that the sidecar does not charge, as needs of nothing to lend.

    The sidecar has not heard of them yet, or should not be believed.
    """
    named = {*request.accounts, *(need.key for need in request.needs)}
    found = dict(covering(definitions, request.path))
    return [Need(key, account, request.least, request.least) for key, account in found.items() if key not in named]
