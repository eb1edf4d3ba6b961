"""Strings that must not be anywhere at rest, and the search for them: as they are, and as encodings would hide them."""

import base64
import json
import pathlib
from collections.abc import Iterable, Iterator


def found(folder: pathlib.Path, secrets: Iterable[str]) -> list[tuple[str, str]]:
    """File and secret of every hit below a folder."""
    forms = [(secret, form) for secret in secrets for form in _forms(secret)]
    return [
        (str(path.relative_to(folder)), secret)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for data in (path.read_bytes(),)
        for secret, form in forms
        if form in data
    ]


def _forms(secret: str) -> Iterator[bytes]:
    plain = secret.encode()
    yield plain
    yield json.dumps(secret)[1:-1].encode()
    yield plain.hex().encode()
    for skip in range(3):
        # Wherever a text begins within base64's groups of three, its whole groups look the same.
        whole = plain[skip : skip + (len(plain) - skip) // 3 * 3]
        yield base64.b64encode(whole)
        yield base64.urlsafe_b64encode(whole)
