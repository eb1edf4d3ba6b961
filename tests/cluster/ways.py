"""The three ways to a cluster: the one that is named, one that kind makes, or one built and started here."""

import contextlib
import pathlib
from collections.abc import Iterator

from tests.cluster import binary, control_plane, existing, kind
from tests.cluster.cluster import Cluster
from tests.cluster.node import running as node


def lacking(named: pathlib.Path | None) -> str | None:
    """Why there can be no cluster here; `None` where there can."""
    return None if named is not None or _kind_is_asked() else binary.lacking()


@contextlib.contextmanager
def opened(named: pathlib.Path | None) -> Iterator[Cluster]:
    """A cluster: that of the kubeconfig `named`, else kind's, else an own control plane without nodes.

    Programs that `KUBEBUILDER_ASSETS` names go before kind: somebody has said which they want.
    """
    if named is not None:
        with existing.opened(named) as cluster:
            yield cluster
    elif _kind_is_asked():
        with kind.running() as cluster:
            yield cluster
    else:
        with control_plane.running() as plane:
            yield plane.cluster()


def lacking_nodes(named: pathlib.Path | None) -> str | None:
    """Why there can be no cluster with nodes here; `None` where there can."""
    return None if named is not None or kind.is_usable() else node.lacking()


@contextlib.contextmanager
def opened_with_nodes(named: pathlib.Path | None) -> Iterator[Cluster]:
    """A cluster that runs pods: that of the kubeconfig `named`, else kind's, else an own one."""
    if named is not None:
        with existing.opened(named) as cluster:
            yield cluster
    elif kind.is_usable():
        with kind.running() as cluster:
            yield cluster
    else:
        with node.running() as cluster:
            yield cluster


def _kind_is_asked() -> bool:
    return not binary.are_given() and kind.is_usable()
