"""For all tests: what takes seconds of each run and is no part of what they look at."""

import gc

import pytest


@pytest.fixture(scope="session", autouse=True)
def unformatted_configs():
    """mmengine prints the config six times a run through yapf, a second each: often more than the run itself.

    Commands in processes of their own have it formatted.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("mmengine.config.config.FormatCode", lambda text, **_: (text, True))
        yield


@pytest.fixture(scope="session", autouse=True)
def modules_that_are_no_garbage():
    """mmengine collects garbage whenever it builds a dataset: without this, by a look at all that was imported."""
    gc.collect()
    gc.freeze()
