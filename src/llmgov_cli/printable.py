"""Text that others wrote (a model's name, a reason, a user's id) as it may be sent to a terminal. Pure.

An escape sequence in it would move the cursor, recolour or rewrite what an administrator reads; a control character
that turns the direction of writing would make it read as something else.
"""


def line(text: str) -> str:
    """The text in one line: whatever is not printable as Python would write it, such as `\\x1b` and `\\n`."""
    return text if text.isprintable() else "".join(map(_shown, text))


def lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(line, text.split("\n")))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
