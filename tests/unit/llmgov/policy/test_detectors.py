"""What each category finds and what it leaves alone; check digits against python-stdnum, not against our own."""

import pathlib

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

# Assembled here, so that no scanner of secrets takes this file for a leak; a test below lets our own look.
KEY = "Ab1" * 20
PEM = "-----BEGIN "
SLACK = "hooks.slack.com/" + "services/"

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
        f"x {PEM}RSA PRIVATE KEY-----\nMIIE+/=\n-----END RSA PRIVATE KEY----- y",
        {"private_key": f"{PEM}RSA PRIVATE KEY-----\nMIIE+/=\n-----END RSA PRIVATE KEY-----"},
    ),
    (Category.SECRETS, f"{PEM}PRIVATE KEY----- cut", {"private_key": f"{PEM}PRIVATE KEY-----"}),
    (Category.SECRETS, "secret GOCSPX-" + "a-1_" * 7, {"google_oauth_secret": "GOCSPX-" + "a-1_" * 7}),
    (Category.SECRETS, "AZURE_OPENAI_API_KEY=" + "0a1f" * 8, {"azure_api_key": "0a1f" * 8}),
    (Category.SECRETS, "Ocp-Apim-Subscription-Key: " + "0a1f" * 8, {"azure_api_key": "0a1f" * 8}),
    (Category.SECRETS, "github_pat_" + "aB1_" * 20 + "aB", {"github_token": "github_pat_" + "aB1_" * 20 + "aB"}),
    (Category.SECRETS, "token glpat-" + "aB-1_" * 4, {"gitlab_token": "glpat-" + "aB-1_" * 4}),
    (Category.SECRETS, "xapp-1-" + "A1" * 5, {"slack_token": "xapp-1-" + "A1" * 5}),
    (Category.SECRETS, f"https://{SLACK}T0/B0/" + "aB1x" * 6, {"slack_webhook": f"{SLACK}T0/B0/" + "aB1x" * 6}),
    (Category.SECRETS, "sk_live_" + "aB1x" * 6, {"stripe_key": "sk_live_" + "aB1x" * 6}),
    (Category.SECRETS, "rk_test_" + "aB1x" * 4, {"stripe_key": "rk_test_" + "aB1x" * 4}),
    (Category.SECRETS, "HF_TOKEN=hf_" + "aB" * 17, {"huggingface_token": "hf_" + "aB" * 17}),
    (Category.SECRETS, "_authToken=npm_" + "aB1x" * 9, {"npm_token": "npm_" + "aB1x" * 9}),
    (Category.SECRETS, "password = pypi-AgEI" + "aB-1_" * 8, {"pypi_token": "pypi-AgEI" + "aB-1_" * 8}),
    (
        Category.SECRETS,
        "SG." + "aB" * 11 + "." + "a-1_" * 10 + "xyz",
        {"sendgrid_key": "SG." + "aB" * 11 + "." + "a-1_" * 10 + "xyz"},
    ),
]

