import benchmark
import numpy as np
import pytest
import torch
from benchmarks import selection, thresholds
from benchmarks.ordinary_people import PEOPLE, ordinary_keypoints
from support.exhaustive_selection import fit_by_lstsq
from support.stick_pool import make_keypoints, make_stick_pool

from mion_plugin.geometry.rotations import rotvec_to_rotmat


def test_the_selection_table_is_printed(capsys):
    benchmark.main(["selection", "--poses", "40", "--batch", "2", "--repeats", "1"])
    printed = capsys.readouterr().out
    for form in ("selector", "exhaustive closed form, torch", "exhaustive closed form, numpy", "torch.linalg.lstsq"):
        assert form in printed
    for kind in ("upright", "walking", "sitting", "8,000"):
        assert kind in printed
    _, ours, theirs = printed.split("lowest loss of the first image: ")[1].split("\n")[0].replace(",", "").split(" ", 2)
    assert float(ours) == float(theirs.removeprefix("exhaustive "))


def test_the_table_of_thresholds_is_printed(capsys):
    benchmark.main(["thresholds", "--num-samples", "2", "--thresholds", "500"])
    printed = capsys.readouterr().out
    assert "weighted loss" in printed
    assert "loss per confidence" in printed


def test_a_threshold_per_unit_of_confidence():
    """Half the confidence everywhere: the weighted loss halves, the one per confidence stays."""
    keypoints2d = make_keypoints(make_stick_pool(), 3)
    halved = keypoints2d * torch.tensor([1.0, 1.0, 0.5])
    torch.testing.assert_close(thresholds.even_confidence(halved), thresholds.even_confidence(keypoints2d))
    assert thresholds.even_confidence(keypoints2d)[..., 2].sum(1).tolist() == pytest.approx([17.0] * 3)


def test_ordinary_people_stand_in_the_crop():
    """Heads above feet, nearly all within the picture; those who walk differ from each other, those who sit are low."""
    people = {kind: ordinary_keypoints(kind, "0.3 to 1", 40) for kind in PEOPLE}
    for keypoints2d in people.values():
        assert (keypoints2d[:, 0, 1] < keypoints2d[:, 15:, 1].amin(dim=1)).all()
        assert ((keypoints2d[..., :2] > 0) & (keypoints2d[..., :2] < 224)).double().mean() > 0.99
        assert 0.3 <= keypoints2d[..., 2].min() < keypoints2d[..., 2].max() <= 1.0
    height = {kind: (points[:, 15:, 1].amax(dim=1) - points[:, 0, 1]).mean() for kind, points in people.items()}
    assert height["sitting"] < 0.85 * height["walking"] < 0.85 * height["upright"]
    assert (ordinary_keypoints("upright", "1", 2)[..., 2] == 1.0).all()


@pytest.mark.parametrize("upside_down", [False, True])
def test_all_forms_compute_the_same_losses(upside_down):
    """What is compared must be the same thing. Upside-down keypoints put upright bodies behind the camera."""
    pool = make_stick_pool(num_poses=5, num_orientations=4)
    keypoints2d = make_keypoints(pool, 1).float()
    keypoints2d[..., 2].clamp_(min=0.1)
    if upside_down:
        keypoints2d[..., :2] = 224.0 - keypoints2d[..., :2]
    rotations = rotvec_to_rotmat(torch.from_numpy(pool.global_orient))
    points = torch.from_numpy(pool.keypoints3d)
    joints = (points[:, None] @ rotations.mT).flatten(0, 1)
    expected = np.array([fit_by_lstsq(candidate, keypoints2d[0].numpy())[1] for candidate in joints.double().numpy()])
    finite = np.isfinite(expected)
    assert finite.all() != upside_down
    exhaustive = selection.exhaustive_losses(points, rotations, keypoints2d).numpy()
    in_numpy = selection.exhaustive_losses_numpy(pool.keypoints3d, rotations.numpy(), keypoints2d[0].numpy())
    by_lstsq = selection.lstsq_losses(joints, keypoints2d[0]).numpy()
    for losses in (exhaustive, in_numpy):
        np.testing.assert_allclose(losses, expected, rtol=2e-3)
    np.testing.assert_allclose(by_lstsq[finite], expected[finite], rtol=2e-3)  # it does not look behind the camera


def test_the_synthesis_table_is_printed(capsys):
    arguments = ["--sizes", "16", "24", "--num-images", "2", "--repeats", "1", "--reference-images", "1"]
    threads = torch.get_num_threads()
    benchmark.main(["synthesis", *arguments])
    assert torch.get_num_threads() == threads
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [int(row[0]) for row in rows] == [16, 24]
    for _, rate, milliseconds, reference, ratio in ([cell.strip() for cell in row] for row in rows):
        assert float(rate) == pytest.approx(1000 / float(milliseconds), rel=0.1)
        assert float(ratio[:-2]) == pytest.approx(float(reference) / float(milliseconds), rel=0.1, abs=2)
