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
        """The problem in `field` (a JSON path, empty for the whole resource); `message` completes the field's name."""
        return problems.Problem(self.name, resource, field, message, self.remedy, self.severity)


_WARNING = problems.Severity.WARNING

DUPLICATE = Code("DuplicateResource", "remove one of the two, or give it another name")

UNKNOWN_TEAM = Code("UnknownTeam", "create the Team, or correct the name")
UNKNOWN_ROLE = Code("UnknownRole", "create the LLMRole, or correct the name")
UNKNOWN_TEMPLATE = Code("UnknownTemplate", "create the PolicyTemplate, or correct the name")
UNKNOWN_NAMESPACE = Code(
    "UnknownNamespace", "create the namespace, or correct the name; it counts from then on", _WARNING
)
NO_MODEL_MATCHES = Code(
    "NoModelMatches",
    'write provider/model, such as "openai/gpt-4o*"; `llmgov prices list` names the models',
    _WARNING,
)

TEAM_CYCLE = Code("TeamCycle", "remove or change the parent of one of these teams")
NAMESPACE_CLAIMED = Code("NamespaceClaimedTwice", "let one team alone claim the namespace")
ROLE_CYCLE = Code("RoleCycle", "remove one of these roles from the other's list of inherited roles")

MISSING_PARAMETER = Code("MissingParameter", "give the parameter a value")
UNKNOWN_PARAMETER = Code("UnknownParameter", "remove the parameter, or declare it in the template")
WRONG_PARAMETER_TYPE = Code("WrongParameterType", "give a value of the type that the template declares")
TEMPLATE_INVALID = Code("InvalidFromTemplate", "correct the template's body, or the parameter's value")

ROOT_ONLY_TARGET = Code(
    "RootNamespaceOnly",
    "move the resource to the root namespace, or let it govern its own namespace only",
)
ROOT_ONLY_LOOSENING = Code(
    "OnlyRootMayLoosen", "leave the field out, or ask for this in the root namespace: elsewhere rules only tighten"
)
HOST_NOT_ALLOWED = Code(
    "HostNotAllowed", "use a host that GovernanceSettings lists in spec.allowedProviderHosts, or have it listed"
)
PRICE_LOWERED = Code("PriceLowered", "give at least the known price: outside the root namespace prices only rise")
PRICE_NOT_KNOWN = Code("PriceNotKnown", "have the model's price declared by a credential in the root namespace")

KEYS_NOT_FETCHED = Code("KeysNotFetched", "see that the hub can reach the URL", _WARNING)

SECRET_NOT_FOUND = Code("SecretNotFound", "create the Secret, or correct spec.secretRef.name")
SECRET_KEY_MISSING = Code("SecretKeyMissing", "add the key to the Secret, or correct spec.secretRef.key")
SECRET_WRONG_TYPE = Code("SecretWrongType", "create the Secret with type llmgov.dev/provider-key")

NO_CURRENCY_RATE = Code("NoCurrencyRate", "add the rate to GovernanceSettings, or state the limit in USD")
OVERLAPPING_BUDGETS = Code(
    "OverlappingBudgets",
    "keep one of them; until then the lower limit and the thresholds of both are in force",
    _WARNING,
)

ALL: tuple[Code, ...] = tuple(value for value in tuple(vars().values()) if isinstance(value, Code))
"""Every code, for the tests and the documentation."""
