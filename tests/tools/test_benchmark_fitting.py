"""tools/benchmark.py fitting: a run on a few images, and what stands beside the fit."""

import benchmark
import pytest
import torch
from benchmarks import fitting, fitting_rivals

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.geometry.crop_camera import CropCamera
from mion_plugin.geometry.rotations import rotvec_to_rotmat

CAMERA = CropCamera(2500.0, 112)


def cells(text):
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def mpjpe(cell):
    return float(cell.split()[0])


def pixels(body, bodies):
    """Keypoints (B, K, 2) of the first body of each image, in pixels of its crop."""
    points = body.pose_keypoints(bodies.pose, bodies.betas, bodies.transl)
    return (CAMERA.project_normalized(points)[:, 0] + 1.0) * 56


def root_mean_square(difference):
    return difference.square().mean().sqrt()


@pytest.mark.slow
def test_errors_fall_and_the_fit_is_faster_than_adam(tmp_path):
    benchmark.main(["fitting", "--num-samples", "16", "--seeds", "11", "--out", str(tmp_path / "fit.md")])
    text = (tmp_path / "fit.md").read_text()
    assert text.startswith("16 images (poses: test, seeds 11)")
    errors, time = (cells(part) for part in text.split("### Time"))
    before, fitted = errors["refined, before"], errors["KeypointFit"]
    assert before[3:5] == ["", ""]
    for column in (0, 1, 2, 5, 6):  # every way to choose, the mean and the best
        assert mpjpe(fitted[column]) < mpjpe(before[column])
    assert mpjpe(fitted[6]) == min(mpjpe(cell) for column, cell in enumerate(fitted) if column != 4)
    assert float(time["60 steps of Adam"][2]) > 1


def test_adam_approaches_the_keypoints():
    body = SMPLBody()
    generator = torch.Generator().manual_seed(0)
    pose = rotvec_to_rotmat(0.2 * torch.randn(2, 1, 24, 3, generator=generator))
    betas, transl = torch.zeros(2, 1, 10), torch.tensor([0.0, 0.0, 45.0]).expand(2, 1, 3)
    points = pixels(body, Bodies(pose, betas, transl))
    keypoints2d = torch.cat([points, torch.ones(2, 17, 1)], dim=-1)
    start = pose @ rotvec_to_rotmat(0.2 * torch.randn(2, 1, 24, 3, generator=generator))
    given = Bodies(start, betas, transl)
    fitted = fitting_rivals.adam_fit(body, CAMERA)(given, keypoints2d)
    assert root_mean_square(pixels(body, fitted) - points) < 0.5 * root_mean_square(pixels(body, given) - points)


@pytest.mark.slow
def test_smplify_approaches_the_keypoints():
    pytest.importorskip("mmhuman3d")
    body = SMPLBody()
    generator = torch.Generator().manual_seed(0)
    upright = torch.zeros(2, 1, 24, 3)
    upright[..., 0, 0] = torch.pi
    pose = rotvec_to_rotmat(upright)
    betas, transl = torch.zeros(2, 1, 10), torch.tensor([0.0, 0.0, 45.0]).expand(2, 1, 3).clone()
    points = pixels(body, Bodies(pose, betas, transl))
    keypoints2d = torch.cat([points, torch.ones(2, 17, 1)], dim=-1)
    start = pose @ rotvec_to_rotmat(0.15 * torch.randn(2, 1, 24, 3, generator=generator))
    given = Bodies(start, betas, transl)
    fitted = fitting_rivals.smplify_fit({}, CAMERA.image_size)(given, keypoints2d)
    assert root_mean_square(pixels(body, fitted) - points) < 0.7 * root_mean_square(pixels(body, given) - points)


def test_the_sweep_varies_what_the_fit_has(monkeypatch, capsys):
    monkeypatch.setattr(fitting, "SWEEP", {"joints": (0.1, 0.25), "iterations": (1,)})
    benchmark.main(["fitting", "--num-samples", "6", "--seeds", "11", "--sweep"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        ["| joints", "0.1"],
        ["| joints", "0.25"],
        ["| iterations", "1"],
    ]


def test_every_number_of_the_sweep_is_an_option():
    class Model:
        body, camera = SMPLBody(), CAMERA

    for name, values in fitting.SWEEP.items():
        of_fit = name in ("keypoint_noise", "cutoff", "iterations")
        fit = fitting.build_fit(Model(), **({name: values[0]} if of_fit else {"prior": {name: values[0]}}))
        assert fit.camera == CAMERA
