"""The sources of the fetch tests: a local HTTP server and a fake npm."""

import http.server
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

from tests.data import fakes


def quiet(*_: object) -> None:
    """Show no progress."""


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by path, counts requests, and breaks off the first `num_broken` of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()
        self.num_broken = 0
        self.delay_secs = 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        time.sleep(self.server.delay_secs)
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if sum(self.server.requests.values()) <= self.server.num_broken:
            data = data[: len(data) // 2]
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def write_npm(folder: Path, body: str) -> None:
    script = folder / "npm"
    script.write_text(f"#!{sys.executable}\nimport os, sys, time\n{textwrap.dedent(body)}")
    script.chmod(0o755)


def npm_gives(folder: Path, members: dict[str, bytes]) -> None:
    (folder / "package").write_bytes(fakes.tar_gz({f"package/{k}": v for k, v in members.items()}))
    write_npm(
        folder,
        f"""
        open({str(folder / "args")!r}, "w").write(" ".join(sys.argv[1:]) + repr(sys.stdin.read()))
        open("package-1.0.0.tgz", "wb").write(open({str(folder / "package")!r}, "rb").read())
        """,
    )
