import subprocess
import sys
import textwrap

import pytest
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import init_default_scope

from mion_plugin.registry import MODELS

HEAVY_HOSTS = (
    "mmcv",
    "mmhuman3d",
    "mmpose",
    "pytorch3d",
    "torchvision",
    "sklearn",
    "bvhio",
    "pyacclaim",
    "numba",
    "anny",
)


def run_python(code: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_the_core_imports_without_any_host():
    """Every host is made impossible to import; the selector is built and runs all the same."""
    run_python(f"""
        import sys
        for name in {HEAVY_HOSTS!r}:
            sys.modules[name] = None  # "import name" now raises ImportError
        import torch
        from mion_plugin.registry import MODELS
        selector = MODELS.build(dict(type='mion.CandidateSelector'))
        assert selector(torch.zeros(1, 17, 3)).pose.shape == (1, 5, 24, 3)
    """)


def test_importing_loads_no_host_and_twice_is_harmless():
    printed = run_python(f"""
        import importlib, sys
        import mion_plugin
        import mion_plugin
        importlib.reload(sys.modules['mion_plugin'])
        print([name for name in {HEAVY_HOSTS!r} if name in sys.modules])
    """)
    assert printed.strip() == "[]"


def test_components_are_reached_through_the_root_registry():
    assert MMENGINE_MODELS.get("mion.CandidateSelector") is MODELS.get("CandidateSelector")


def test_default_scope_mion_gives_no_warning(capfd):
    printed = run_python("""
        from mmengine.registry import init_default_scope, MODELS
        import mion_plugin
        init_default_scope('mion')
        MODELS.build(dict(type='SMPLBody'))
    """)
    assert "not installed" not in printed
    assert "Failed" not in printed


def test_an_unknown_component_is_named():
    init_default_scope("mion")
    with pytest.raises(KeyError, match="CandidateSelektor is not in the mion::model registry"):
        MODELS.build(dict(type="CandidateSelektor"))
