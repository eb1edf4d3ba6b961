"""Whether digits that look right are right. Each function takes matched bytes and returns how many of them, from the
start, are the number that was looked for: all, fewer (a card number with a security code behind it), or 0.
"""

import functools

_CARD_LENGTHS = (16, 19, 15, 14, 13, 17, 18)

_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
"""The IBAN registry (ISO 13616): which countries' numbers have which length."""

_IBAN_LENGTH = {country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()}


def card_number(found: bytes) -> int:
    """ISO/IEC 7812: a known issuer's range and length, and the Luhn digit."""
    digits = _digits(found)
    for length in _CARD_LENGTHS:
        if length <= len(digits) and _issued(digits[:length]) and _luhn(digits[:length]):
            end = _end_of(found, length)
            if end == len(found) or found[end : end + 1] in (b" ", b"-", b"."):
                return end
    return 0


def iban(found: bytes) -> int:
    """ISO 13616: the country's length, and modulo 97 of the rearranged number is 1."""
    compact = found.replace(b" ", b"").upper().decode("ascii")
    length = _IBAN_LENGTH.get(compact[:2])
    if length is None or len(compact) < length:
        return 0
    number = compact[4:length] + compact[:4]
    if int("".join(str(int(character, 36)) for character in number)) % 97 != 1:
        return 0
    return _end_of(found, length)


def social_security_number(found: bytes) -> int:
    """No area 000, 666 or 900 to 999, no group 00, no serial 0000 (SSA, randomised since 2011)."""
    digits = _digits(found)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    valid = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return len(found) if valid else 0


def taxpayer_number(found: bytes) -> int:
    """An ITIN: 9xx with a group of 50 to 65, 70 to 88, 90 to 92, or 94 to 99."""
    group = int(_digits(found)[3:5])
    return len(found) if 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94 else 0


def phone_number(found: bytes) -> int:
    """E.164: 8 to 15 digits with a country code; without one the pattern alone decides (NANP)."""
    return len(found) if not found.startswith(b"+") or 8 <= len(_digits(found)) <= 15 else 0


def routing_number(found: bytes) -> int:
    """ABA: weights 3, 7, 1 sum up to a multiple of 10."""
    total = sum(int(digit) * weight for digit, weight in zip(_digits(found), (3, 7, 1) * 3, strict=True))
    return len(found) if total % 10 == 0 and total else 0


def npi(found: bytes) -> int:
    """CMS: the Luhn digit over the number behind 80840."""
    return len(found) if _luhn("80840" + _digits(found)) else 0


def dea_number(found: bytes) -> int:
    """DEA: odd digits plus twice the even ones end in the last digit."""
    digits = [int(digit) for digit in _digits(found)[-7:]]
    total = digits[0] + digits[2] + digits[4] + 2 * (digits[1] + digits[3] + digits[5])
    return len(found) if total % 10 == digits[6] else 0


def nhs_number(found: bytes) -> int:
    """NHS: modulo 11 with weights 10 to 2."""
    digits = [int(digit) for digit in _digits(found)]
    check = 11 - sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return len(found) if check % 11 == digits[9] and check != 10 else 0


def has_digits(found: bytes) -> int:
    """An identifier, not a word: at least three digits."""
    return len(found) if len(_digits(found)) >= 3 else 0


def openai_key(found: bytes) -> int:
    """`sk-…` that is not another vendor's (`sk-ant-`), and not a hyphenated phrase: letters and digits both."""
    if found.startswith(b"sk-ant-"):
        return 0
    return len(found) if any(48 <= byte <= 57 for byte in found) and any(65 <= byte <= 90 for byte in found) else 0


def _digits(found: bytes) -> str:
    return bytes(byte for byte in found if 48 <= byte <= 57).decode("ascii")


def _end_of(found: bytes, count: int) -> int:
    """Where the first `count` characters that are no separators end."""
    for index, byte in enumerate(found):
        if byte not in b" .-":
            count -= 1
            if not count:
                return index + 1
    return 0


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and any(digit != "0" for digit in digits)


@functools.lru_cache(maxsize=1024)
def _issuer(prefix: int, length: int) -> bool:
    """Whether a known issuer has numbers of this length that begin with these six digits."""
    two, three, four = prefix // 10_000, prefix // 1000, prefix // 100
    if prefix // 100_000 == 4:
        return length in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return length == 16
    if two in (34, 37):
        return length == 15
    if 300 <= three <= 305 or two in (36, 38, 39):
        return 14 <= length <= 19
    if four == 6011 or 644 <= three <= 649 or two in (65, 62) or 3528 <= four <= 3589:
        return 16 <= length <= 19
    return 5018 <= four <= 5038 or 6304 <= four <= 6390


def _issued(digits: str) -> bool:
    return _issuer(int(digits[:6]), len(digits))
