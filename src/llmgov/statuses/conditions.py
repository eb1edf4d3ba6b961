"""The conditions every kind has: `Accepted` (understood), `Enforced` (where it should be), `Ready` (both).

kstatus, which Flux and Argo CD's plug-ins wait with, looks at two things: `status.observedGeneration` other than
`metadata.generation` is in progress, and so is a `Ready` that is not `True`, with that condition's reason and message.
So `Ready` always says itself what is awaited, and never leaves it to the other two.
"""

from collections.abc import Sequence
from typing import Any

from llmgov import instants, problems
from llmgov.instants import Instant


def common(
    found: Sequence[problems.Problem], generation: int, since: Instant, enforced: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """Conditions of a resource with the problems `found`.

    `enforced` is (how many sidecars run it, how many should), `None` for a kind that no sidecar runs.
    """
    accepted = _accepted(found, generation, since)
    spread = () if enforced is None else (_enforced(*enforced, generation, since),)
    return [accepted, *spread, _ready((accepted, *spread), generation, since)]


def _accepted(found: Sequence[problems.Problem], generation: int, since: Instant) -> dict[str, Any]:
    errors = [problem for problem in found if problem.severity is problems.Severity.ERROR]
    sentence = " ".join(f"{problem.field}: {problem.message}; {problem.remedy}" for problem in errors or found)
    reason = (errors or list(found))[0].code if found else "Accepted"
    return condition("Accepted", not errors, reason, sentence, generation, since)


def _enforced(have: int, want: int, generation: int, since: Instant) -> dict[str, Any]:
    if have == want:
        return condition("Enforced", True, "Enforced", f"{have} of {want} sidecars", generation, since)
    sentence = f"{have} of {want} sidecars enforce generation {generation}; waiting for {want - have}"
    return condition("Enforced", False, "InProgress", sentence, generation, since)


def _ready(others: Sequence[dict[str, Any]], generation: int, since: Instant) -> dict[str, Any]:
    """The first of `others` that does not hold is why a resource is not ready."""
    missing = next((each for each in others if each["status"] != "True"), None)
    if missing is None:
        return condition("Ready", True, "Ready", "", generation, since)
    return condition("Ready", False, missing["reason"], missing["message"], generation, since)


def condition(kind: str, holds: bool, reason: str, message: str, generation: int, since: Instant) -> dict[str, Any]:
    """One entry of `status.conditions`, about `generation` of the spec."""
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "observedGeneration": generation,
        "lastTransitionTime": instants.to_rfc3339(since),
        "reason": reason,
        "message": message[:2048],
    }
