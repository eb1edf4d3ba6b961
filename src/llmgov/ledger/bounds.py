"""What a field of a sidecar's message may be, whichever message it is in: numbers, names, texts, lists.

Every bound lies beyond what a sidecar of ours ever sends, and keeps what is sent within what the ledger can hold.
"""

from collections.abc import Sized

from llmgov import instants
from llmgov.instants import Duration
from llmgov.ledger.errors import BadInputError, Fault, require_words
from llmgov.ledger.messages import Epoch

CLOCK_AHEAD: Duration = instants.HOUR
"""How far ahead of the ledger's a sidecar's clock may be: minutes happen. What is dated less far ahead counts at the
ledger's time, so no attempt falls into a window that has not begun."""

MAX_NUMBER = 2**53
"""Beyond any number of boots, requests or returns: a counter that is there is no counter."""

MAX_HOLDER = 500
"""Characters of a holder's name: a namespace, a pod and its id have some 350 at most."""

MAX_KUBERNETES_NAME = 253
"""Characters of a namespace or a service account."""

MAX_POLICY = 512
"""Characters of a policy: its kind, its namespace and its name have some 400 at most."""

MAX_NAME = 1024
"""Characters of an id, a key or a name: a user's, the longest that a client chooses, has 256."""

MAX_NAME_BYTES = 2048
"""Bytes of the same: an index of PostgreSQL takes 2,704 at most."""

MAX_SENTENCE = 1024 * 1024
"""Characters of a sentence or a path in a request, which name what a client called its fields."""

MAX_TEXT = 64 * 1024 * 1024
"""Characters of a prompt: twice the bytes of the largest request that a sidecar takes."""

MAX_LIST = 65_536
"""Entries of any list: leases in an inventory, for one."""

MAX_HOLDINGS = 4096
"""Leases in one message of a report of what a boot holds, each a row to write: others wait for half a second."""

MAX_ALL_RETURNS = 8 * MAX_HOLDINGS
"""Returns of all leases of such a message, each a row to look up: nearly all leases are returned once, or never."""

MAX_PATH = 256
"""Targets on a charging path, and accounts that one attempt is charged to."""

MAX_PARTS = 256
"""Leases that one attempt holds from: who has more small ones gives them back and is lent a whole one (`purse`)."""

MAX_POLICIES = 4096
"""Policies that applied to one request."""

MAX_VIOLATIONS = 256
"""Violations in one event; who has more sends several events."""


def require_count(count: int, field: str, least: int = 0, most: int = MAX_NUMBER) -> None:
    """Refuse what is no number from `least` to `most`.

    Raises:
        BadInputError: `NEGATIVE` or `RANGE`.
    """
    if not least <= count <= most:
        fault = Fault.NEGATIVE if count < 0 else Fault.RANGE
        raise BadInputError(fault, field, f"{count} is not between {least} and {most}")


def require_name(name: str, field: str, most: int = MAX_NAME, *, empty: bool = False) -> None:
    """Refuse an id, key or name that is blank (unless `empty`), long, or has control characters or half ones.

    Raises:
        BadInputError: `EMPTY`.
    """
    if empty and not name:
        return
    if len(name) <= most and name.isprintable() and not name.isspace() and name and _is_short(name):
        return
    require_words(name, field, most)
    raise BadInputError(Fault.EMPTY, field, _no_name(name))


def _is_short(name: str) -> bool:
    """Whether it can be looked up by; nearly every name is plain."""
    return name.isascii() or len(name) * 4 <= MAX_NAME_BYTES or len(name.encode()) <= MAX_NAME_BYTES


def _no_name(name: str) -> str:
    if name.isprintable():
        return f"is no name: it has {len(name.encode())} bytes, more than {MAX_NAME_BYTES}"
    return "is no name: it holds characters that cannot be printed"


def require_text(text: str | None, field: str, most: int = MAX_SENTENCE) -> None:
    """Refuse a text, which may be empty or absent, with more than `most` characters or with half of one.

    Raises:
        BadInputError: `EMPTY`.
    """
    if text and not text.isascii():
        require_words(f"_{text}", field, most + 1)
    elif text and len(text) > most:
        raise BadInputError(Fault.EMPTY, field, f"has {len(text)} characters, more than {most}")


def require_few(entries: Sized, field: str, most: int = MAX_LIST) -> None:
    """Refuse a list of more than `most` entries.

    Raises:
        BadInputError: `RANGE`.
    """
    if len(entries) > most:
        raise BadInputError(Fault.RANGE, field, f"has {len(entries)} entries, more than {most}")


def require_names(names: tuple[str, ...], field: str, most: int = MAX_LIST) -> None:
    """Refuse a list of more than `most` names, or with one that `require_name` refuses.

    Raises:
        BadInputError: `RANGE` or `EMPTY`.
    """
    require_few(names, field, most)
    for index, name in enumerate(names):
        if not (name.isprintable() and 0 < len(name) <= MAX_NAME and not name.isspace() and _is_short(name)):
            require_name(name, f"{field}[{index}]")


def require_holder(holder: str, field: str) -> None:
    """Refuse a name that no holder may have: what ids begin with is `holder:number`, so it has no colon.

    Raises:
        BadInputError: `EMPTY`.
    """
    require_name(holder, field, MAX_HOLDER)
    if ":" in holder:
        raise BadInputError(Fault.EMPTY, field, "is no name of a holder: it has a colon")


def require_epoch(epoch: Epoch) -> None:
    """Refuse what no `register` gives out.

    Raises:
        BadInputError: `EMPTY` (of the holder), `NEGATIVE` or `RANGE` (of the number).
    """
    require_holder(epoch.holder, "epoch.holder")
    require_count(epoch.number, "epoch.number", least=1)
