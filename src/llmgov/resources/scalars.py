"""Strings and numbers with a format: names, amounts, patterns, addresses (see `text` for what a format is)."""

from typing import Annotated

import pydantic

from llmgov import money
from llmgov.resources import durations, faults
from llmgov.resources.text import Check, Text

_MOST = money.MAX_AMOUNT // money.MICRO_PER_USD
_POSITIVE = Check("must be more than 0", faults.zero, "self.matches('[1-9]')")


def duration(longest: str) -> Text:
    """A Go duration (`500ms`, `5s`, `1h30m`) of at most `longest`."""

    def excess(text: str) -> str | None:
        return None if durations.parse(text) <= durations.parse(longest) else ""

    return Text(
        code="InvalidDuration",
        pattern=durations.PATTERN,
        max_length=24,
        message="must be a duration",
        remedy="write numbers with a unit of ms, s, m or h, such as 500ms, 5s or 1h30m",
        check=Check(f"must be at most {longest}", excess, f"duration(self) <= duration('{longest}')"),
    )


_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"

Label = Annotated[
    str,
    Text(
        code="InvalidName",
        pattern=_LABEL,
        max_length=63,
        message="must be lower-case letters, digits and hyphens, beginning and ending with a letter or digit",
        remedy="use a name such as payments or team-a",
    ),
]
"""An RFC 1123 label: namespaces, and names that we show in messages and redactions."""

ObjectName = Annotated[
    str,
    Text(
        code="InvalidName",
        pattern=rf"{_LABEL}([.]{_LABEL})*",
        max_length=253,
        message="must be lower-case letters, digits, hyphens and dots, beginning and ending with a letter or digit",
        remedy="use a name such as payments or team-a",
    ),
]
"""An RFC 1123 subdomain: names of Kubernetes objects."""

LabelKey = Annotated[
    str,
    Text(
        code="InvalidLabel",
        pattern=rf"({_LABEL}([.]{_LABEL})*/)?[A-Za-z0-9]([A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?",
        max_length=317,
        message="must be a Kubernetes label key",
        remedy="write an optional domain and a name, such as app or example.com/app",
    ),
]

LabelValue = Annotated[
    str,
    Text(
        code="InvalidLabel",
        pattern=r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?",
        max_length=63,
        message="must be a Kubernetes label value",
        remedy="use letters, digits, hyphens, underscores and dots, beginning and ending with a letter or digit",
    ),
]

SecretKey = Annotated[
    str,
    Text(
        code="InvalidName",
        pattern="[A-Za-z0-9._-]+",
        max_length=253,
        message="must be a key of a Secret: letters, digits, hyphens, underscores and dots",
        remedy="name an entry of the Secret's data, such as api-key",
    ),
]

Amount = Annotated[
    str,
    Text(
        code="InvalidAmount",
        pattern=r"(0|[1-9][0-9]*)([.][0-9]{1,6})?",
        max_length=20,
        message='must be a decimal string such as "5000" or "0.25", with at most 6 decimals',
        remedy="write the amount in quotes, with digits and at most one point",
        check=Check(
            f"must be at most {_MOST}",
            faults.excess,
            "self.matches(r'^([0-9]{1,12}([.][0-9]+)?|1000000000000([.]0+)?)$')",
        ),
    ),
]
"""Money: a decimal string, never a number of YAML (which would be a float). See `llmgov.money.parse_amount`."""

Factor = Annotated[
    str,
    Text(
        code="InvalidFactor",
        pattern=r"(0|[1-9][0-9]{0,3})([.][0-9]{1,6})?",
        max_length=11,
        message='must be a decimal string below 10000, such as "1.1"',
        remedy="write the factor in quotes, with at most 6 decimals",
        check=_POSITIVE,
    ),
]
"""By what a price is multiplied. See `llmgov.money.parse_amount`: millionths are parts per million."""

ExchangeRate = Annotated[
    str,
    Text(
        code="InvalidExchangeRate",
        pattern=r"(0|[1-9][0-9]{0,5})([.][0-9]{1,9})?",
        max_length=16,
        message='must be a decimal string below 1000000, such as "1.08"',
        remedy="write what one unit of the currency is worth in USD, in quotes, with at most 9 decimals",
        check=_POSITIVE,
    ),
]

Currency = Annotated[
    str,
    Text(
        code="InvalidCurrency",
        pattern="[A-Z]{3}",
        max_length=3,
        message="must be a currency code of ISO 4217",
        remedy="use three capital letters such as USD or EUR",
    ),
]

TimeZone = Annotated[
    str,
    Text(
        code="InvalidTimeZone",
        pattern="[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*",
        max_length=64,
        message="must be the name of a time zone",
        remedy="use a name such as UTC or Europe/Berlin",
        check=Check("is no time zone of the IANA database", faults.no_time_zone),
    ),
]

User = Annotated[
    str,
    Text(
        code="InvalidUser",
        pattern=r"[^\s\x00-\x1f\x7f]+",
        max_length=254,
        message="must be a user's name as tokens give it, without spaces",
        remedy="use a name such as jane@example.com",
    ),
]

