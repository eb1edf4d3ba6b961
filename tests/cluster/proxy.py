"""A TCP proxy on loopback that can swallow what goes through it, as a network does that has failed without a sign."""

import pathlib
import select
import socket
import threading
import urllib.parse

import yaml


class Proxy:
    """Passes everything on to one port, until it is told to swallow."""

    def __init__(self, port: int) -> None:
        self.swallows = False
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._wake, self._waker = socket.socketpair()
        self._thread.start()

    def close(self) -> None:
        """End it with all its connections."""
        self._waker.close()
        self._thread.join(10)

    def _serve(self) -> None:
        others: dict[socket.socket, socket.socket] = {}
        while True:
            ready, _, _ = select.select([self._server, self._wake, *others], [], [])
            if self._wake in ready:
                break
            for each in ready:
                if each is self._server:
                    self._accept(others)
                elif each in others and not self._pass(each, others[each]):
                    self._end(each, others)
        for each in [*others, self._server, self._wake]:
            each.close()

    def _accept(self, others: dict[socket.socket, socket.socket]) -> None:
        near, _ = self._server.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        others[near], others[far] = far, near

    def _pass(self, source: socket.socket, target: socket.socket) -> bool:
        try:
            data = source.recv(65536)
            if data and not self.swallows:
                target.sendall(data)
        except OSError:
            return False
        return bool(data)

    @staticmethod
    def _end(each: socket.socket, others: dict[socket.socket, socket.socket]) -> None:
        other = others.pop(each)
        others.pop(other, None)
        each.close()
        other.close()


def in_front(kubeconfig: pathlib.Path, path: pathlib.Path) -> Proxy:
    """A proxy in front of a kubeconfig's API server, and a copy of the file at `path` that goes through it."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster = document["clusters"][0]["cluster"]
    proxy = Proxy(urllib.parse.urlsplit(cluster["server"]).port or 443)
    cluster["server"] = f"https://127.0.0.1:{proxy.port}"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return proxy
