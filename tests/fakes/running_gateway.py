"""`llmdeal serve` in processes of its own, as people start it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

START = "from serve.cli.main import run; run()"


class RunningGateway:
    """`llmdeal serve`, as people start it."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.database = folder / "llmdeal.db"
        own = {
            "LLMDEAL_DATABASE": str(self.database),
            "LLMDEAL_SANDBOX_PACE": "0",
            "XDG_CONFIG_HOME": str(folder),
            "HOME": str(folder),
        }
        self.log = folder / "serve.log"
        command = [sys.executable, "-c", START, "serve", "--port", "0", "--log-level", "warning", *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, env={**os.environ, **own, **environment}, cwd=folder)

    def url(self) -> str:
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at and self.process.poll() is None:
            if match := re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text()):
                return match[0]
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}
