"""Resources by the names that parts, accounts and violations have for them."""

from llmgov import resources
from llmgov.problems import ResourceRef


def of_id(kind: str, id_: str) -> ResourceRef:
    """The resource of a kind whose `id` (`namespace/name`) this is."""
    namespace, _, name = id_.rpartition("/")
    return ResourceRef(kind, name, namespace)


def of_source(source: str) -> ResourceRef:
    """The resource that accounts and violations name so (`snapshot.Account.source`)."""
    *kind, namespace, name = source.split("/")
    return ResourceRef(kind[0] if kind else resources.LLMPolicy.__name__, name, namespace)


def source(reference: ResourceRef) -> str:
    """How accounts and violations name a Budget or an LLMPolicy."""
    id_ = f"{reference.namespace}/{reference.name}"
    return id_ if reference.kind == resources.LLMPolicy.__name__ else f"{reference.kind}/{id_}"
