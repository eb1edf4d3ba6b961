"""What the compiler is given: whole sets, each complete or said to be unknown."""

import dataclasses
from collections.abc import Mapping

from llmgov.resources import base

PROVIDER_KEY_TYPE = "llmgov.dev/provider-key"
"""The type that a Secret outside the root namespace must have, so that no other Secret can be read through us."""

MODE_LABEL = "llmgov.dev/mode"
"""A namespace's label: `observe` records what would be refused and passes it; anything else, and none, enforces."""


@dataclasses.dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace that exists, with its labels."""

    name: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class SecretFacts:
    """That a Secret exists: its type and the names of its entries, never their values."""

    namespace: str
    name: str
    type: str
    keys: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceSet:
    """Everything that the configuration is made of.

    `resources` are parsed resources of all kinds in any order. `namespaces` are those known to exist;
    `every_namespace` says that there are no others, otherwise those that resources name count as there, too.
    `secrets` are all Secrets that matter, or `None` where nobody can know (a folder that is only validated). `jwks`
    maps an issuer's URL to the JWKS document fetched from it.
    """

    cluster: str
    root_namespace: str
    resources: tuple[base.Resource, ...]
    namespaces: tuple[Namespace, ...] = ()
    every_namespace: bool = False
    secrets: tuple[SecretFacts, ...] | None = None
    jwks: Mapping[str, str] = dataclasses.field(default_factory=dict)
