"""What a pattern cannot say of a string: each function returns None where it is fine, else details (maybe empty)."""

import ipaddress
import json
import zoneinfo

import re2

from llmgov import money

_REGEX_OPTIONS = re2.Options()
_REGEX_OPTIONS.log_errors = False


def excess(text: str) -> str | None:
    """An amount beyond the largest."""
    try:
        money.parse_amount(text)
    except money.MoneyError:
        return ""
    return None


def zero(text: str) -> str | None:
    """A decimal of zeros alone."""
    return None if text.strip("0.") else ""


def no_time_zone(text: str) -> str | None:
    """A name that the IANA database does not have."""
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return ""
    return None


def no_network(text: str) -> str | None:
    """A network that is none."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return ""
    return None


def no_regex(text: str) -> str | None:
    """A pattern that RE2 does not take, or that matches everywhere."""
    try:
        empty = re2.compile(text, _REGEX_OPTIONS).fullmatch("")
    except re2.error as error:
        reason = error.args[0]
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return "it matches the empty text, and so everywhere" if empty else None


def no_public_keys(text: str) -> str | None:
    """A JSON Web Key Set that is none, or that holds secrets."""
    try:
        keys = json.loads(text)["keys"]
        private = any("d" in key or "k" in key for key in keys)
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it has no list of keys"
    return "it holds a private key" if private else None
