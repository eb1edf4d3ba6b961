"""What each category finds and what it leaves alone; check digits against python-stdnum, not against our own."""

import pytest
import stdnum.iso7064.mod_97_10
import stdnum.luhn
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.policy import checksums
from llmgov.policy.scanner import Scanner
from llmgov.snapshot import Category, ContentFilter, Direction, OnDetect

SCANNERS = {
    category: Scanner([ContentFilter((Direction.REQUEST,), OnDetect.BLOCK, categories=(category,))])
    for category in Category
}

# Assembled here, so that no scanner of secrets takes this file for a leak.
KEY = "Ab1" * 20

FOUND = [
    (Category.FINANCIAL_DATA, "card 4111111111111111 please", {"card_number": "4111111111111111"}),
    (Category.FINANCIAL_DATA, "4111 1111 1111 1111", {"card_number": "4111 1111 1111 1111"}),
    (Category.FINANCIAL_DATA, "pay 5555-5555-5555-4444.", {"card_number": "5555-5555-5555-4444"}),
    (Category.FINANCIAL_DATA, "amex 3782 822463 10005", {"card_number": "3782 822463 10005"}),
    (Category.FINANCIAL_DATA, "4111 1111 1111 1111 123 is number and code", {"card_number": "4111 1111 1111 1111"}),
    (Category.FINANCIAL_DATA, "order 2345 4111 1111 1111 1111", {"card_number": "4111 1111 1111 1111"}),
    (Category.FINANCIAL_DATA, "visa4111111111111111x", {"card_number": "4111111111111111"}),
    (Category.FINANCIAL_DATA, '"card":"4111111111111111"', {"card_number": "4111111111111111"}),
    (Category.FINANCIAL_DATA, "IBAN DE89 3704 0044 0532 0130 00 THIS YEAR", {"iban": "DE89 3704 0044 0532 0130 00"}),
    (Category.FINANCIAL_DATA, "gb82west12345698765432", {"iban": "gb82west12345698765432"}),
    (Category.FINANCIAL_DATA, "cvv: 123", {"card_security_code": "123"}),
    (Category.FINANCIAL_DATA, "routing number 021000021", {"routing_number": "021000021"}),
    (Category.PERSONAL_DATA, "SSN: 078-05-1120", {"ssn": "078-05-1120"}),
    (Category.PERSONAL_DATA, "ssn=078051120", {"ssn": "078051120"}),
    (Category.PERSONAL_DATA, "tax id 912-70-1234", {"itin": "912-70-1234"}),
    (Category.PERSONAL_DATA, "AB 12 34 56 C", {"uk_nino": "AB 12 34 56 C"}),
    (Category.PERSONAL_DATA, "write to jane.doe+llm@mail.example.co.uk.", {"email": "jane.doe+llm@mail.example.co.uk"}),
    (Category.PERSONAL_DATA, "call +49 30 901820", {"phone_number": "+49 30 901820"}),
    (Category.PERSONAL_DATA, "call (415) 555-2671 now", {"phone_number": "(415) 555-2671"}),
    (Category.PERSONAL_DATA, "1-415-555-2671", {"phone_number": "1-415-555-2671"}),
    (Category.PERSONAL_DATA, "dob: 1970-01-31", {"date_of_birth": "1970-01-31"}),
    (Category.HEALTH_DATA, "ICD-10: E11.9", {"icd10_code": "E11.9"}),
    (Category.HEALTH_DATA, '"mrn": "A-1234567"', {"medical_record_number": "A-1234567"}),
    (Category.HEALTH_DATA, "NPI 1234567893", {"npi": "1234567893"}),
    (Category.HEALTH_DATA, "MBI 1EG4-TE5-MK73", {"medicare_id": "1EG4-TE5-MK73"}),
    (Category.HEALTH_DATA, "DEA AB1234563", {"dea_number": "AB1234563"}),
    (Category.HEALTH_DATA, "NHS number 943 476 5919", {"nhs_number": "943 476 5919"}),
    (Category.SECRETS, f"key sk-proj-{KEY}", {"openai_key": f"sk-proj-{KEY}"}),
    (Category.SECRETS, f"sk-ant-api03-{KEY}", {"anthropic_key": f"sk-ant-api03-{KEY}"}),
    (Category.SECRETS, "AIza" + "Sy3" * 11 + "ab", {"google_api_key": "AIza" + "Sy3" * 11 + "ab"}),
    (Category.SECRETS, "AKIA" + "ABCD2345" * 2, {"aws_access_key_id": "AKIA" + "ABCD2345" * 2}),
    (Category.SECRETS, "aws_secret_access_key = " + "wJal" * 10, {"aws_secret_key": "wJal" * 10}),
    (Category.SECRETS, "AccountKey=" + "aB" * 43 + "==;", {"azure_storage_key": "aB" * 43 + "=="}),
    (Category.SECRETS, "ghp_" + "a1" * 18, {"github_token": "ghp_" + "a1" * 18}),
    (Category.SECRETS, "xoxb-" + "1234567890-" * 2 + "x", {"slack_token": "xoxb-" + "1234567890-" * 2 + "x"}),
    (Category.SECRETS, "llmgov_" + KEY, {"platform_key": "llmgov_" + KEY}),
    (Category.SECRETS, "eyJhbGciOiJI.eyJzdWIiOiIx." + "s" * 20, {"jwt": "eyJhbGciOiJI.eyJzdWIiOiIx." + "s" * 20}),
    (
        Category.SECRETS,
        "x -----BEGIN RSA PRIVATE KEY-----\nMIIE+/=\n-----END RSA PRIVATE KEY----- y",
        {"private_key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE+/=\n-----END RSA PRIVATE KEY-----"},
    ),
    (Category.SECRETS, "-----BEGIN PRIVATE KEY----- cut", {"private_key": "-----BEGIN PRIVATE KEY-----"}),
]

