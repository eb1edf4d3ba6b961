"""HTTP from a socket, for tests that count connections and cuts: nothing is retried, pooled or hidden."""

import asyncio
import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `status` is `None` where no head did; `whole` says that the body came to its end."""

    status: int | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    whole: bool = False


async def post(port: int, path: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """One POST on a connection of its own; a connection that cannot be made or breaks is a `Reply`, too."""
    return await _ask(port, "POST", path, body, headers)


async def get(port: int, path: str) -> Reply:
    """One GET on a connection of its own."""
    return await _ask(port, "GET", path, b"", ())


async def delete(port: int, path: str) -> Reply:
    """One DELETE on a connection of its own."""
    return await _ask(port, "DELETE", path, b"", ())


async def _ask(port: int, method: str, path: str, body: bytes, headers: tuple[tuple[str, str], ...]) -> Reply:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    except OSError:
        return Reply()
    try:
        lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{port}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in (*headers, ("content-length", str(len(body))))]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return await _read(reader)
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Reply:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (OSError, asyncio.IncompleteReadError):
        return Reply()
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = bytearray()
    whole = False
    try:
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:size]
        else:
            body += await reader.readexactly(int(headers.get("content-length", 0)))
        whole = True
    except (OSError, ValueError, asyncio.IncompleteReadError):
        pass
    return Reply(int(first.split(" ")[1]), headers, bytes(body), whole)
