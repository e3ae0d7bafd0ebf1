"""A picture of the web page, for the documentation."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
from demos import page
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from mion_plugin.demo_data import KEYPOINTS
from mion_plugin.inference import MIONInferencer, find_in_file

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# As root there is no sandbox, and the machine need not have a GPU.
_FLAGS = ["--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
_SIZE = {"width": 1400, "height": 1000}
_PAUSE, _TRIES = 500, 200  # milliseconds between looks whether the body in 3D is drawn, and how many
_DRAWN = 10.0  # grey values, standard deviation of a canvas with something on it
_TIMEOUT = 300_000


def photograph_page(inferencer: MIONInferencer) -> np.ndarray:
    """The whole page (H, W, 3) uint8 with the demo's photograph.

    Raises:
        ImportError: There is no Chromium.
    """
    browser_path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser_path is None:
        raise ImportError(f"none of {', '.join(BROWSERS)} is here")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        blocks = page.build_page(inferencer, find_in_file(KEYPOINTS), Path(folder))
        _, address, _ = blocks.launch(
            quiet=True, prevent_thread_lock=True, theme=page.THEME, css=page.CSS, footer_links=[]
        )
        browser = playwright.chromium.launch(executable_path=browser_path, args=_FLAGS)
        try:
            window = browser.new_page(viewport=_SIZE)
            window.set_default_timeout(_TIMEOUT)
            window.goto(address)
            window.locator("#example button, #example img").first.click()
            window.wait_for_selector("#files a")
            _wait_for_body(window)
            shot = window.screenshot(full_page=True)
        finally:
            browser.close()
            blocks.close(verbose=False)
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))


def _wait_for_body(window: Page) -> None:
    """Wait until there is something on the canvas."""
    canvas = window.locator("#mesh canvas")
    for _ in range(_TRIES):
        if np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("L")).std() > _DRAWN:
            return
        window.wait_for_timeout(_PAUSE)
