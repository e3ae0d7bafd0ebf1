"""mmpose's HRNet below stages 2 and 3, in configs of mmengine; mmpose 0.29 here, 1.x by ``make test-mmcv2``."""

import pytest
import torch
from support.mmpose_networks import import_mmcv_ops

from mion_plugin.bodies import Bodies
from mion_plugin.registry import MODELS

pytest.importorskip("mmpose")


@pytest.fixture
def hrnet():
    """Its config: four stages of few channels. The full path is what both generations of mmpose are found by."""
    import_mmcv_ops()
    branches = [dict(num_modules=1, num_branches=n, block="BASIC", num_blocks=(1,) * n) for n in (2, 3, 4)]
    stages = {
        f"stage{n}": dict(stage, num_channels=(8, 16, 32, 64)[:n]) for n, stage in zip((2, 3, 4), branches, strict=True)
    }
    stage1 = dict(num_modules=1, num_branches=1, block="BOTTLENECK", num_blocks=(1,), num_channels=(8,))
    return dict(type="mmpose.models.backbones.HRNet", extra=dict(stage1=stage1, **stages))


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)


def check_that_all_learn(network, number):
    (number * torch.randn_like(number)).sum().backward()
    assert [name for name, weight in network.backbone.named_parameters() if weight.grad is None] == []


def test_stage_2(hrnet):
    refiner = MODELS.build(
        dict(
            type="mion.RefinementNetwork",
            backbone=hrnet,
            neck=dict(type="mion.DeconvNeck", in_channels=8, channels=24, num_layers=0),  # its finest map
            transformer=dict(width=24, num_heads=2, num_encoder_layers=1, num_decoder_layers=1, feedforward=48),
            renderer=dict(type="mion.PNCCRenderer", size=16),
            image_size=64,
        )
    )
    refiner.init_weights()
    pose, transl = torch.zeros(2, 3, 24, 3), torch.tensor([0.0, 0.0, 45.0]).expand(2, 3, 3)
    refined = refiner(torch.randn(2, 3, 64, 64), Bodies.with_mean_shape(pose, transl))
    assert refined.pose.shape == (2, 3, 24, 3, 3)
    check_that_all_learn(refiner, refined.pose)


@pytest.mark.parametrize("options", [{}, {"output": "local", "crop_to_body": True}])
def test_stage_3(hrnet, options):
    hrnet["extra"]["stage4"]["multiscale_output"] = True  # all four maps, of which the coarsest is averaged
    scorer = MODELS.build(dict(type="mion.CEN", backbone=hrnet, feature_channels=64, image_size=64, **options))
    scorer.init_weights()
    assert scorer.backbone.conv1.in_channels == 6
    vertices = scorer.body.v_template + torch.tensor([0.0, 0.0, 45.0])
    with torch.no_grad():
        next(scorer.head.parameters()).normal_()
    scores = scorer(torch.randn(2, 3, 64, 64), vertices.expand(2, 3, -1, -1))
    assert scores.shape == (2, 3)
    assert scores.isfinite().all()
    (scores * torch.randn(2, 3)).sum().backward()
    assert scorer.backbone.conv1.weight.grad[:, 3:].abs().sum() > 0  # PNCC is looked at