Permission = Annotated[
    str,
    Text(
        code="InvalidPermission",
        pattern=r"[a-z][a-z0-9_-]*([.][A-Za-z0-9_-]+)*[.]([A-Za-z0-9_-]+|[*])",
        max_length=128,
        message="must be a permission: words joined by dots, the last of which may be *",
        remedy="use a permission such as users.view, llm.use.openai or llm.use.*",
    ),
]

ModelName = Annotated[
    str,
    Text(
        code="InvalidModel",
        pattern="[A-Za-z0-9][A-Za-z0-9._:/@-]*",
        max_length=128,
        message="must be a model's exact name",
        remedy="use a name such as gpt-4o or claude-sonnet-4-5, without wildcards",
    ),
]

ModelPattern = Annotated[
    str,
    Text(
        code="InvalidModelPattern",
        pattern="[A-Za-z0-9*][A-Za-z0-9._:/@*-]*",
        max_length=128,
        message="must be a pattern over provider/model, in which * stands for any characters",
        remedy="use a pattern such as openai/gpt-4o* or anthropic/claude-*",
    ),
]

Regex = Annotated[
    str,
    Text(
        code="InvalidRegex",
        pattern=r"[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F]+",
        max_length=1024,
        message=r"must be text without control characters (YAML makes one of \b in double quotes: use single quotes)",
        remedy="see github.com/google/re2/wiki/Syntax; RE2 has no look-around and no back-references",
        check=Check("must be an RE2 pattern that does not match the empty text", faults.no_regex, "!''.matches(self)"),
    ),
]

Route = Annotated[
    str,
    Text(
        code="InvalidRoute",
        pattern=r"(GET|POST|PUT|PATCH|DELETE) /[A-Za-z0-9._~/*-]*",
        max_length=200,
        message="must be a method and a path, in which * stands for any characters",
        remedy="use a route such as POST /v1/files or GET /v1/files/*",
    ),
]

ParameterName = Annotated[
    str,
    Text(
        code="InvalidParameterName",
        pattern="[A-Z][A-Z0-9_]*",
        max_length=63,
        message="must be capital letters, digits and underscores, beginning with a letter",
        remedy="use a name such as REQUESTS_PER_MINUTE, which the body takes as {{REQUESTS_PER_MINUTE}}",
    ),
]

BaseUrl = Annotated[
    str,
    Text(
        code="InvalidUrl",
        pattern=rf"https?://{_HOST}(/[A-Za-z0-9._~/-]*)?",
        max_length=512,
        message="must be an http or https URL without user, query and fragment",
        remedy="use a URL such as https://api.example.com/v1",
    ),
]

Origin = Annotated[
    str,
    Text(
        code="InvalidOrigin",
        pattern=rf"https?://{_HOST}",
        max_length=300,
        message="must be an origin: scheme and host, without a path",
        remedy="use an origin such as https://app.example.com; * is not possible, since credentials are sent",
    ),
]

Host = Annotated[
    str,
    Text(
        code="InvalidHost",
        pattern=rf"([*][.])?{_HOST}",
        max_length=260,
        message="must be a host, with a port where it is not the default, or *. and a domain",
        remedy="use a host such as api.openai.com or *.openai.azure.com",
    ),
]

Network = Annotated[
    str,
    Text(
        code="InvalidNetwork",
        pattern="[0-9A-Fa-f:.]+/[0-9]{1,3}",
        max_length=43,
        message="must be a network in CIDR notation",
        remedy="use a network such as 10.0.0.0/8 or 2001:db8::/32",
        check=Check("is no network, or has bits set beyond its prefix", faults.no_network),
    ),
]

KeySet = Annotated[
    str,
    Text(
        code="InvalidKeySet",
        pattern=r"(?s:\s*\{.*\}\s*)",
        max_length=32_768,
        message="must be a JSON Web Key Set",
        remedy='copy the issuer\'s document, which begins with {"keys": [',
        check=Check(
            "must be a JSON Web Key Set of public keys",
            faults.no_public_keys,
            # CEL reads no JSON; but a quote inside of a JSON string is escaped, so that this is a member's name.
            r"""!self.matches(r'"(d|k)"\s*:')""",
        ),
    ),
]

HeaderName = Annotated[
    str,
    Text(
        code="InvalidHeader",
        pattern="[A-Za-z0-9][A-Za-z0-9_-]*",
        max_length=64,
        message="must be the name of an HTTP header",
        remedy="use a name such as X-User",
    ),
]

Quantity = Annotated[
    str,
    Text(
        code="InvalidQuantity",
        pattern="[1-9][0-9]*(m|Ki|Mi|Gi)?",
        max_length=16,
        message="must be a quantity of Kubernetes",
        remedy="use a quantity such as 50m, 1, 64Mi or 1Gi",
    ),
]

UpTo5Minutes = Annotated[str, duration("5m")]
UpTo30Days = Annotated[str, duration("720h")]

Prose = Annotated[str, pydantic.Field(min_length=1, max_length=1024)]
"""Text for people."""

Percent = Annotated[int, pydantic.Field(ge=1, le=100)]
Days = Annotated[int, pydantic.Field(ge=1, le=36_500)]
Count = Annotated[int, pydantic.Field(ge=1, le=1_000_000_000)]
"""How many requests or tokens; at least one, since none at all is said with `modelAccess`."""
