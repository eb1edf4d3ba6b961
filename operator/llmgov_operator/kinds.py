"""The kinds that a configuration is made of: our own, and the namespaces that they are for."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from llmgov import resources
from llmgov.resources import base


class Kind(NamedTuple):
    """A kind as the API server's paths name it."""

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool

    @property
    def path(self) -> str:
        """Where all objects of the kind are listed."""
        prefix = f"/apis/{self.group}" if self.group else "/api"
        return f"{prefix}/{self.version}/{self.plural}"

    def path_of(self, name: str, namespace: str) -> str:
        """Where one object is; `namespace` is empty for cluster-scoped kinds."""
        if not self.namespaced:
            return f"{self.path}/{name}"
        prefix, _, plural = self.path.rpartition("/")
        return f"{prefix}/namespaces/{namespace}/{plural}/{name}"


NAMESPACE: Final = Kind("Namespace", "", "v1", "namespaces", namespaced=False)

OURS: Final[Mapping[str, Kind]] = {
    name: Kind(
        name, base.GROUP, base.VERSION, kind.naming.plural, namespaced=kind.naming.scope is base.Scope.NAMESPACED
    )
    for name, kind in resources.KINDS.items()
}
"""The custom resources, by kind."""

ALL: Final[Mapping[str, Kind]] = {**OURS, NAMESPACE.name: NAMESPACE}
"""Everything that is watched, by kind."""
