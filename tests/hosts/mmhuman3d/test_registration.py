"""One line in an mmhuman3d config registers everything, whichever of the two is imported first."""

import subprocess
import sys
import textwrap

import pytest
from support.mmhuman3d_host import CONFIGS

IMPORT_MMHUMAN3D = "import mmhuman3d.apis"
IMPORT_US = f"from mmcv import Config; Config.fromfile({str(CONFIGS / 'mion_tiny_synthetic.py')!r})"
CHECK = """
    from mmcv.runner import HOOKS
    from mmcv.utils import build_from_cfg
    from mmhuman3d.apis.test import collect_results_cpu
    from mmhuman3d.data.datasets import DATASETS, PIPELINES
    from mmhuman3d.models.architectures.builder import ARCHITECTURES
    from mmhuman3d.models.backbones.builder import BACKBONES
    from mmhuman3d.models.body_models.builder import BODY_MODELS
    from mmhuman3d.models.heads.builder import HEADS
    from mmhuman3d.models.losses.builder import LOSSES
    from mmhuman3d.models.necks.builder import NECKS
    expected = {
        'MIONEstimator': ARCHITECTURES, 'CandidateSelector': HEADS, 'MRT': HEADS, 'CEN': HEADS, 'DeconvNeck': NECKS,
        'TorchvisionResNet': BACKBONES, 'TimmBackbone': BACKBONES,
        'PNCCTransform': PIPELINES, 'CropInputKeypoints': PIPELINES, 'PersonKeypoints': PIPELINES,
        'MIONImageDataset': DATASETS, 'DepthConsistency': HEADS,
        'SURREALSynthesisDataset': DATASETS, 'BodyFingerprintHook': HOOKS,
    }
    for name, registry in expected.items():
        component = registry.get(name)
        assert component.__module__.startswith('mion_plugin'), name
        assert list(registry.module_dict.values()).count(component) == 1, name
        assert registry.get('mion.' + name) is component, name
    for registry in (LOSSES, BODY_MODELS, HEADS):  # a name that none of them has
        try:
            build_from_cfg(dict(type='mion.MeshLoss'), registry)
        except KeyError as error:
            assert 'mion.MeshLoss is not in the ' + registry.name in str(error)
        else:
            raise AssertionError(registry.name)
    assert HEADS.get('HMRHead').__module__.startswith('mmhuman3d')
    assert collect_results_cpu.__module__ == 'mion_plugin.hosts.mmhuman3d.workarounds'
"""


@pytest.mark.parametrize("statements", [(IMPORT_MMHUMAN3D, IMPORT_US), (IMPORT_US, IMPORT_MMHUMAN3D)], ids=["1", "2"])
def test_either_order(statements):
    code = "\n".join([*statements, textwrap.dedent(CHECK)])
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
