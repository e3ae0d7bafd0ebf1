"""Checkpoints that mmhuman3d wrote, through tools/test.py's hooks; and what our own hold."""

import pytest
import torch
from mmengine.config import ConfigDict
from support.mmhuman3d_methods import architecture

from mion_plugin.baselines import MMHuman3DCheckpointHook, from_mmhuman3d
from mion_plugin.engine import FittingCheckpointHook
from mion_plugin.registry import MODELS

builder = pytest.importorskip("mmhuman3d.models.architectures.builder", reason="mmhuman3d is the reference here")
checkpoints = pytest.importorskip("mmcv.runner.checkpoint", reason="mmhuman3d is the reference here")


@pytest.fixture(scope="module")
def theirs(mmhuman3d_root):
    """mmhuman3d's HMR with its discriminator, as it is published."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(mmhuman3d_root)
        config = {**architecture("hmr"), "disc": dict(type="SMPLDiscriminator")}
        return builder.build_architecture(config)


@pytest.fixture
def ours(in_root):
    torch.manual_seed(1)
    return MODELS.build(dict(type="mion.MMHuman3DMethod", architecture=architecture("hmr")))


class Runner:
    """What the hooks ask of mmengine's."""

    def __init__(self, model):
        self.model = model


@pytest.mark.parametrize("prefixes", ["", "module.", "parts"])
def test_every_weight_of_mmhuman3d_is_loaded(theirs, ours, prefixes, tmp_path):
    checkpoints.save_checkpoint(theirs, str(tmp_path / "theirs.pth"), meta={"epoch": 100})
    checkpoint = torch.load(tmp_path / "theirs.pth", weights_only=True)
    if prefixes == "module.":
        checkpoint["state_dict"] = {f"module.{name}": value for name, value in checkpoint["state_dict"].items()}
    if prefixes == "parts":  # mmhuman3d wraps backbone, head and discriminator each
        checkpoint["state_dict"] = {
            name.replace(".", ".module.", 1): value for name, value in checkpoint["state_dict"].items()
        }
    MMHuman3DCheckpointHook().after_load_checkpoint(Runner(ours), checkpoint)
    FittingCheckpointHook("theirs.pth").after_load_checkpoint(Runner(ours), checkpoint)
    ours.load_state_dict(checkpoint["state_dict"])
    loaded = ours.state_dict()
    wanted = theirs.state_dict()
    parts = [name for name in wanted if name.startswith(("backbone.", "head."))]
    assert len(parts) == len(loaded)
    for name in parts:
        torch.testing.assert_close(loaded[f"architecture.{name}"], wanted[name])


def test_a_bare_state_dict_is_mapped_too(theirs, ours):
    checkpoint = dict(theirs.state_dict())
    MMHuman3DCheckpointHook().after_load_checkpoint(Runner(ours), checkpoint)
    assert set(checkpoint["state_dict"]) == set(ours.state_dict())


def test_our_own_checkpoints_stay_as_they_are(ours):
    state_dict = ours.state_dict()
    checkpoint = {"state_dict": state_dict}
    MMHuman3DCheckpointHook().after_load_checkpoint(Runner(ours), checkpoint)
    assert checkpoint["state_dict"] is state_dict


def test_no_checkpoint_carries_a_body(theirs, ours):
    assert any(name.startswith("body_model_train.") for name in theirs.state_dict())
    assert all(name.startswith(("architecture.backbone.", "architecture.head.")) for name in ours.state_dict())
    assert all(name.startswith(("architecture.backbone.", "architecture.head.")) for name, _ in ours.named_parameters())
    assert not any("body_model" in name or "disc" in name for name in from_mmhuman3d(theirs.state_dict()))


def test_another_networks_checkpoint_is_refused(theirs, ours):
    checkpoint = {"state_dict": {name: value for name, value in theirs.state_dict().items() if "head.fc1" not in name}}
    MMHuman3DCheckpointHook().after_load_checkpoint(Runner(ours), checkpoint)
    with pytest.raises(ValueError, match=r"head\.fc1"):
        FittingCheckpointHook("theirs.pth").after_load_checkpoint(Runner(ours), checkpoint)


def test_a_config_of_mmengine_builds_as_a_dict_does(in_root):
    config = ConfigDict(dict(type="mion.MMHuman3DMethod", architecture=architecture("hmr")))
    assert MODELS.build(config).architecture.convention == "smpl_54"
