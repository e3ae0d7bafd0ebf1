"""MION inside mmhuman3d 0.11, whose files stay as they are.

``custom_imports = dict(imports=['mion_plugin'])`` in an mmhuman3d config is enough: as soon as one of mmhuman3d's
registries exists, it receives this package's components. Without mmhuman3d nothing of it is imported.

| registry | names |
|---|---|
| ``ARCHITECTURES`` | ``MIONEstimator`` |
| ``BACKBONES``, ``NECKS`` | ``TorchvisionResNet``, ``TimmBackbone``; ``DeconvNeck`` |
| ``HEADS`` | ``CandidateSelector``, ``MRT``, ``CEN``, ``DepthConsistency`` |
| ``PIPELINES`` | ``PNCCTransform``, ``CropInputKeypoints``, ``PersonKeypoints`` |
| ``DATASETS`` | ``MIONImageDataset``, ``SURREALSynthesisDataset`` |
| mmcv's ``HOOKS`` | ``BodyFingerprintHook`` |

Each name also works with the scope in front, ``mion.MRT`` as ``MRT``, as in mmengine's registries.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from mion_plugin.hosts.after_import import after_import

SCOPE = "mion"  # as mion_plugin.registry, which imports mmengine


def _register(registry: Any, **components: type) -> None:
    """Register components under their names, and in a child registry for those who write ``mion.NAME``."""
    scoped = type(registry)(registry.name, parent=registry, scope=SCOPE)
    for name, component in components.items():
        registry.register_module(name=name, module=component)
        scoped.register_module(name=name, module=component)


def _register_architectures(builder: ModuleType) -> None:
    from mmcv.runner import HOOKS, checkpoint

    from mion_plugin.hosts.mmhuman3d.body_fingerprint_hook import BodyFingerprintHook
    from mion_plugin.hosts.mmhuman3d.estimator import MIONEstimator
    from mion_plugin.hosts.mmhuman3d.trained_body import tell_files
    from mion_plugin.hosts.mmhuman3d.workarounds import support_modern_torch

    support_modern_torch()
    tell_files(checkpoint)
    _register(builder.ARCHITECTURES, MIONEstimator=MIONEstimator)
    _register(HOOKS, BodyFingerprintHook=BodyFingerprintHook)


def _register_backbones(builder: ModuleType) -> None:
    from mion_plugin.backbones import TorchvisionResNet
    from mion_plugin.timm_backbone import TimmBackbone

    _register(builder.BACKBONES, TorchvisionResNet=TorchvisionResNet, TimmBackbone=TimmBackbone)


def _register_necks(builder: ModuleType) -> None:
    from mion_plugin.backbones import DeconvNeck

    _register(builder.NECKS, DeconvNeck=DeconvNeck)


def _register_heads(builder: ModuleType) -> None:
    from mion_plugin.candidates import CandidateSelector
    from mion_plugin.consistency import ConsistencyEstimationNetwork, DepthConsistency
    from mion_plugin.refinement.model import MeshRefinementTransformer

    _register(
        builder.HEADS,
        CandidateSelector=CandidateSelector,
        MRT=MeshRefinementTransformer,
        CEN=ConsistencyEstimationNetwork,
        DepthConsistency=DepthConsistency,
    )


def _register_data(datasets: ModuleType) -> None:
    from mion_plugin.hosts.mmhuman3d.image_dataset import MIONImageDataset
    from mion_plugin.hosts.mmhuman3d.inference import PersonKeypoints
    from mion_plugin.hosts.mmhuman3d.pncc_transform import HumanImagePNCC
    from mion_plugin.hosts.mmhuman3d.synthesis_dataset import SynthesisImageDataset
    from mion_plugin.hosts.mmhuman3d.transforms import CropInputKeypoints

    _register(
        datasets.PIPELINES,
        PNCCTransform=HumanImagePNCC,
        CropInputKeypoints=CropInputKeypoints,
        PersonKeypoints=PersonKeypoints,
    )
    _register(datasets.DATASETS, MIONImageDataset=MIONImageDataset, SURREALSynthesisDataset=SynthesisImageDataset)


def _register_nothing(builder: ModuleType) -> None:
    """Where this package has no part for mmhuman3d, the scope alone: mmcv's error for one it lacks names nothing."""
    for name in ("LOSSES", "BODY_MODELS"):
        if hasattr(builder, name):
            _register(getattr(builder, name))


def _keep_every_batch(test: ModuleType) -> None:
    from mion_plugin.hosts.mmhuman3d.workarounds import keep_every_batch

    keep_every_batch(test)


after_import("mmhuman3d.models.architectures.builder", _register_architectures)
after_import("mmhuman3d.models.backbones.builder", _register_backbones)
after_import("mmhuman3d.models.necks.builder", _register_necks)
after_import("mmhuman3d.models.heads.builder", _register_heads)
after_import("mmhuman3d.models.losses.builder", _register_nothing)
after_import("mmhuman3d.models.body_models.builder", _register_nothing)
after_import("mmhuman3d.data.datasets", _register_data)
after_import("mmhuman3d.apis.test", _keep_every_batch)
