"""A PostgreSQL server of a test's own: a new cluster in a temporary folder, which a test may stop and kill.

It refuses to run as root, so there it runs as an unprivileged user. It is ended by its process's id; should the tests
be killed, the kernel ends it.
"""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import Any

SUPERUSER = "postgres"

PROGRAMS = "LLMGOV_TEST_POSTGRES_PROGRAMS"
"""The environment variable with a folder that holds the programs to use: initdb and postgres."""

_NOBODY = 65534
_START_SECONDS = 30


def programs() -> pathlib.Path | None:
    """The folder with PostgreSQL's programs: the given one, else the newest version's; `None` where there is none."""
    given = os.environ.get(PROGRAMS)
    if given:
        return pathlib.Path(given).resolve(strict=True)
    found = list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is not None:
        return pathlib.Path(on_path).resolve().parent
    found.sort(key=lambda path: int(path.parent.parent.name))
    return found[-1].parent if found else None


class Server:
    """A running server."""

    def __init__(self, folder: pathlib.Path, port: int) -> None:
        self._folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def new(cls, *, fsync: bool = True, **settings: str) -> "Server":
        """Make a cluster in a temporary folder and start it; `settings` are PostgreSQL's own."""
        folder = _new_folder()
        _make_cluster(folder)
        lines = {
            "fsync": "on" if fsync else "off",
            "unix_socket_directories": str(folder),
            "listen_addresses": "127.0.0.1",
            "max_connections": "200",
            **settings,
        }
        _set(folder, lines)
        server = cls(folder, _free_port())
        server.start()
        return server

    def standby(self, name: str, **settings: str) -> "Server":
        """A hot standby that follows this server, and goes by `name` at it; this one is stopped for a moment.

        A copy of a cluster that is not running is a base backup: that needs none of PostgreSQL's client programs.
        """
        self.stop(signal.SIGINT)
        folder = _new_folder()
        subprocess.run(["cp", "-a", self._folder / "data", folder], check=True, cwd=folder, **_unprivileged())
        primary = f"host=127.0.0.1 port={self.port} user={SUPERUSER} application_name={name}"
        lines = {"unix_socket_directories": str(folder), "primary_conninfo": primary, **settings}
        _set(folder, lines)
        (folder / "data" / "standby.signal").touch()
        self.start()
        server = Server(folder, _free_port())
        server.start()
        return server

    @property
    def pid(self) -> int:
        """The id of the server's first process."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str, user: str = SUPERUSER) -> str:
        """Where a database is; nobody needs a password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        end = time.monotonic() + _START_SECONDS
        while True:
            self._spawn()
            if self._becomes_ready(end):
                return
            # Processes of one that was killed may still hold its memory for a moment.
            if time.monotonic() > end or "shared memory block" not in self.log():
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}")
            time.sleep(0.05)

    def _spawn(self) -> None:
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_dying_with_parent(), _program("postgres"), "-D", self._folder / "data", "-p", str(self.port)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                **_unprivileged(),
            )

    def _becomes_ready(self, end: float) -> bool:
        while self._status() != "ready":
            if self._process is None or self._process.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def _status(self) -> str:
        """How far it is, by the file in which it says so."""
        try:
            lines = (self._folder / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return ""
        return lines[7].strip() if len(lines) > 7 and lines[0] == str(self.pid) else ""

    def stop(self, sign: signal.Signals = signal.SIGQUIT) -> None:
        """End it: SIGINT closes what it has, SIGQUIT is as if the power failed, SIGKILL kills its first process."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(sign)
            self._process.wait(_START_SECONDS)

    def close(self) -> None:
        """End it and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """What it has logged since its latest start."""
        return (self._folder / "server.log").read_text(errors="replace")


def _new_folder() -> pathlib.Path:
    folder, user = pathlib.Path(tempfile.mkdtemp(prefix="llmgov-pg-")), _user()
    if user is not None:
        os.chown(folder, user, user)
    return folder


def _set(folder: pathlib.Path, settings: Mapping[str, str]) -> None:
    """Of a setting that is given twice the last one holds."""
    with (folder / "data" / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def _make_cluster(folder: pathlib.Path) -> None:
    subprocess.run(
        [_program("initdb"), "--auth=trust", f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C", "--no-sync",
         "--pgdata", folder / "data"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **_unprivileged(),
    )  # fmt: skip


def _program(name: str) -> pathlib.Path:
    folder = programs()
    assert folder is not None
    return folder / name


def _user() -> int | None:
    """Whom to run it as, where the tests run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_uid
    except KeyError:
        return _NOBODY


def _unprivileged() -> dict[str, Any]:
    user = _user()
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def _dying_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "QUIT", "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
