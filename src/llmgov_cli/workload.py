"""How a workload is written, `namespace/serviceAccount`, and what is wrong where it is not. Pure."""

import re

_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_PARTS = (
    ("namespace", re.compile(_LABEL, re.ASCII), 63, "lower-case letters, digits and hyphens"),
    ("ServiceAccount", re.compile(rf"{_LABEL}([.]{_LABEL})*", re.ASCII), 253, "lower-case letters, digits, - and ."),
)
"""RFC 1123: a namespace is a label, a ServiceAccount a subdomain."""


def fault(name: str) -> str | None:
    """What is wrong with a workload's name, `None` where nothing is."""
    namespace, slash, account = name.partition("/")
    if not slash:
        return "must be NAMESPACE/SERVICEACCOUNT, such as default/default"
    for part, (what, pattern, longest, letters) in zip((namespace, account), _PARTS, strict=True):
        if len(part) > longest or not pattern.fullmatch(part):
            return f"the {what} {part!r} must be at most {longest} {letters}, and begin and end with a letter or digit"
    return None
