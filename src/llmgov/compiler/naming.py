"""What is said of a name that nothing has, and of the one that was probably meant."""

from collections.abc import Iterable

from llmgov.resources import translate


def missing(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """There is no such object; `where` completes the sentence, such as ` in the namespace payments`."""
    return f"there is no {kind} {name}{where}{meant(name, known)}"


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the closest of the known names, empty where none is close."""
    nearest = translate.nearest(name, sorted(known))
    return "" if nearest is None else f" (did you mean {nearest}?)"
