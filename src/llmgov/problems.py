"""Problems as values: what is wrong with which field of which resource, and what its author can do about it.

The compiler, `llmgov validate` and (in a cluster) the conditions and events of a resource all show the same problem;
`code` is stable, names an anchor in docs/troubleshooting.md and never changes its meaning.
"""

import enum

import msgspec


class Severity(enum.Enum):
    """Whether the resource is left out of the compiled configuration."""

    ERROR = "error"
    """The resource (or this part of it) is not in force."""
    WARNING = "warning"
    """In force, and probably not what its author meant."""


class ResourceRef(msgspec.Struct, frozen=True, order=True):
    """Which resource is meant; `namespace` is empty for cluster-scoped kinds."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.kind, self.namespace, self.name)))


class Problem(msgspec.Struct, frozen=True):
    """One finding about one resource.

    `code` is an upper-camel-case word (`UnknownTeam`); `field` is a JSON path inside the resource
    (`spec.target.team`), empty where the whole resource is meant; `message` says what is wrong, `remedy` what to do,
    each a sentence that never repeats a secret.
    """

    code: str
    resource: ResourceRef
    field: str
    message: str
    remedy: str
    severity: Severity = Severity.ERROR

    @property
    def explanation(self) -> str:
        """What is wrong and what to do, as one line: `message; remedy`."""
        return f"{self.message.removesuffix('.')}; {_lowered(self.remedy).removesuffix('.')}"


def _lowered(sentence: str) -> str:
    """Without its capital, where the first word is not a name such as LLMPolicy or GovernanceSettings."""
    first = sentence.split(" ", 1)[0]
    return sentence[:1].lower() + sentence[1:] if first[1:].islower() else sentence
