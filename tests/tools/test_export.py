import json
import sys

import export as tool
import numpy as np
import pytest
import torch

from mion_plugin.export.files import run_exported

CONFIG = """
camera = dict(image_size=32, focal_length=714.0)
backbone = dict(type="mion.TorchvisionResNet", depth=18, num_stages=1)
model = dict(
    type="mion.MION",
    selector=dict(type="mion.CandidateSelector", num_candidates=2),
    refiner=dict(
        type="mion.RefinementNetwork",
        backbone=backbone,
        neck=dict(type="mion.DeconvNeck", in_channels=64, channels=24, num_layers=0),
        renderer=dict(type="mion.PNCCRenderer", size=8),
        transformer=dict(width=24, num_heads=2, num_encoder_layers=0, num_decoder_layers=1, feedforward=8),
        **camera,
    ),
    cen=dict(type="mion.CEN", backbone=dict(**backbone, in_channels=6), output="low_rank", num_anchors=8, **camera),
)
"""


@pytest.fixture
def config(tmp_path):
    """A small model with random weights."""
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    return path


def test_files_can_be_run_by_their_description_alone(config, tmp_path, capsys):
    """Rotations are rotations, and the scores the mean of the distances."""
    out = tmp_path / "out"
    assert tool.main(["--config", str(config), "--out", str(out), "--formats", "torch"]) == 0
    assert {path.name for path in out.iterdir()} == {"mrt.pt2", "cen.pt2", "export.json"}
    assert "mrt.pt2: " in capsys.readouterr().out
    described = json.loads((out / "export.json").read_text())
    assert described["camera"] == {"image_size": 32, "focal_length": 714.0}
    sizes = {"batch": 3, "candidates": 2, "samples": 4}
    found = {}
    for name in ("mrt", "cen"):
        shapes = {key: [sizes.get(size, size) for size in shape] for key, shape in described[name]["inputs"].items()}
        inputs = {key: torch.rand(shape) for key, shape in shapes.items()}
        if name == "mrt":
            inputs["rotations"] = torch.eye(3).expand(3, 2, 24, 3, 3).contiguous()
            inputs["transl"][..., 2] += 45.0
            inputs["pelvis"][..., 2] += 45.0
        outputs = run_exported(out / f"{name}.pt2", inputs, "torch")
        found[name] = dict(zip(described[name]["outputs"], outputs, strict=True))
        assert described[name]["largest_difference"]["torch"] <= 1e-3
    pose = found["mrt"]["pose"]
    np.testing.assert_allclose(pose @ pose.swapaxes(-1, -2), np.broadcast_to(np.eye(3), pose.shape), atol=1e-4)
    np.testing.assert_allclose(found["cen"]["score"], found["cen"]["distances"].mean(axis=1), atol=1e-5)


def test_the_packaged_models_files_read_what_its_networks_read(tmp_path, capsys):
    assert tool.main(["--out", str(tmp_path), "--formats", "torch", "--tolerance", "1e-4"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"locator.pt2", "mrt.pt2", "reader.pt2", "export.json"}
    described = json.loads((tmp_path / "export.json").read_text())
    assert set(described["mrt"]["inputs"]) == {"rotations", "transl", "pelvis", "evidence"}
    assert described["reader"]["inputs"] == {
        "image": ["batch", 3, 112, 112],
        "keypoints2d": ["batch", "candidates", 17, 3],
        "own_depths": ["batch", "candidates", 17],
    }
    assert described["locator"]["inputs"] == {"image": ["batch", 3, 112, 112], "keypoints2d": ["batch", 17, 3]}
    assert described["score"].keys() == {"measure", "slope", "offset_m", "body_height_m"}
    assert described["score"]["measure"] == "expected"
    assert 1.6 < described["score"]["body_height_m"] < 1.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--formats", "tensorrt"], "argument --formats: invalid choice: 'tensorrt'"),
        (["--checkpoint", "x.pth"], "--checkpoint x.pth needs --config"),
        (["--config", "none.py"], "config none.py does not exist"),
        (["--config", "config.py", "--formats", "onnx"], "exporting to ONNX needs onnx, onnxscript and onnxruntime"),
    ],
)
def test_bad_input_ends_with_one_line(config, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.chdir(tmp_path)
    try:
        status = tool.main([*arguments, "--out", "out"])
    except SystemExit as exit:  # of the parser
        status = exit.code
    assert status == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not list(tmp_path.glob("out/*"))
