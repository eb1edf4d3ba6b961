"""Who runs a command, as it goes on record: by what the machine and the database know, never by what is claimed.

The name of the process's user is in no variable of the environment that anybody could set. It is as good as the
machine: whoever is root on it, or brings their own, can be called anything there. So the login that the database let in
stands beside it.
"""

import os
import pwd


def actor(login: str = "") -> str:
    """The user whose process this is, such as `jane`; where a database has let a `login` in, `jane (login hub)`."""
    name = _user(os.getuid())
    return f"{name} (login {login})" if login else name


def _user(number: int) -> str:
    """A container's user may have no name."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
