"""What statuses need to know of a compiled configuration."""

import collections

from llmgov import compiler, resources
from llmgov.compiler import fragments
from llmgov.statuses.observed import Facts


def of(compiled: compiler.Compiled) -> Facts:
    """The facts of a configuration."""
    memory = compiled.memory
    return Facts(
        accounts=tuple(placed.account for _, fragment in memory.fragments.values() for placed in fragment.accounts),
        teams=dict(memory.world.teams.by_name),
        namespaces={name: part.team.name if part.team else None for name, part in compiled.namespaces.items()},
        concerned=_concerned(compiled),
        template_uses=_uses(compiled),
    )


def _concerned(compiled: compiler.Compiled) -> dict[str, tuple[str, ...] | None]:
    """Every policy's `namespace/name` and the namespaces whose configuration holds it; `None` for all of them."""
    return {
        resource.id: fragment.where
        for resource, fragment in compiled.memory.fragments.values()
        if isinstance(resource, resources.LLMPolicy) and not fragments.has_error(fragment.problems)
    }


def _uses(compiled: compiler.Compiled) -> dict[str, int]:
    return collections.Counter(
        resource.spec.from_template.name
        for resource, _ in compiled.memory.fragments.values()
        if isinstance(resource, resources.LLMPolicy) and resource.spec.from_template is not None
    )
