"""Every problem that needs two resources to be seen, each with its code, its severity and its remedy.

A code is stable and names an anchor in docs/troubleshooting.md; tests/golden/compiler holds a case for each.
"""

import dataclasses

from llmgov import problems


@dataclasses.dataclass(frozen=True, slots=True)
class Code:
    """A kind of problem: `at` makes one of it for a field of a resource."""

    name: str
    remedy: str
    severity: problems.Severity = problems.Severity.ERROR

    def at(self, resource: problems.ResourceRef, field: str, message: str) -> problems.Problem:
        """The problem in `field` (a JSON path, empty for the whole resource); `message` is one sentence."""
        return problems.Problem(self.name, resource, field, message, self.remedy, self.severity)


_WARNING = problems.Severity.WARNING

DUPLICATE = Code("DuplicateResource", "Remove one of the two, or give it another name.")

UNKNOWN_TEAM = Code("UnknownTeam", "Create the Team, or correct the name.")
UNKNOWN_ROLE = Code("UnknownRole", "Create the LLMRole, or correct the name.")
UNKNOWN_TEMPLATE = Code("UnknownTemplate", "Create the PolicyTemplate, or correct the name.")
UNKNOWN_NAMESPACE = Code(
    "UnknownNamespace", "Create the namespace, or correct the name; it counts from then on.", _WARNING
)
NO_MODEL_MATCHES = Code(
    "NoModelMatches",
    'Write provider/model, such as "openai/gpt-4o*"; `llmgov prices check` lists the models.',
    _WARNING,
)

TEAM_CYCLE = Code("TeamCycle", "Remove or change the parent of one of these teams.")
NAMESPACE_CLAIMED = Code("NamespaceClaimedTwice", "Let one team alone claim the namespace.")
ROLE_CYCLE = Code("RoleCycle", "Remove one of these roles from the other's list of inherited roles.")

MISSING_PARAMETER = Code("MissingParameter", "Give the parameter a value.")
UNKNOWN_PARAMETER = Code("UnknownParameter", "Remove the parameter, or declare it in the template.")
WRONG_PARAMETER_TYPE = Code("WrongParameterType", "Give a value of the type that the template declares.")
TEMPLATE_INVALID = Code("InvalidFromTemplate", "Correct the template's body, or the parameter's value.")

ROOT_ONLY_TARGET = Code(
    "RootNamespaceOnly",
    "Move the resource to the root namespace, or leave the field out: it governs its own namespace.",
)
ROOT_ONLY_LOOSENING = Code(
    "OnlyRootMayLoosen", "Leave the field out, or ask for this in the root namespace: elsewhere rules only tighten."
)
HOST_NOT_ALLOWED = Code(
    "HostNotAllowed", "Use a host that GovernanceSettings lists in spec.allowedProviderHosts, or have it listed."
)
PRICE_LOWERED = Code("PriceLowered", "Give at least the known price: outside the root namespace prices only rise.")
PRICE_NOT_KNOWN = Code("PriceNotKnown", "Have the model's price declared by a credential in the root namespace.")

SECRET_NOT_FOUND = Code("SecretNotFound", "Create the Secret, or correct spec.secretRef.name.")
SECRET_KEY_MISSING = Code("SecretKeyMissing", "Add the key to the Secret, or correct spec.secretRef.key.")
SECRET_WRONG_TYPE = Code("SecretWrongType", "Create the Secret with type llmgov.dev/provider-key.")

NO_CURRENCY_RATE = Code("NoCurrencyRate", "Add the rate to GovernanceSettings, or state the limit in USD.")
OVERLAPPING_BUDGETS = Code(
    "OverlappingBudgets",
    "Keep one of them; until then the lower limit and the thresholds of both are in force.",
    _WARNING,
)

ALL: tuple[Code, ...] = tuple(value for value in tuple(vars().values()) if isinstance(value, Code))
"""Every code, for the tests and the documentation."""
