"""Charging paths: whether one can be somebody's, and whether an account counts what is charged along it.

A path says for whom an attempt is: a workload, its namespace, that one's teams, a verified user, the organization, and
the policies that limit it. A sidecar names its own. Whether it is that of the sidecar's pod is for whoever knows the
pod to say, before the ledger is asked: here it is made sure that a path is one workload's, and that money is lent and
charged along it alone.
"""

from collections.abc import Collection, Sequence

from llmgov.ledger.definitions import user_of
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.snapshot import Account, TargetKind

_ONE_EACH = tuple(kind.value for kind in (TargetKind.WORKLOAD, TargetKind.NAMESPACE, TargetKind.USER))
_WORKLOAD = TargetKind.WORKLOAD.value
_NAMESPACE = f"{TargetKind.NAMESPACE.value}/"
_EACH_USER = f"{TargetKind.USER.value}@"
_DRY_RUN = "dry-run@"


def namespace(path: Sequence[str]) -> str | None:
    """The namespace that a path is of, as its target's name, which is that of its part of the configuration, too."""
    return next((target for target in path if target.startswith(_NAMESPACE)), None)


def require_consistent(path: Sequence[str], field: str) -> None:
    """Refuse a path of two workloads, namespaces or users, or of a workload that is not of the path's namespace.

    Raises:
        BadInputError: `FOREIGN`.
    """
    for kind in _ONE_EACH:
        prefix = f"{kind}/"
        if len({target for target in path if target.startswith(prefix)}) > 1:
            raise BadInputError(Fault.FOREIGN, field, f"names more than one {kind}")
    namespaces = {target for target in path if target.startswith(_NAMESPACE)}
    for target in path:
        kind, _, name = target.partition("/")
        if kind == _WORKLOAD and f"{_NAMESPACE}{name.partition('/')[0]}" not in namespaces:
            raise BadInputError(Fault.FOREIGN, field, f"{target} is of another namespace")


def require_covered(account: Account, key: str, path: Collection[str], field: str) -> None:
    """Refuse an account that does not count what is charged along `path`; `key` is its own, perhaps a user's.

    Raises:
        BadInputError: `FOREIGN`.
    """
    missing = [target for target in _targets(account, key) if target not in path]
    if missing:
        raise BadInputError(Fault.FOREIGN, field, f"{key} counts {missing[0]}, which is not on the charging path")


def _targets(account: Account, key: str) -> list[str]:
    """What is on the path of everything that an account counts, whatever configuration the path is of.

    That is what its key names, since a key is for ever: its target, and of an account of each user both the user and
    whose requests of theirs it counts. Which requests match a `costLimit` changes with the configuration, and a sidecar
    may be of an older one; but a policy that is for its own namespace alone counts nothing elsewhere.
    """
    user = user_of(account, key)
    if user is not None:
        return [f"user/{user}", *_around(account)]
    target = account.target
    own = target.name.partition("/")[0]
    if target.kind is TargetKind.POLICY and account.match.namespaces == (own,):
        return [str(target), f"namespace/{own}"]
    return [str(target)]


def _around(account: Account) -> list[str]:
    """Of an account of each user, the team or namespace whose requests alone it counts (`snapshot.account_key`)."""
    counted = "".join(account.key.split("|")[1:2]).removeprefix(_DRY_RUN)
    around = counted.removeprefix(_EACH_USER) if counted.startswith(_EACH_USER) else ""
    return [around] if around.startswith((f"{TargetKind.TEAM.value}/", f"{TargetKind.NAMESPACE.value}/")) else []
