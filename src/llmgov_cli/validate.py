"""`llmgov validate`: every error of every file at once, with its place and what to do about it."""

import pathlib
from collections.abc import Iterable
from typing import TextIO

from llmgov.compiler import codes
from llmgov_cli import absences, assembly, errors, prices


def run(paths: Iterable[pathlib.Path], out: TextIO) -> int:
    """Write one line a problem, `file:line: kind/name field: message; remedy [Code]`, and a last one that counts them.

    Returns 1 where there is an error; warnings alone are no failure.

    Raises:
        CommandError: there is nothing to validate: a path is misspelt, or a folder is the wrong one.
    """
    places = list(paths)
    checked = assembly.compile_files(places, prices.prices())
    out.writelines(f"{finding}\n" for finding in checked.findings)
    out.write(f"{_summary(checked)}\n")
    if _is_nothing(checked):
        raise errors.CommandError(f"no resource found in {', '.join(map(str, places))}")
    return 1 if checked.errors else 0


def _is_nothing(checked: assembly.Checked) -> bool:
    """Whether no file has anything that was meant for us, nor a fault of its own."""
    ours = any(each.ours for each in checked.documents)
    return not ours and all(
        each.problem.code == absences.NO_RESOURCES or not each.file.exists() for each in checked.findings
    )


def _summary(checked: assembly.Checked) -> str:
    counts = (
        _number(_valid(checked), "valid resource"),
        _number(len(checked.errors), "error"),
        _number(len(checked.warnings), "warning"),
    )
    return ", ".join(counts)


def _valid(checked: assembly.Checked) -> int:
    """How many resources have no error, on their own or together; of two with one name the first may be one.

    In a file that cannot be read without a fault none is valid: nobody knows what else of it was meant otherwise.
    """
    wrong = {each.problem.resource for each in checked.errors if each.problem.code != codes.DUPLICATE.name}
    unread = {each.file for each in checked.errors if not each.problem.resource.kind}
    return len({each.resource.ref for each in checked.declared if each.manifest.file not in unread} - wrong)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
