"""The conditions every kind has: `Accepted` (understood), `Enforced` (where it should be), `Ready` (both)."""

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
    errors = [problem for problem in found if problem.severity is problems.Severity.ERROR]
    accepted = not errors
    sentence = " ".join(f"{problem.field}: {problem.message}; {problem.remedy}" for problem in errors or found)
    reason = (errors or list(found))[0].code if found else "Accepted"
    made = [condition("Accepted", accepted, reason, sentence, generation, since)]
    everywhere = True
    if enforced is not None:
        have, want = enforced
        everywhere = have == want
        enforced_reason = "Enforced" if everywhere else "InProgress"
        made.append(condition("Enforced", everywhere, enforced_reason, f"{have} of {want} sidecars", generation, since))
    ready = accepted and everywhere
    made.append(
        condition("Ready", ready, "Ready" if ready else reason, sentence if not accepted else "", generation, since)
    )
    return made


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
