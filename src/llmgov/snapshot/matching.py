"""Whom a policy or account is for."""

from llmgov.snapshot.base import Struct


class SelectorExpression(Struct, frozen=True):
    """One `matchExpressions` entry; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class Selector(Struct, frozen=True):
    """A Kubernetes label selector, already checked: all of `labels` equal, and every expression true."""

    labels: dict[str, str] = {}
    expressions: tuple["SelectorExpression", ...] = ()


class Match(Struct, frozen=True):
    """Whom a policy is for: empty means everybody; within a field any entry suffices, across fields all must hold.

    `namespaces` are resolved names (the compiler resolves selectors); `providers` are names of provider kinds
    (`openai`), `models` glob patterns over `provider/model` or `model`.
    """

    namespaces: tuple[str, ...] = ()
    pods: Selector | None = None
    service_accounts: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
