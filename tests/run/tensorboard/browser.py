"""A headless Chromium, spoken to over its DevTools protocol through a pipe."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# Elements lie in nested shadow roots and frames, which querySelectorAll does not enter.
DEEP = """
function deep(selector, root = document) {
  const found = [...root.querySelectorAll(selector)];
  for (const element of root.querySelectorAll('*')) {
    const inside = element.shadowRoot || element.contentDocument;
    if (inside) found.push(...deep(selector, inside));
  }
  return found;
}
"""


class Browser:
    """One page of a browser of its own; a context manager."""

    def __init__(self, profile: Path, width: int = 1280, height: int = 800) -> None:
        assert CHROMIUM is not None
        # Chromium reads commands from descriptor 3 and answers on 4.
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        command = [
            *(CHROMIUM, "--headless=new", "--remote-debugging-pipe", "--no-sandbox"),
            *("--disable-dev-shm-usage", "--use-gl=angle", "--use-angle=swiftshader"),
            *("--enable-unsafe-swiftshader", "--hide-scrollbars", "--no-first-run"),
            *(f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"),
        ]
        with (profile.parent / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "bash",
                    "-c",
                    f'exec "$@" 3<&{read_commands} 4>&{write_answers}',
                    "-",
                    *command,
                ],
                pass_fds=(read_commands, write_answers),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(read_commands)
        os.close(write_answers)
        self._numbers = itertools.count(1)
        self._received = b""
        self._session: str | None = None
        self._size = (width, height)

    def call(self, method: str, timeout_secs: float = 120, **parameters: Any) -> Any:
        """The result of a command of the protocol."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + timeout_secs
        while True:
            while b"\0" not in self._received:
                ready, _, _ = select.select([self._answers], [], [], until - time.monotonic())
                assert ready, f"{method}: no answer in {timeout_secs} s"
                part = os.read(self._answers, 1 << 20)
                assert part, "the browser has ended"
                self._received += part
            line, _, self._received = self._received.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def open(self, address: str) -> None:
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """What the body of a JavaScript function returns; `deep(selector)` finds elements."""
        expression = f"(() => {{ {DEEP} {script} }})()"
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str, timeout_secs: float = 90) -> Any:
        """What the script returns, once that is neither empty nor false."""
        until = time.monotonic() + timeout_secs
        while True:
            if found := self.run(script):
                return found
            assert time.monotonic() < until, f"in {timeout_secs} s there was no: {script}"
            time.sleep(0.3)

    def screenshot(self, path: Path, width: int | None = None, height: int | None = None) -> None:
        """Save what the page looks like, in a window of another size if one is given."""
        if width or height:
            self.resize(width or self._size[0], height or self._size[1])
            time.sleep(3)
        png = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(png))
        self.resize(*self._size)

    def resize(self, width: int, height: int) -> None:
        """Give the page another size, in pixels, until the next screenshot."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def __enter__(self) -> Self:
        try:
            targets = self.call("Target.getTargets")["targetInfos"]
            page = next(target["targetId"] for target in targets if target["type"] == "page")
            attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
            self._session = attached["sessionId"]
            self.resize(*self._size)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._commands)
        os.close(self._answers)
