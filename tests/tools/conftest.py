"""What tests of several tools start from."""

from __future__ import annotations

import pytest
from support.untrained_mion import use_model, write_untrained_model
from support.web_page import chromium, served

from mion_plugin.inference import MIONInferencer


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A model without training, in place of the package's; see ``use_model``."""
    return write_untrained_model(tmp_path_factory.mktemp("models"))


@pytest.fixture
def inferencer(untrained, monkeypatch):
    """Of that model."""
    use_model(untrained, monkeypatch)
    return MIONInferencer(device="cpu")


@pytest.fixture(scope="module")
def browser():
    """The machine's Chromium; skips where there is none."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def server(browser, tmp_path_factory, request):
    """The page, running, with as many paths as the module's ``NUM_PATHS`` says."""
    with served(tmp_path_factory.mktemp("served"), "--num-candidates", str(request.module.NUM_PATHS)) as running:
        yield running