LEFT_ALONE = [
    ("card_number", "4111 1111 1111 1112 has the wrong last digit"),
    ("card_number", "1234567812345670 is nobody's range, though Luhn holds"),
    ("card_number", "order 411111111111111122222 is too long"),
    ("iban", "DE00 3704 0044 0532 0130 00 has wrong check digits"),
    ("iban", "ZZ89 3704 0044 0532 0130 00 has no country"),
    ("card_security_code", "cvv: 12, and 123 alone"),
    ("routing_number", "routing number 021000022 has a wrong check digit"),
    ("ssn", "666-12-3456, 000-12-3456, 123-00-4567 and 123-45-0000 were never issued"),
    ("ssn", "part 078051120 is only nine digits"),
    ("itin", "912-10-1234 has a group that is none"),
    ("uk_nino", "AB 12 34 56 E has a suffix that is none, QB 12 34 56 C a prefix"),
    ("email", "user@localhost and @handle"),
    ("phone_number", "version 1.2.3-456.7890 of 2026-11-24"),
    ("date_of_birth", "dob: unknown, seen on 1970-01-31"),
    ("icd10_code", "E11.9 alone may be a chair, and ICD-10: 11.9 is no code"),
    ("medical_record_number", "mrn: unknown"),
    ("npi", "NPI 1234567890 has a wrong check digit"),
    ("medicare_id", "MBI 0EG4-TE5-MK73 begins with a zero, 1EG4-TE5-SK73 has an S"),
    ("dea_number", "DEA AB1234564 has a wrong check digit"),
    ("nhs_number", "NHS number 943 476 5918 has a wrong check digit, 943 476 5919 alone is a number"),
    ("anthropic_key", "sk-ant-" + "a1" * 9 + "a"),
    ("openai_key", "sk-learn-is-a-library-with-a-hyphenated-name"),
    ("openai_key", "sk-" + "Ab1" * 6 + "x"),
    ("openai_key", "task-force-of-twenty-people-and-more"),
    ("google_api_key", "AIza" + "Sy3" * 11 + "a"),
    ("google_oauth_secret", "GOCSPX-" + "a-1_" * 6 + "a-1"),
    ("aws_access_key_id", "AKIA" + "ABC23" * 3 + " and AKIA" + "ABCD2345" * 2 + "Z and AKIA" + "ABCD2341" * 2),
    ("aws_secret_key", "wJal" * 10 + " has no name, and aws_secret_access_key = " + "wJa" * 13),
    ("azure_storage_key", "AccountKey=" + "aB1x/" * 17 + "==;"),
    ("azure_api_key", "azure key " + "0a1f" * 7 + "0a1, md5 " + "0a1f" * 8),
    ("github_token", "ghp_" + "a1" * 17 + "a and ghx_" + "a1" * 18),
    ("gitlab_token", "glpat-" + "aB-1_" * 3 + "aB-1"),
    ("slack_token", "xoxb-" + "123456789 and xoxz-" + "1234567890" * 2),
    ("slack_webhook", f"https://{SLACK}T0/B0/" + "aB1" * 4 + "x"),
    ("stripe_key", "pk_live_" + "aB1x" * 6 + " may be published, and sk_live_" + "aB1" * 5 + " is too short"),
    ("huggingface_token", "hf_" + "aB" * 16 + "a and hf_" + "aB" * 17 + "a"),
    ("npm_token", "npm_" + "aB1x" * 8 + "aB1 and npm_" + "aB1x" * 9 + "a"),
    ("pypi_token", "pypi-AgEI" + "aB-1_" * 7 + "aB-1 and pypi-Ag" + "aB-1_" * 9),
    ("sendgrid_key", "SG." + "aB" * 11 + "." + "a-1_" * 10 + "xy"),
    ("platform_key", "llmgov_" + "aB1" * 5),
    ("jwt", "eyJhbGciOiJI." + "c3VnYXI" * 3 + "." + "s" * 20 + " and eyJhbGciOiJI.eyJzdWIiOiIx." + "s" * 15),
    ("private_key", f"{PEM}PUBLIC KEY-----"),
]
"""Of each detector what comes near to what it finds."""

CATEGORIES = {item.name: category for category, finder in SCANNERS.items() for item in finder.items}


def found(category: Category, text: str) -> dict[str, str]:
    finder, data = SCANNERS[category], text.encode()
    return {finder.items[hit.item].name: data[hit.start : hit.end].decode() for hit in finder.hits(data)}


@pytest.mark.parametrize(("category", "text", "expected"), FOUND, ids=[row[1][:40] for row in FOUND])
def test_finds(category: Category, text: str, expected: dict[str, str]) -> None:
    assert found(category, text) == expected


@pytest.mark.parametrize(("name", "text"), LEFT_ALONE, ids=[f"{row[0]}: {row[1][:40]}" for row in LEFT_ALONE])
def test_leaves_alone(name: str, text: str) -> None:
    assert found(CATEGORIES[name], text) == {}


def test_every_detector_is_shown_what_it_finds_and_what_it_leaves_alone() -> None:
    assert {name for _, _, expected in FOUND for name in expected} == CATEGORIES.keys()
    assert {name for name, _ in LEFT_ALONE} == CATEGORIES.keys()


def test_no_key_stands_in_this_file() -> None:
    assert found(Category.SECRETS, pathlib.Path(__file__).read_text()) == {}


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
