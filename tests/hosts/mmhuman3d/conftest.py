"""A miniature of the real data in mmhuman3d's layout, and its folder as the working directory."""

import pytest
from support.real_layout import write_real_layout

pytest.importorskip("mmhuman3d", reason="MION inside mmhuman3d")


@pytest.fixture(scope="session")
def host_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("mmhuman3d")
    write_real_layout(root)
    return root


@pytest.fixture(scope="module", autouse=True)
def in_its_folder(host_root):
    """mmhuman3d's configs name their data relative to the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(host_root)
        yield
