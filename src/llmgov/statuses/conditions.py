"""The conditions every kind has: `Accepted` (understood), `Enforced` (where it should be), `Ready` (both).

kstatus, which Flux and Argo CD's plug-ins wait with, looks at two things: `status.observedGeneration` other than
`metadata.generation` is in progress, and so is a `Ready` that is not `True`, with that condition's reason and message.
So `Ready` always says itself what is awaited, and never leaves it to the other two.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from llmgov import instants, problems
from llmgov.instants import Instant
from llmgov.resources import status

TYPES: Final = frozenset({"Accepted", "Enforced", "Ready", "Exhausted", "Cycle", "Conflicted"})
"""All that any kind has. Others may add theirs, which nobody here looks at."""

KEPT: Final = ". Until it is mended, its earlier state stays in force"
"""What `Ready` adds where an earlier state of a faulty resource is still in force."""


_TOLD: Final = status.MESSAGE - 200
"""Characters of problems in a message: the rest is for how many more there are, and for what `Ready` adds."""

_WORD: Final = 100


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """Where a resource stands.

    `enforced` is (how many sidecars run it, how many should), `None` for a kind that no sidecar runs; `held_back` a
    sentence where another resource's fault keeps this one from coming into force. `kept` says that it has errors, and
    that its earlier state is still in force.
    """

    found: Sequence[problems.Problem] = ()
    enforced: tuple[int, int] | None = None
    held_back: str | None = None
    kept: bool = False

    @property
    def errors(self) -> list[problems.Problem]:
        """The problems that keep it from coming into force."""
        return [problem for problem in self.found if problem.severity is problems.Severity.ERROR]


def common(state: State, generation: int, since: Instant) -> list[dict[str, Any]]:
    """The conditions of a resource in this state."""
    accepted = _accepted(state, generation, since)
    spread = () if state.enforced is None else (_enforced(state, *state.enforced, generation, since),)
    return [accepted, *spread, _ready((accepted, *spread), state, generation, since)]


def sentences(found: Sequence[problems.Problem]) -> str:
    """What is wrong, where, and what to do; where that is too much for a message, how much more there is."""
    every = [": ".join(filter(None, (problem.field, problem.explanation))) for problem in found]
    told = [_shortened(sentence, _TOLD) for sentence in every[:1]]
    for sentence in every[1:]:
        if sum(map(len, told)) + len(sentence) + 2 * len(told) > _TOLD:
            return ". ".join([*told, f"And {len(every) - len(told)} more"])
        told.append(sentence)
    return ". ".join(told)


def _shortened(text: str, longest: int) -> str:
    """A text without the words that are too many; what is longer than any word is cut anywhere."""
    if len(text) <= longest:
        return text
    cut = text[: longest - 2]
    whole, _, last = cut.rpartition(" ")
    return f"{whole if len(last) < _WORD else cut} …"


def _accepted(state: State, generation: int, since: Instant) -> dict[str, Any]:
    told = state.errors or state.found
    reason = told[0].code if told else "Accepted"
    return condition("Accepted", not state.errors, reason, sentences(told), generation, since)


def _enforced(state: State, have: int, want: int, generation: int, since: Instant) -> dict[str, Any]:
    if state.errors:
        sentence = f"generation {generation} is not in force; Accepted says why"
        return condition("Enforced", False, "NotAccepted", sentence, generation, since)
    if state.held_back is not None:
        return condition("Enforced", False, "HeldBack", state.held_back, generation, since)
    if have == want:
        return condition("Enforced", True, "Enforced", f"{have} of {want} sidecars", generation, since)
    sentence = f"{have} of {want} sidecars enforce generation {generation}; waiting for {want - have}"
    return condition("Enforced", False, "InProgress", sentence, generation, since)


def _ready(others: Sequence[dict[str, Any]], state: State, generation: int, since: Instant) -> dict[str, Any]:
    """The first of `others` that does not hold is why a resource is not ready.

    One that is ready says in its reason what its author probably did not mean: `kubectl get` shows the reason of this
    condition alone, and a policy that matches nothing is ready, too.
    """
    missing = next((each for each in others if each["status"] != "True"), None)
    if missing is not None:
        sentence = f"{missing['message']}{KEPT}" if state.kept else missing["message"]
        return condition("Ready", False, missing["reason"], sentence, generation, since)
    if state.held_back is not None:
        return condition("Ready", False, "HeldBack", state.held_back, generation, since)
    reason = state.found[0].code if state.found else "Ready"
    return condition("Ready", True, reason, sentences(state.found), generation, since)


def condition(kind: str, holds: bool, reason: str, message: str, generation: int, since: Instant) -> dict[str, Any]:
    """One entry of `status.conditions`, about `generation` of the spec."""
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "observedGeneration": generation,
        "lastTransitionTime": instants.to_rfc3339(since),
        "reason": reason,
        "message": _shortened(message, status.MESSAGE),
    }
