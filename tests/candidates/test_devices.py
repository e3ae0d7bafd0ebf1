"""Device placement: without a GPU by fake CUDA tensors, with one for real."""

import dataclasses

import pytest
import torch
from support.stick_pool import make_keypoints
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from mion_plugin.candidates import CandidateSelector, fit_translation
from mion_plugin.candidates.diversity import _farthest_among
from mion_plugin.candidates.fit import make_target
from mion_plugin.candidates.shortlist import PoolEntries


def test_fit_stays_on_its_device():
    with FakeTensorMode():
        joints, keypoints = torch.empty(6, 17, 3, device="cuda"), torch.empty(17, 3, device="cuda")
        transl, loss = fit_translation(joints, keypoints, 5000.0, (112.0, 112.0))
    assert transl.device.type == loss.device.type == "cuda"


def test_bounds_distances_and_choice_stay_on_their_device(stick_pool):
    """All parts of the selector but the shortlist, whose length fake tensors cannot know."""
    selector = CandidateSelector(stick_pool)
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()) as mode:
        for module in selector.modules():
            for name, buffer in list(module.named_buffers(recurse=False)):
                setattr(module, name, mode.from_tensor(buffer).to("cuda"))
        target = make_target(torch.empty(4, 17, 3, device="cuda", dtype=torch.float64), 5000.0, (112.0, 112.0))
        bounds = selector.scorer(target.slopes.float(), target.weight.float(), target.mean.float())
        assert bounds.lower.device.type == "cuda"
        needed = selector._highest_needed_loss(bounds.lower, target)
        assert needed.device.type == "cuda"
        entries = PoolEntries(*(torch.zeros(9, device="cuda", dtype=torch.long) for _ in range(3)))
        assert selector.quick_fit(entries, target).device.type == "cuda"
        assert selector.distance.most_from(entries.pose[:2], entries.pose, [4, 5]).device.type == "cuda"
        allowed = torch.empty(4, 9, 12, device="cuda", dtype=torch.bool)
        poses = torch.zeros(4, 9, device="cuda", dtype=torch.long)
        beyond = torch.empty(4, device="cuda")
        chosen, proven = _farthest_among(poses, allowed, poses[:, 0], beyond, selector.distance, 3)
        assert chosen.device.type == proven.device.type == "cuda"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_selects_what_a_cpu_selects(stick_pool):
    keypoints2d = make_keypoints(stick_pool, 20)
    selector = CandidateSelector(stick_pool)
    expected, selected = selector(keypoints2d), selector.to("cuda")(keypoints2d.to("cuda"))
    for field in dataclasses.fields(expected):
        value = getattr(expected, field.name)
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(getattr(selected, field.name).cpu(), value)
