"""How commands fail: one sentence on standard error and exit code 2, never a traceback for what a user can mend."""


class CommandError(Exception):
    """A command cannot do what it was asked; its message says why and what to do."""
