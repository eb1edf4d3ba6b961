"""The sidecar's folder: what outlives its process, and what that says about the last end."""

import os
import pathlib
import secrets

import msgspec

_BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")


class Volume(msgspec.Struct, frozen=True):
    """`boots` counts the starts on this volume, this one included; `key` is secret to this sidecar.

    `torn` says that the machine has restarted, so that what was not synced may be missing: since the last start, or
    since an earlier one whose recovery never finished (`recovered`).
    """

    folder: pathlib.Path
    boots: int
    torn: bool
    key: bytes


class _Boot(msgspec.Struct):
    boots: int
    machine: str
    torn: bool = False


def open_volume(folder: pathlib.Path) -> Volume:
    """Take a folder into use for one more start.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = _read(folder / "boot.json")
    machine = _machine()
    torn = before.torn or (before.boots > 0 and (before.machine != machine or not machine))
    now = _Boot(before.boots + 1, machine, torn)
    _write(folder / "boot.json", msgspec.json.encode(now))
    key = folder / "digest.key"
    if not key.exists():
        _write(key, secrets.token_bytes(32))
    return Volume(folder, now.boots, torn, key.read_bytes())


def recovered(volume: Volume) -> None:
    """Remember that the ledger knows what is missing: a later start need not write it off once more.

    Raises:
        OSError: it cannot be written; the next start then recovers again, which is harmless.
    """
    if volume.torn:
        _write(volume.folder / "boot.json", msgspec.json.encode(_Boot(volume.boots, _machine())))


def _read(path: pathlib.Path) -> _Boot:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Boot)
    except FileNotFoundError:
        return _Boot(0, "")
    except msgspec.MsgspecError:
        return _Boot(0, "", torn=True)  # whatever broke this may have broken the spool


def _machine() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _write(path: pathlib.Path, data: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if (written := os.write(handle, data)) != len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written to {temporary.name}")
        os.fsync(handle)
    finally:
        os.close(handle)
    temporary.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: pathlib.Path) -> None:
    """Names are lost with the machine like bytes: a volume that forgot its starts would not know that it is torn."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
