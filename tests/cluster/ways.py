"""The three ways to a cluster: the one that is named, one that kind makes, or one built and started here."""

import contextlib
import pathlib
from collections.abc import Iterator

from tests.cluster import binary, control_plane, existing, kind
from tests.cluster.cluster import Cluster


def lacking(named: pathlib.Path | None) -> str | None:
    """Why there can be no cluster here; `None` where there can."""
    return None if named is not None or kind.is_usable() else binary.lacking()


@contextlib.contextmanager
def opened(named: pathlib.Path | None) -> Iterator[Cluster]:
    """A cluster: that of the kubeconfig `named`, else kind's, else an own control plane without nodes."""
    if named is not None:
        with existing.opened(named) as cluster:
            yield cluster
    elif kind.is_usable():
        with kind.running() as cluster:
            yield cluster
    else:
        with control_plane.running() as plane:
            yield plane.cluster()
