"""What statuses need to know of a compiled configuration. Pure."""

import collections

from llmgov import compiler, resources
from llmgov_cli.local import state


def of(compiled: compiler.Compiled) -> state.Facts:
    """The facts of a configuration, as `run.json` keeps them."""
    memory = compiled.memory
    accounts = [placed.account for _, fragment in memory.fragments.values() for placed in fragment.accounts]
    return state.Facts(
        accounts=tuple(accounts),
        teams=dict(memory.world.teams.by_name),
        namespaces={name: part.team.name if part.team else None for name, part in compiled.namespaces.items()},
        concerned=_concerned(compiled),
        template_uses=_uses(compiled),
    )


def _concerned(compiled: compiler.Compiled) -> dict[str, tuple[str, ...]]:
    """Every policy's `namespace/name` and the namespaces whose configuration holds it."""
    everywhere = tuple(sorted(compiled.namespaces))
    found: dict[str, tuple[str, ...]] = {}
    for resource, fragment in compiled.memory.fragments.values():
        if isinstance(resource, resources.LLMPolicy) and not fragment.problems:
            name = f"{resource.metadata.namespace}/{resource.metadata.name}"
            found[name] = everywhere if fragment.where is None else fragment.where
    return found


def _uses(compiled: compiler.Compiled) -> dict[str, int]:
    return collections.Counter(
        resource.spec.from_template.name
        for resource, _ in compiled.memory.fragments.values()
        if isinstance(resource, resources.LLMPolicy) and resource.spec.from_template is not None
    )
