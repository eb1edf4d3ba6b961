"""A policy made of a PolicyTemplate: parameters checked and filled in, the result read as strictly as any policy."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmgov import money, problems, resources
from llmgov.compiler import codes, naming, parameters
from llmgov.resources import policy
from llmgov.resources.template import ParameterType

FIELD = "spec.fromTemplate"

_WORDS = {
    ParameterType.STRING: "a text",
    ParameterType.INTEGER: "a whole number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.AMOUNT: 'a decimal string of money such as "0.25"',
    ParameterType.STRINGS: "a list of texts",
}


def check(given: resources.PolicyTemplate) -> Iterator[problems.Problem]:
    """What is wrong with a template, whoever uses it: undeclared parameters, defaults of another type."""
    declared = given.spec.parameters or ()
    _, body = given.spec.body.filled()
    known = {parameter.name for parameter in declared}
    for name in sorted(parameters.names(body) - known):
        yield codes.UNKNOWN_PARAMETER.at(
            given.ref, "spec.body", f"uses the parameter {name}, which is not declared{naming.meant(name, known)}"
        )
    for index, parameter in enumerate(declared):
        if parameter.default is not None and typed(parameter.default, parameter.type) is None:
            field = f"spec.parameters[{index}].default"
            yield codes.WRONG_PARAMETER_TYPE.at(given.ref, field, f"must be {_WORDS[parameter.type]}")


def typed(value: Any, kind: ParameterType) -> parameters.Value | None:
    """The value as a parameter of that type holds it, `None` where it is of another."""
    match kind:
        case ParameterType.STRING:
            return value if isinstance(value, str) else None
        case ParameterType.INTEGER:
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        case ParameterType.BOOLEAN:
            return value if isinstance(value, bool) else None
        case ParameterType.AMOUNT:
            return value if isinstance(value, str) and _is_amount(value) else None
        case ParameterType.STRINGS:
            return tuple(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _is_amount(text: str) -> bool:
    try:
        money.parse_amount(text)
    except money.MoneyError:
        return False
    return True


def expand(
    given: resources.LLMPolicy, use: policy.FromTemplate, known: Mapping[str, resources.PolicyTemplate]
) -> policy.LLMPolicySpec | list[problems.Problem]:
    """The spec with the template's body in place of `fromTemplate`, or why there is none."""
    found = known.get(use.name)
    if found is None:
        message = naming.missing("PolicyTemplate", use.name, known)
        return [codes.UNKNOWN_TEMPLATE.at(given.ref, f"{FIELD}.name", message)]
    if any(check(found)):
        return [
            codes.TEMPLATE_INVALID.at(given.ref, f"{FIELD}.name", f"the PolicyTemplate {use.name} is in error itself")
        ]
    broken = list(_misuses(given, use, found))
    if broken:
        return broken
    return _read(given, use.name, _filled(use, found))


def _misuses(
    given: resources.LLMPolicy, use: policy.FromTemplate, found: resources.PolicyTemplate
) -> Iterator[problems.Problem]:
    declared = {parameter.name: parameter for parameter in found.spec.parameters or ()}
    values = use.parameters or {}
    for name, value in values.items():
        field = f"{FIELD}.parameters.{name}"
        if name not in declared:
            message = f"the PolicyTemplate {use.name} declares no parameter {name}{naming.meant(name, declared)}"
            yield codes.UNKNOWN_PARAMETER.at(given.ref, field, message)
        elif typed(value, declared[name].type) is None:
            yield codes.WRONG_PARAMETER_TYPE.at(given.ref, field, f"must be {_WORDS[declared[name].type]}")
    for name, parameter in declared.items():
        if parameter.default is None and name not in values:
            message = f"the PolicyTemplate {use.name} needs the parameter {name}"
            yield codes.MISSING_PARAMETER.at(given.ref, f"{FIELD}.parameters", message)


def _filled(use: policy.FromTemplate, found: resources.PolicyTemplate) -> dict[str, parameters.Tree]:
    given = use.parameters or {}
    values = {
        parameter.name: typed(given.get(parameter.name, parameter.default), parameter.type)
        for parameter in found.spec.parameters or ()
    }
    name, body = found.spec.body.filled()
    return {name: parameters.fill(body, {key: value for key, value in values.items() if value is not None})}


def _read(
    given: resources.LLMPolicy, name: str, body: dict[str, parameters.Tree]
) -> policy.LLMPolicySpec | list[problems.Problem]:
    written = given.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"status"})
    kept = {key: value for key, value in written["spec"].items() if key != "fromTemplate"}
    result = resources.parse({**written, "spec": {**kept, **body}})
    if isinstance(result, resources.LLMPolicy):
        return result.spec
    found = result if isinstance(result, list) else []
    return [_translated(given, name, problem) for problem in found]


def _translated(given: resources.LLMPolicy, name: str, problem: problems.Problem) -> problems.Problem:
    message = f"made of the PolicyTemplate {name}, {problem.field} {problem.message} ({problem.remedy})"
    return codes.TEMPLATE_INVALID.at(given.ref, FIELD, message)
