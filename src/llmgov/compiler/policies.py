"""One LLMPolicy compiled: expanded, checked against the world, and placed."""

import dataclasses
from collections.abc import Iterator

from llmgov import money, problems, resources, snapshot
from llmgov.compiler import applying, bodies, codes, costs, fragments, templates
from llmgov.compiler.world import World
from llmgov.resources import bodies as written
from llmgov.resources import policy


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A policy with its body, and how problems name places inside the body."""

    resource: resources.LLMPolicy
    body: written.Body
    field: str

    def at(self, name: str) -> str:
        """The place of the body's field `name`; of a body made of a template, the use of the template."""
        return self.field if self.field == templates.FIELD else f"{self.field}.{name}"


def compiled(given: resources.LLMPolicy, world: World) -> fragments.Fragment:
    """What a policy adds, or why it adds nothing."""
    source = _source(given, world)
    if isinstance(source, list):
        return fragments.Fragment(problems=(*applying.problems_of(given, world), *source))
    found = (*applying.problems_of(given, world), *_problems(source, world))
    if fragments.has_error(found):
        return fragments.Fragment(problems=found)
    return dataclasses.replace(_fragment(source, world), problems=found)


def _source(given: resources.LLMPolicy, world: World) -> Source | list[problems.Problem]:
    body = policy.body_of(given.spec)
    if not isinstance(body, policy.FromTemplate):
        return Source(given, body, f"spec.{_name(body)}")
    expanded = templates.expand(given, body, world.templates)
    if isinstance(expanded, list):
        return expanded
    filled = policy.body_of(expanded)
    if isinstance(filled, policy.FromTemplate):
        raise TypeError("a template's body has no fromTemplate")
    return Source(given, filled, templates.FIELD)


def _name(body: written.Body) -> str:
    name = type(body).__name__
    return name[0].lower() + name[1:]


def _fragment(source: Source, world: World) -> fragments.Fragment:
    given, body = source.resource, source.body
    reach = applying.reach(given, world)
    nano_usd = world.rates[body.currency] if isinstance(body, written.CostLimit) else money.NANO_PER_UNIT
    return fragments.Fragment(
        where=reach.where,
        policy=snapshot.Policy(
            id=given.id,
            priority=given.spec.priority,
            body=bodies.compiled(body, str(given.ref), nano_usd, world.settings),
            dry_run=applying.in_dry_run(given),
            match=reach.match,
            generation=given.metadata.generation,
        ),
        accounts=costs.of_cost_limit(given, body, reach, world) if isinstance(body, written.CostLimit) else (),
    )


def _problems(source: Source, world: World) -> Iterator[problems.Problem]:
    given, body = source.resource, source.body
    if isinstance(body, written.CostLimit):
        yield from costs.currency_problem(given.ref, source.at("currency"), body.currency, world)
    if not world.is_root(given):
        yield from _loosening(source)
    yield from _patterns(source, world)


def _loosening(source: Source) -> Iterator[problems.Problem]:
    """What only the root namespace may say, because it lets through what would be refused without it."""
    body, ref = source.body, source.resource.ref
    if isinstance(body, written.ModelAccess) and body.unmetered_routes is not None:
        message = "lets requests pass uncounted"
        yield codes.ROOT_ONLY_LOOSENING.at(ref, source.at("unmeteredRoutes"), message)
    if isinstance(body, written.CostLimit) and body.fallback_price is not None:
        message = "gives models a price that would be refused without one"
        yield codes.ROOT_ONLY_LOOSENING.at(ref, source.at("fallbackPrice"), message)


def _patterns(source: Source, world: World) -> Iterator[problems.Problem]:
    """A warning for each pattern that no known model matches."""
    for field, pattern in (*_applied_patterns(source), *_body_patterns(source)):
        if not world.models.matches(pattern):
            message = f"{pattern} matches no model that is known"
            yield codes.NO_MODEL_MATCHES.at(source.resource.ref, field, message)


def _applied_patterns(source: Source) -> Iterator[tuple[str, str]]:
    applies = source.resource.spec.applies_to
    for index, pattern in enumerate((applies and applies.models) or ()):
        yield f"{applying.FIELD}.models[{index}]", pattern


def _body_patterns(source: Source) -> Iterator[tuple[str, str]]:
    body = source.body
    if isinstance(body, written.ModelAccess):
        yield from _placed(source, "allow", body.allow)
        yield from _denied(source, body.deny)
        yield from _placed(source, "fallbackModels", body.fallback_models)
    if isinstance(body, written.Compliance) and body.require_approval_for is not None:
        yield from _placed(source, "requireApprovalFor.sensitiveModels", body.require_approval_for.sensitive_models)


def _denied(source: Source, patterns: tuple[str, ...] | None) -> Iterator[tuple[str, str]]:
    """Exact names alone: a pattern that denies is often meant for models to come (`*-preview`)."""
    return ((field, pattern) for field, pattern in _placed(source, "deny", patterns) if "*" not in pattern)


def _placed(source: Source, name: str, patterns: tuple[str, ...] | None) -> Iterator[tuple[str, str]]:
    for index, pattern in enumerate(patterns or ()):
        yield source.at(f"{name}[{index}]"), pattern
