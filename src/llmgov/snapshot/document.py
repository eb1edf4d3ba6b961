"""The parts, the whole, and the directory beside it: their canonical bytes, versions and format."""

import hashlib
from typing import TypeAlias

import msgspec

from llmgov.snapshot.accounts import Account
from llmgov.snapshot.base import Struct
from llmgov.snapshot.policies import Policy
from llmgov.snapshot.prices import ModelPrice
from llmgov.snapshot.settings import Provider, Role, Settings, Team

FORMAT = 1
"""The version of this document that this code writes; it reads `FORMAT - 2` and later."""


class OrganizationPart(Struct, frozen=True):
    """What may concern everybody."""

    cluster: str
    settings: Settings = Settings()
    policies: tuple[Policy, ...] = ()
    accounts: tuple[Account, ...] = ()
    providers: tuple[Provider, ...] = ()
    roles: tuple[Role, ...] = ()


class NamespacePart(Struct, frozen=True):
    """What concerns one namespace: its own resources, and those of the root namespace that target it or its team."""

    namespace: str
    observe: bool = False
    team: Team | None = None
    policies: tuple[Policy, ...] = ()
    accounts: tuple[Account, ...] = ()
    providers: tuple[Provider, ...] = ()


class PricePart(Struct, frozen=True):
    """All known prices."""

    models: tuple[ModelPrice, ...] = ()


Part: TypeAlias = OrganizationPart | NamespacePart | PricePart


class Snapshot(Struct, frozen=True):
    """The configuration of one namespace, whole."""

    format: int
    organization: OrganizationPart
    namespace: NamespacePart
    prices: PricePart


class Approval(Struct, frozen=True):
    """A granted approval of one request's digest, single use; consumed in the ledger's transaction."""

    id: str
    digest: str
    expires: int


class Denial(Struct, frozen=True):
    """A denied approval of one request's digest: until `expires` it is not asked for again. `reason` may be empty."""

    id: str
    digest: str
    expires: int
    reason: str = ""


MAX_SHORT = 512
"""Bytes of what `short_name` leaves as it is: more than any name has that is meant for people."""


def approval_id(covers: str, asking: int = 1) -> str:
    """The name by which people decide an approval, the same for the same digest (or threshold, or model).

    So a sidecar names in its refusal what the hub makes of it later. What was used up or expired is asked for anew as
    the next `asking`: whoever decides by an old name decides nothing new.
    """
    first = f"apr-{hashlib.sha256(covers.encode()).hexdigest()[:12]}"
    return first if asking == 1 else f"{first}-{asking}"


def short_name(text: str) -> str:
    """A text of any length as what rows are found by: itself, or `sha256:` and its digest where it is long.

    An index of PostgreSQL takes 2,704 bytes at most, and a client chooses the name of its model.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    return text if len(encoded) <= MAX_SHORT else f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def asking(approval: str) -> int:
    """Which asking an approval's id is of."""
    number = approval.removeprefix("apr-").partition("-")[2]
    return int(number) if number.isdecimal() else 1


class Directory(Struct, frozen=True):
    """The document beside the snapshot: users' roles, hashes of platform keys, open approvals and the latest denials.

    `keys` maps the SHA-256 (hex) of a platform key to the user it names; `roles` maps users to role names. `stopped`
    are models (`short_name` of `provider/model`) that cost more than was held for them and wait for an acknowledgement.
    `askings` says of digests whose approval was used up or expired, and of models that were stopped before, as which
    asking (`approval_id`) they are asked for now.
    """

    roles: dict[str, tuple[str, ...]] = {}
    keys: dict[str, str] = {}
    approvals: tuple[Approval, ...] = ()
    stopped: tuple[str, ...] = ()
    denials: tuple[Denial, ...] = ()
    askings: dict[str, int] = {}


_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode(document: Part | Snapshot | Directory) -> bytes:
    """Canonical bytes: equal documents have equal bytes, so that hashes can be compared."""
    return _ENCODER.encode(msgspec.to_builtins(document, str_keys=True))


def version(part: Part) -> str:
    """The part's version: the first 16 hex digits of the SHA-256 of its canonical bytes."""
    return hashlib.sha256(encode(part)).hexdigest()[:16]


class FormatError(ValueError):
    """A document that this code cannot read: damaged, or of a format it does not serve."""


class _Header(msgspec.Struct):
    format: int


def decode(data: bytes) -> Snapshot:
    """Read a snapshot of this format or the two before it.

    Raises:
        FormatError: not a snapshot, or of another format; the caller keeps its last good one.
    """
    try:
        header = msgspec.json.decode(data, type=_Header)
        if not FORMAT - 2 <= header.format <= FORMAT:
            raise FormatError(f"snapshot format {header.format} is not among {max(1, FORMAT - 2)} to {FORMAT}")
        return msgspec.json.decode(data, type=Snapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FormatError(f"not a snapshot: {error}") from error
