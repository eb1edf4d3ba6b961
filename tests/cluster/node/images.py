"""Container images from what is on the machine: a static busybox and its names, as the archive `docker save` makes."""

import hashlib
import io
import json
import pathlib
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Sequence

BUSYBOX = "llmgov.test/busybox:1"
"""A shell and the usual commands, as a user that is not root.

Debian's `wget -T SECONDS` crashes in its static busybox; without `-T` it works.
"""

PAUSE = "llmgov.test/pause:1"
"""What keeps a pod's namespaces."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_USER = "65532:65532"


def busybox() -> pathlib.Path | None:
    """The machine's busybox if it is a static one (it runs without any library); `None` where there is none."""
    found = shutil.which("busybox")
    if found is None or b"/ld-linux" in pathlib.Path(found).read_bytes():
        return None
    return pathlib.Path(found)


def write(archive: pathlib.Path, name: str, program: pathlib.Path, command: Sequence[str]) -> None:
    """Write an image with busybox alone, which runs `command`."""
    layer = _layer(program)
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin"], "User": _USER},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(archive, "w") as tar:
        for path, content in ((config_name, config), ("layer.tar", layer), ("manifest.json", manifest)):
            _add(tar, path, content)


def _layer(program: pathlib.Path) -> bytes:
    listed = subprocess.run([program, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        _add(tar, "bin/busybox", program.read_bytes(), mode=0o755)
        for name in listed.split():
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        scratch = tarfile.TarInfo("tmp")
        scratch.type, scratch.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(scratch)
    return output.getvalue()


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