LEFT_ALONE = [
    (Category.FINANCIAL_DATA, "4111 1111 1111 1112 has the wrong last digit"),
    (Category.FINANCIAL_DATA, "1234567812345670 is nobody's range, though Luhn holds"),
    (Category.FINANCIAL_DATA, "order 411111111111111122222 is too long"),
    (Category.FINANCIAL_DATA, "DE00 3704 0044 0532 0130 00 has wrong check digits"),
    (Category.FINANCIAL_DATA, "ZZ89 3704 0044 0532 0130 00 has no country"),
    (Category.FINANCIAL_DATA, "routing number 021000022 has a wrong check digit"),
    (Category.PERSONAL_DATA, "666-12-3456, 000-12-3456, 123-00-4567 and 123-45-0000 were never issued"),
    (Category.PERSONAL_DATA, "part 078051120 is only nine digits"),
    (Category.PERSONAL_DATA, "user@localhost and @handle"),
    (Category.PERSONAL_DATA, "version 1.2.3-456.7890 of 2026-11-24"),
    (Category.HEALTH_DATA, "E11.9 alone may be a chair"),
    (Category.HEALTH_DATA, "NPI 1234567890 has a wrong check digit"),
    (Category.HEALTH_DATA, "mrn: unknown"),
    (Category.SECRETS, "sk-learn-is-a-library-with-a-hyphenated-name"),
    (Category.SECRETS, "task-force-of-twenty-people-and-more"),
    (Category.SECRETS, "-----BEGIN PUBLIC KEY-----"),
]


def found(category: Category, text: str) -> dict[str, str]:
    finder, data = SCANNERS[category], text.encode()
    return {finder.items[hit.item].name: data[hit.start : hit.end].decode() for hit in finder.hits(data)}


@pytest.mark.parametrize(("category", "text", "expected"), FOUND, ids=[row[1][:40] for row in FOUND])
def test_finds(category: Category, text: str, expected: dict[str, str]) -> None:
    assert found(category, text) == expected


@pytest.mark.parametrize(("category", "text"), LEFT_ALONE, ids=[row[1][:40] for row in LEFT_ALONE])
def test_leaves_alone(category: Category, text: str) -> None:
    assert found(category, text) == {}


def test_every_detector_is_shown_to_find_something() -> None:
    names = {item.name for finder in SCANNERS.values() for item in finder.items}
    shown = {name for _, _, expected in FOUND for name in expected}
    assert names - shown == {
        "google_oauth_secret", "azure_api_key", "gitlab_token", "slack_webhook", "stripe_key",
        "huggingface_token", "npm_token", "pypi_token", "sendgrid_key",
    }  # fmt: skip


@settings(max_examples=200)
@given(st.from_regex(r"4[0-9]{15}", fullmatch=True))
def test_card_numbers_are_those_whose_luhn_digit_is_right(digits: str) -> None:
    assert (checksums.card_number(digits.encode()) > 0) is bool(stdnum.luhn.is_valid(digits))


@settings(max_examples=200)
@given(st.from_regex(r"[0-9]{18}", fullmatch=True), st.integers(0, 99))
def test_ibans_are_those_whose_check_digits_are_right(account: str, check: int) -> None:
    number = f"DE{check:02d}{account}"
    valid = stdnum.iso7064.mod_97_10.is_valid(number[4:] + number[:4])
    assert (checksums.iban(number.encode()) == len(number)) is bool(valid)


@given(st.from_regex(r"[0-9]{3}-[0-9]{2}-[0-9]{4}", fullmatch=True))
def test_social_security_numbers_are_those_in_issued_ranges(number: str) -> None:
    area, group, serial = (int(part) for part in number.split("-"))
    issued = 0 < area < 900 and area != 666 and group > 0 and serial > 0
    assert (checksums.social_security_number(number.encode()) > 0) is issued
