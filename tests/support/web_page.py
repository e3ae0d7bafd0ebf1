"""tools/app.py in a process of its own, and a Chromium that looks at it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "tools" / "app.py"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# As root there is no sandbox, and the machine need not have a GPU. The rest is what would ask other machines.
FLAGS = """--no-sandbox --disable-gpu --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader --disable-quic
    --no-first-run --disable-background-networking --disable-component-update --disable-sync""".split()
SECONDS = 300  # until a page that does not answer fails the test
UNREACHABLE = "http://127.0.0.1:9"  # the port of what is thrown away


@dataclass
class Server:
    """A running page.

    Attributes:
        url: Its address.
        folder: Where it keeps its files.
        process: Itself.
    """

    url: str
    folder: Path
    process: subprocess.Popen[str]

    def stop(self) -> int:
        """Tell it to end; its exit code."""
        self.process.terminate()
        return self.process.wait(SECONDS)


@contextlib.contextmanager
def served(folder: Path, *arguments: str) -> Iterator[Server]:
    """Run the page, behind a proxy that nobody reaches; its temporary files go to ``folder``."""
    port = free_port()
    command = [sys.executable, str(APP), "--port", str(port), "--device", "cpu", *arguments]
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    environment |= {"TMPDIR": str(folder), "http_proxy": UNREACHABLE, "https_proxy": UNREACHABLE}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=folder
    )
    try:
        yield Server(_address(process), folder, process)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _address(process: subprocess.Popen[str]) -> str:
    """What it says to open, as soon as it does; what it prints later is read and dropped."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("open "):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return line.split()[1]
    pytest.fail("the page did not start:\n" + "".join(lines))


@contextlib.contextmanager
def chromium() -> Iterator:
    """The machine's Chromium; skips the test where there is none."""
    api = pytest.importorskip("playwright.sync_api")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: make browser")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """Someone who looks at the page.

    Attributes:
        page: playwright's.
        requests: Addresses that the page asked for.
        faults: Errors of the page's own scripts.
    """

    page: object
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser, url: str, width: int = 1500, height: int = 1150, touch: bool = False) -> Visitor:
        """Open the page in a new window of so many pixels, on a screen that feels fingers or not."""
        visitor = cls(browser.new_page(viewport={"width": width, "height": height}, has_touch=touch))
        visitor.page.set_default_timeout(1000 * SECONDS)
        visitor.page.on("request", lambda request: visitor.requests.append(request.url))
        visitor.page.on("pageerror", lambda error: visitor.faults.append(str(error)))
        visitor.page.goto(url)
        return visitor

    def upload(self, path: Path) -> None:
        """Put a photograph in, in the place of the one before."""
        if self.page.locator("#photograph img").count():
            self.page.locator("#photograph").get_by_label("Remove Image").click()
        self.page.set_input_files("#photograph input[type=file]", path)

    def wait_for_results(self) -> None:
        """Until the files can be downloaded, which come last."""
        self.page.wait_for_selector("#files a")

    def summary(self, text: str) -> str:
        """The line above the results, once it holds a text."""
        line = self.page.locator("#summary").filter(has_text=text)
        line.wait_for()
        return line.inner_text().strip()

    def error_boxes(self) -> int:
        """How many of the page's parts show an error."""
        return self.page.locator(".error, [data-testid=toast-body]").count()

    def captions(self) -> list[str]:
        """Beneath the pictures of the paths."""
        return self.page.locator("#pictures .caption-label").all_inner_texts()

    def table(self) -> list[list[str]]:
        """The rows of the table of scores, without its head."""
        lines = self.page.inner_text("#rows").split("from the chosen, mm")[-1].split("\n")
        cells = [line.strip() for line in lines if line.strip()]
        return [cells[start : start + 4] for start in range(0, len(cells), 4)]

    def download(self, suffix: str, folder: Path) -> Path:
        """One of the files, saved as a user would."""
        with self.page.expect_download() as download:
            self.page.locator(f"#files a[download$='{suffix}']").click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path
