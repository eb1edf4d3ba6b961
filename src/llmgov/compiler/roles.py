"""LLMRoles resolved: each with all its permissions, inherited ones included."""

from collections.abc import Iterator, Mapping, Sequence

from llmgov import problems, resources, snapshot
from llmgov.compiler import codes, graph, naming


def resolve(roles: Sequence[resources.LLMRole]) -> tuple[tuple[snapshot.Role, ...], tuple[problems.Problem, ...]]:
    """All roles by name, sorted. What a role inherits from a circle or from a role that does not exist is left out."""
    by_name = {role.metadata.name: role for role in roles}
    inherits = {name: role.spec.inherits or () for name, role in by_name.items()}
    circle = graph.circular(inherits)
    sound = {name: () if name in circle else above for name, above in inherits.items()}
    compiled = tuple(
        snapshot.Role(name, _permissions([name, *graph.above(name, sound)], by_name)) for name in sorted(by_name)
    )
    return compiled, tuple(_problems(by_name, inherits, circle))


def _permissions(names: Sequence[str], by_name: Mapping[str, resources.LLMRole]) -> tuple[str, ...]:
    known = (by_name[name] for name in names if name in by_name)
    return tuple(sorted({permission for role in known for permission in role.spec.permissions or ()}))


def _problems(
    by_name: Mapping[str, resources.LLMRole], inherits: Mapping[str, Sequence[str]], circle: frozenset[str]
) -> Iterator[problems.Problem]:
    for name, role in by_name.items():
        for index, parent in enumerate(inherits[name]):
            if parent not in by_name:
                yield codes.UNKNOWN_ROLE.at(
                    role.ref, f"spec.inherits[{index}]", naming.missing("LLMRole", parent, by_name)
                )
        if name in circle:
            yield codes.ROLE_CYCLE.at(role.ref, "spec.inherits", f"the role {name} inherits from itself")
