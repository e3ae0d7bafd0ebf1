"""Building mmhuman3d's architectures. Importing this module imports mmhuman3d."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcv.utils import ConfigDict
from mmhuman3d.models.architectures.builder import ARCHITECTURES, build_architecture
from mmhuman3d.models.architectures.cliff_mesh_estimator import CliffImageBodyModelEstimator
from mmhuman3d.models.architectures.mesh_estimator import ImageBodyModelEstimator
from mmhuman3d.models.registrants.builder import build_registrant
from torch import nn

from mion_plugin.baselines.body_files import write_body_files
from mion_plugin.baselines.registration import RememberedFits
from mion_plugin.registry import MODELS

IMAGE_ESTIMATORS = (ImageBodyModelEstimator, CliffImageBodyModelEstimator)


def build_image_estimator(
    config: Mapping[str, Any], body: Mapping[str, Any], static_fits: str | None, remember_fits: bool
) -> nn.Module:
    """An mmhuman3d architecture from its config; see ``MMHuman3DMethod`` for the arguments.

    Raises:
        ValueError: Not an image estimator of SMPL, or one with an adversarial part.
    """
    settings: dict[str, Any] = _plain(config)
    _check_type(settings.get("type"))
    if settings.get("disc") is not None:
        raise ValueError("architecture.disc is set: the adversarial part is not supported; leave out disc and loss_adv")
    registration = settings.pop("registration", None)  # mmhuman3d would look for the fits of six data sets
    backbone = _own_backbone(settings)
    with tempfile.TemporaryDirectory(prefix="mion_body_") as folder:
        write_body_files(settings, body, Path(folder))
        architecture = build_architecture(ConfigDict(settings))
        architecture.registration = registration
        if backbone is not None:
            architecture.backbone = backbone
        if registration is not None:
            write_body_files(registration, body, Path(folder))
            registrant = {"device": "cpu", **registration["registrant"]}
            architecture.registration_mode = registration["mode"]
            architecture.registrant = build_registrant(ConfigDict(registrant))
            architecture.fits_dict = RememberedFits(static_fits, remember_fits)
    for name in ("body_model_train", "body_model_test"):
        if getattr(architecture, name) is not None:
            _keep_out_of_checkpoints(getattr(architecture, name))
    return architecture


def _own_backbone(settings: dict[str, Any]) -> nn.Module | None:
    """The backbone, taken out of the settings, if it is of this package's registry, which mmhuman3d does not know."""
    backbone = settings.get("backbone") or {}
    if not str(backbone.get("type")).startswith(f"{MODELS.scope}."):
        return None
    settings["backbone"] = None
    return MODELS.build(backbone)


def _keep_out_of_checkpoints(body_model: nn.Module) -> None:
    """Make parameters and buffers non-persistent: a checkpoint never carries a licensed body."""
    for module in body_model.modules():
        for name, value in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            delattr(module, name)
            module.register_buffer(name, value.detach(), persistent=False)


def _check_type(name: str | None) -> None:
    found = ARCHITECTURES.get(name) if isinstance(name, str) else None
    if found is None or not issubclass(found, IMAGE_ESTIMATORS):
        known = ", ".join(estimator.__name__ for estimator in IMAGE_ESTIMATORS)
        hint = ""
        if name == "HybrIK_trainer":
            hint = (
                "; HybrIK runs on GPUs alone and learns from twist angles and depth maps that HumanData does not hold"
            )
        raise ValueError(f"architecture.type is {name!r}, expected one of {known}{hint}")


def _plain(config: Any) -> Any:
    """A copy in plain dicts and lists; mmengine's config types are not mmcv's."""
    if isinstance(config, Mapping):
        return {key: _plain(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_plain(value) for value in config)
    return config
