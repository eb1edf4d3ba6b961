"""What the guide's sensitive categories mean: detectors of structured data, an RE2 pattern and, mostly, a checksum.

They find what has a form: numbers with check digits, keys with prefixes, identifiers beside the word that names them
(`MRN: 1234567`). They do not find names, addresses, or a diagnosis written in words, and do not claim to: for health
data that means ICD-10 codes, record numbers and insurance and prescriber numbers only.

Sources: ISO/IEC 7812 (card numbers), ISO 13616 (IBAN registry), SSA (SSN ranges since 2011), IRS (ITIN), E.164 and NANP
(phone numbers), RFC 5321 (e-mail lengths), CMS (NPI, MBI), DEA, HMRC (NINO); the key formats of each vendor's docs.
"""

import dataclasses
from collections.abc import Callable

from llmgov.policy import checksums
from llmgov.snapshot import Category

Check = Callable[[bytes], int]
"""Looks at the matched bytes; returns how many of them, from the start, really are what was looked for, or 0."""


@dataclasses.dataclass(slots=True, frozen=True)
class Detector:
    """One kind of data. `group` 1 is what was found, and the rest of the match its surroundings."""

    name: str
    regex: str
    check: Check | None = None
    group: int = 1


def of(category: Category) -> tuple[Detector, ...]:
    """The detectors of a category."""
    return _BY_CATEGORY[category]


def _labelled(label: str, value: str) -> str:
    """A value that only means something beside its name: `MRN: 123`, `"npi": "123"`, `routing number is 123`."""
    return rf'(?i:\b{label})(?:"|\')?[ \t]{{0,3}}(?:[:=#]|is|no\.?|number)?[ \t]{{0,3}}(?:"|\')?({value})\b'


_CARD = Detector(
    "card_number",
    r"(?:\b|[A-Za-z_])("
    r"[2-6][0-9]{12,18}"
    r"|[2-6][0-9]{3}[ .-]?[0-9]{4}[ .-]?[0-9]{4}[ .-]?[0-9]{4}(?:[ .-]?[0-9]{3})?"
    r"|3[0-9]{3}[ .-]?[0-9]{6}[ .-]?[0-9]{4,5}"
    r")(?:\b|[A-Za-z_])",
    checksums.card_number,
)
_IBAN = Detector("iban", r"(?i)\b([A-Z]{2}[0-9]{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?)\b", checksums.iban)
_CVV = Detector("card_security_code", _labelled(r"(?:cvv2?|cvc2?|card security code)", r"[0-9]{3,4}"))
_ROUTING = Detector(
    "routing_number", _labelled(r"(?:aba|routing(?: (?:number|no\.?))?)", r"[0-9]{9}"), checksums.routing_number
)

_SSN = Detector("ssn", r"\b([0-9]{3}[- ][0-9]{2}[- ][0-9]{4})\b", checksums.social_security_number)
_SSN_LABELLED = Detector(
    "ssn",
    _labelled(r"(?:ssn|social security(?: (?:number|no\.?))?)", r"[0-9]{9}"),
    checksums.social_security_number,
)
_ITIN = Detector("itin", r"\b(9[0-9]{2}[- ][0-9]{2}[- ][0-9]{4})\b", checksums.taxpayer_number)
_NINO = Detector("uk_nino", r"\b([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])\b")
_EMAIL = Detector(
    "email",
    r"([A-Za-z0-9!#$%&*+/=?^_{|}~.-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24})\b",
)
_PHONE = Detector(
    "phone_number",
    r"(\+[1-9][0-9]{0,2}(?:[ .()/-]{0,2}[0-9]{1,4}){2,5}"
    r"|(?:\b1[ .-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4})\b",
    checksums.phone_number,
)
_BIRTH = Detector(
    "date_of_birth",
    _labelled(
        r"(?:dob|date of birth|birth ?date|born(?: on)?)",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2,4}",
    ),
)

_ICD = Detector(
    "icd10_code",
    _labelled(
        r"(?:icd-?10(?:-cm)?(?: code)?|diagnosis code|dx)", r"[A-TV-Za-tv-z][0-9][0-9A-Za-z](?:\.[0-9A-Za-z]{1,4})?"
    ),
)
_MRN = Detector(
    "medical_record_number",
    _labelled(r"(?:mrn|medical record(?: (?:number|no\.?))?|patient id)", r"[A-Za-z0-9-]{5,15}"),
    checksums.has_digits,
)
_NPI = Detector("npi", _labelled(r"(?:npi|national provider identifier)", r"[12][0-9]{9}"), checksums.npi)
_MBI = Detector(
    "medicare_id",
    r"\b([1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y]{2}[0-9]{2})\b",
)
_DEA = Detector("dea_number", r"\b([A-HJ-NPR-UX][A-Z9][0-9]{7})\b", checksums.dea_number)
_NHS = Detector(
    "nhs_number", _labelled(r"nhs(?: (?:number|no\.?))?", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}"), checksums.nhs_number
)

_SECRETS = (
    Detector("anthropic_key", r"\b(sk-ant-[A-Za-z0-9_-]{20,})"),
    Detector("openai_key", r"\b(sk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,})", checksums.openai_key),
    Detector("google_api_key", r"\b(AIza[A-Za-z0-9_-]{35})"),
    Detector("google_oauth_secret", r"\b(GOCSPX-[A-Za-z0-9_-]{28})"),
    Detector("aws_access_key_id", r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b"),
    Detector("aws_secret_key", _labelled(r"(?:aws_?)?secret_?(?:access_?)?key", r"[A-Za-z0-9/+]{40}")),
    Detector("azure_storage_key", r"\bAccountKey=([A-Za-z0-9+/]{86}==)"),
    Detector("azure_api_key", _labelled(r"(?:azure[a-z_ -]{0,24}key|ocp-apim-subscription-key)", r"[0-9a-f]{32}")),
    Detector("github_token", r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{82})"),
    Detector("gitlab_token", r"\b(glpat-[A-Za-z0-9_-]{20,})"),
    Detector("slack_token", r"\b(xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,})"),
    Detector("slack_webhook", r"(hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/]{20,})"),
    Detector("stripe_key", r"\b([rs]k_(?:live|test)_[A-Za-z0-9]{16,})"),
    Detector("huggingface_token", r"\b(hf_[A-Za-z0-9]{34})\b"),
    Detector("npm_token", r"\b(npm_[A-Za-z0-9]{36})\b"),
    Detector("pypi_token", r"\b(pypi-AgEI[A-Za-z0-9_-]{40,})"),
    Detector("sendgrid_key", r"\b(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    Detector("platform_key", r"\b(llmgov_[A-Za-z0-9_-]{16,})"),
    Detector("jwt", r"\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,})"),
    Detector(
        "private_key",
        r"(-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/=\s:,.\\-]*-----END (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----)?)",
    ),
)

_BY_CATEGORY: dict[Category, tuple[Detector, ...]] = {
    Category.PERSONAL_DATA: (_SSN, _SSN_LABELLED, _ITIN, _NINO, _EMAIL, _PHONE, _BIRTH),
    Category.HEALTH_DATA: (_ICD, _MRN, _NPI, _MBI, _DEA, _NHS),
    Category.FINANCIAL_DATA: (_CARD, _IBAN, _CVV, _ROUTING),
    Category.SECRETS: _SECRETS,
}
