"""A small server of files by ranges, for tests of data at an address; its answers can be made to fail or to be damaged."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class FileServer(ThreadingHTTPServer):
    """Serves a folder. `requests`: the path and the first byte of each answer.

    fail_every: each such request is answered by an error, a broken connection or half of the bytes, in turn. damage:
    how many answers about pictures still get a wrong byte.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root, self.lock = root, threading.Lock()
        self.requests: list[tuple[str, int]] = []
        self.count = self.failures = self.fail_every = self.damage = 0

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def next_fault(self) -> str:
        with self.lock:
            self.count += 1
            if not self.fail_every or self.count % self.fail_every:
                return ""
            self.failures += 1
            return ("error", "break", "half")[self.failures % 3]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:
        path, fault = self.server.root / self.path.lstrip("/"), self.server.next_fault()
        if fault == "error" or not path.is_file():
            self.send_response(503 if fault else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, match = path.read_bytes(), re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        part = bytearray(data[start : int(match[2]) + 1] if match else data)
        if self.server.damage and path.name == "shard.npy":
            self.server.damage -= 1
            part[0] ^= 1
        self.server.requests.append((self.path, start))
        self.send_response(206 if match else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(data)}")
        self.end_headers()
        if fault == "break":
            self.close_connection = True
            return
        self.wfile.write(part[: len(part) // 2] if fault == "half" else part)
        self.close_connection = fault == "half"

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(root: Path) -> Iterator[FileServer]:
    """A server until the block ends."""
    server = FileServer(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
