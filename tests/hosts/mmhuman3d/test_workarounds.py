"""Each work-around, and that it is still needed with the versions installed."""

import pickle
import subprocess

import mmcv.parallel._functions as scatter_functions
import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer
from mmcv.runner.checkpoint import get_state_dict
from support.mmhuman3d_host import build_model, small_config

from mion_plugin.hosts.mmhuman3d.workarounds import support_modern_torch, unwrap_containers


def test_containers_are_unwrapped_as_for_one_gpu():
    image, metas = torch.zeros(2, 3), [{"image_path": "a"}, {"image_path": "b"}]
    batch = {"img": image, "img_metas": DataContainer([metas], cpu_only=True)}
    unwrapped = unwrap_containers(batch)
    assert unwrapped["img"] is image
    assert unwrapped["img_metas"] is metas
    assert unwrap_containers(unwrapped) == unwrapped


def test_a_batch_for_several_gpus_is_refused():
    with pytest.raises(ValueError, match="img_metas was collated for 2 GPUs"):
        unwrap_containers({"img_metas": DataContainer([[{}], [{}]], cpu_only=True)})


def test_mmcv_saves_buffers_that_torch_would_not():
    model = build_model(small_config("mion_r50_56x56_pw3d-test"))
    assert "v_template" in get_state_dict(model.refiner.body)
    assert get_state_dict(model).keys() == model.state_dict().keys()


def test_streams_are_asked_for_by_device():
    """Scattering to a GPU itself needs one; here what mmcv's call reaches."""
    with pytest.raises(AttributeError, match="'int' object has no attribute 'type'"):
        torch.nn.parallel._functions._get_stream(0)
    if not torch.cuda.is_available():
        assert scatter_functions._get_stream(0) is None  # torch's answer without a GPU
    else:
        assert scatter_functions._get_stream(0).device == torch.device("cuda", 0)


@pytest.fixture
def no_safe_globals():
    """torch as it is in a process where nothing was allowed yet."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)


@pytest.mark.usefixtures("no_safe_globals")
def test_numbers_of_numpy_are_needed_in_checkpoints_and_nothing_else_is_let_in(tmp_path):
    content = {"best_score": np.float64(3.5), "epoch": np.int64(2)}
    torch.save(content, tmp_path / "best.pth")
    torch.save({"run": subprocess.run}, tmp_path / "code.pth")
    with pytest.raises(pickle.UnpicklingError, match="scalar"):
        torch.load(tmp_path / "best.pth")
    support_modern_torch()
    assert torch.load(tmp_path / "best.pth") == content
    with pytest.raises(pickle.UnpicklingError, match="run was not an allowed global"):
        torch.load(tmp_path / "code.pth")
