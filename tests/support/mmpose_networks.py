"""Networks of the installed mmpose, 0.2x or 1.x, with random weights, and mmpose's own inference with them."""

import importlib.util
import sys
import types

import numpy as np
import torch

from mion_plugin.detection.mmpose_estimator import build_mmpose_estimator, find_config, mmpose_generation


def import_mmcv_ops():
    """Let ``mmcv.ops``, which mmpose 1.x imports for heads that are not used here, import without compiled code.

    mmcv-lite has none; calling any of its operations raises.
    """
    if mmpose_generation() == 0 or importlib.util.find_spec("mmcv._ext"):
        return
    sys.modules["mmcv._ext"] = _NoCompiledCode("mmcv._ext")
    try:
        import mmcv.ops  # noqa: F401
    finally:
        del sys.modules["mmcv._ext"]  # so that nothing takes this for a full mmcv


class _NoCompiledCode(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_, **__):
            raise NotImplementedError(f"mmcv-lite has no compiled {name}")

        return missing


def write_small_config(folder):
    """HRNet-W48 as mmpose ships it, for pictures of 64 x 64: a sixteenth of the work."""
    shipped, path = find_config(), folder / "hrnet_w48_64x64.py"
    if mmpose_generation() == 0:
        path.write_text(f"_base_ = ['{shipped}']\ndata_cfg = dict(image_size=[64, 64], heatmap_size=[16, 16])\n")
    else:
        path.write_text(
            f"""_base_ = ['{shipped}']
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)
model = dict(head=dict(decoder=codec))
pipeline = [
    dict(type='LoadImage'), dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=(64, 64)),
    dict(type='PackPoseInputs')]
test_dataloader = dict(dataset=dict(pipeline=pipeline))
"""
        )
    return path


def build_random(config, seed=0):
    """Its estimator; its batch norms know random weights' statistics, and the heatmaps lie around a half.

    With OpenMMLab's own start the features vanish: the heatmaps are flat, and rounding decides where their maximum is.
    """
    import_mmcv_ops()
    torch.manual_seed(seed)
    estimator = build_mmpose_estimator(config)
    final = last_layer(estimator.model)
    torch.nn.init.normal_(final.weight, std=0.05)
    torch.nn.init.constant_(final.bias, 0.5)
    measure_statistics(estimator.model)
    return estimator


@torch.no_grad()
def measure_statistics(model):
    """Give every batch norm the mean and variance of noise pictures."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()
    model.backbone(torch.randn(4, 3, 64, 64))
    model.eval()


def last_layer(model):
    """The convolution that makes the heatmaps."""
    return (model.keypoint_head if mmpose_generation() == 0 else model.head).final_layer


def infer_directly(model, image, box):
    """(17, 3) of mmpose's own function for one image (RGB) and one box (x, y, width, height)."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    if mmpose_generation() == 0:
        from mmpose.apis import inference_top_down_pose_model

        return inference_top_down_pose_model(model, bgr, [{"bbox": box}], format="xywh")[0][0]["keypoints"]
    from mmpose.apis import inference_topdown

    found = inference_topdown(model, bgr, box[None], bbox_format="xywh")[0].pred_instances
    return np.column_stack([found.keypoints[0], found.keypoint_scores[0]])
