"""PNCC in mmhuman3d's pipelines: what a rendering of the body on the cropped photograph shows."""

import cv2
import numpy as np
import pytest
import torch
from mmhuman3d.data.datasets import build_dataset
from mmhuman3d.data.datasets.pipelines import Compose
from support.real_layout import FOCAL, HEIGHT, NUM_PEOPLE, SETS, WIDTH, intrinsics, make_annotations

from mion_plugin.body import SMPLBody
from mion_plugin.registry import DATASETS
from mion_plugin.rendering.interpolation import interpolate
from mion_plugin.rendering.pncc import normalized_coordinate_code
from mion_plugin.rendering.rasterizer import rasterize

SIZE, CROP, FINE = 112, 224, 6  # pixels of the PNCC and of the crop; and how many to a pixel of the photograph
AUGMENTED = [
    {"type": "RandomHorizontalFlip", "flip_prob": 1, "convention": "human_data"},
    {"type": "GetRandomScaleRotation", "rot_factor": 30, "scale_factor": 0.25, "rot_prob": 1},
]
PLAIN = [{"type": "GetRandomScaleRotation", "rot_factor": 0, "scale_factor": 0}]
# photographs by cameras that far away, and that much longer: the crop's camera is a distant one
ZOOM = {"h36m": 1.0, "h36m_placed": 1.0, "h36m_distant_placed": 20.0, "h36m_camera_placed": 1.0}
MODEL = "data/body_models/smpl"
PNCC = {"type": "PNCCTransform", "size": SIZE, "use_betas": True, "model_path": MODEL}


@pytest.fixture(scope="module")
def body(host_root) -> SMPLBody:
    return SMPLBody(host_root / MODEL)


@pytest.fixture(scope="module")
def people(host_root, body) -> dict[str, np.ndarray]:
    """SMPL of the people of h36m and, under other names, files that also tell where they stand and the camera."""
    for name, zoom in ZOOM.items():
        if name == "h36m":
            continue  # is there, without them
        content = make_annotations("h36m", body, 0, with_transl=True, zoom=zoom)
        content["cam_param"] = [{"in_mat": intrinsics(zoom).tolist(), "H": HEIGHT, "W": WIDTH}] * NUM_PEOPLE
        if name == "h36m_camera_placed":
            del content["smpl"]["transl"]
        np.savez_compressed(host_root / "data" / "preprocessed_datasets" / f"{name}.npz", **content)
    return make_annotations("h36m", body, 0, with_transl=True)["smpl"]


def run(name: str, steps: list[dict], index: int = 1, dataset: str = "HumanImageDataset", **pncc) -> dict:
    """Sample ``index`` behind mmhuman3d's own steps."""
    config = {"type": dataset, "data_prefix": "data", "pipeline": [], "dataset_name": name.split("_")[0]}
    file = f"{name}.npz" if name.endswith("placed") else SETS[name][0]
    raw = build_dataset({**config, "ann_file": file}).prepare_raw_data(index)
    np.random.seed(3)  # noqa: NPY002  # mmhuman3d's steps draw from the global generator
    crop = {"type": "MeshAffine", "img_res": CROP}
    ours = [{"type": "CropInputKeypoints"}] if dataset == "MIONImageDataset" else []
    return Compose([{"type": "LoadImageFromFile"}, *steps, crop, *ours, {**PNCC, **pncc}])(raw)


def photographed(body: SMPLBody, people: dict[str, np.ndarray], results: dict, zoom: float = 1.0) -> np.ndarray:
    """The body's PNCC drawn on the photograph, fine, and then mirrored and cropped as the photograph was."""
    row = {key: torch.tensor(value[results["sample_idx"]]).float() for key, value in people.items()}
    pose = torch.cat([row["global_orient"][None], row["body_pose"]])
    transl = row["transl"] + torch.tensor([0, 0, 7.0 * (zoom - 1)])
    vertices = body(pose[None], row["betas"][None], transl[None]).vertices
    point = (FINE * WIDTH / 2, FINE * HEIGHT / 2)
    fragments = rasterize(vertices, body.faces, FINE * FOCAL * zoom, point, (FINE * HEIGHT, FINE * WIDTH))
    code = normalized_coordinate_code(torch.as_tensor(body.arrays.v_template))
    picture = interpolate(fragments, body.faces, code[None])[0].permute(1, 2, 0).numpy()
    crop = np.eye(3)
    crop[:2] = results["crop_transform"]
    if results.get("is_flipped", 0):
        picture = picture[:, ::-1]
        crop = crop @ np.array([[1, 0, -1], [0, 1, 0], [0, 0, 1.0]])  # mmhuman3d takes x to width - 1 - x
    centre = np.array([[1 / FINE, 0, 0.5 / FINE], [0, 1 / FINE, 0.5 / FINE], [0, 0, 1]])  # fine index to pixels
    smaller = np.array([[SIZE / CROP, 0, -0.5], [0, SIZE / CROP, -0.5], [0, 0, 1]])  # crop pixels to the PNCC's index
    return cv2.warpAffine(picture, (smaller @ crop @ centre)[:2], (SIZE, SIZE), flags=cv2.INTER_NEAREST)


def compare(results: dict, expected: np.ndarray) -> tuple[float, float]:
    """Overlap of the two bodies (intersection over union), and the median difference of the code where both are."""
    pncc = results["pncc"].transpose(1, 2, 0)
    ours, theirs = (pncc > 0).any(axis=2), (expected > 0).any(axis=2)
    assert theirs.sum() > 400
    both = ours & theirs
    return both.sum() / (ours | theirs).sum(), float(np.median(np.abs(pncc - expected)[both]))


@pytest.mark.parametrize("steps", [PLAIN, AUGMENTED], ids=["plain", "augmented"])
class TestItIsARenderingOnTheCroppedPhotograph:
    @pytest.mark.parametrize("name", ["h36m_placed", "h36m_camera_placed"])
    def test_where_the_file_tells_the_camera(self, body, people, steps, name):
        """And the translation; without it, where the annotated keypoints are before that camera."""
        for index in range(NUM_PEOPLE):
            results = run(name, steps, index, "MIONImageDataset", fit_convention="h36m")
            overlap, difference = compare(results, photographed(body, people, results))
            assert overlap > 0.96
            assert difference < 0.01

    @pytest.mark.parametrize(
        ("name", "joints", "least"),
        [("h36m_distant_placed", "h36m", 0.96), ("h36m_placed", "h36m", 0.84), ("h36m", "smpl_54", 0.82)],
    )
    def test_where_the_file_or_the_data_set_tells_none(self, body, people, steps, name, joints, least):
        """By the 2D keypoints, before the crop's distant camera.

        A camera 7 m away shows limbs elsewhere by some pixels, and so do joints of another definition.
        """
        for index in range(NUM_PEOPLE):
            results = run(name, steps, index, fit_convention=joints)
            overlap, difference = compare(results, photographed(body, people, results, ZOOM[name]))
            assert overlap > least
            assert difference < 0.02


def test_it_is_that_of_this_packages_pipeline(body, people):
    ours = DATASETS.build(
        {
            "type": "mion.HumanDataset",
            "ann_file": "h36m_placed.npz",
            "data_prefix": "data",
            "dataset_name": "h36m",
            "keypoints2d_convention": "smpl_54",
            "keypoints2d_source": "detected",
            "test_mode": True,
            "pipeline": [
                {"type": "mion.LoadImageFromFile"},
                {"type": "mion.MeshAffine"},
                {**PNCC, "type": "mion.PNCCTransform"},
            ],
        }
    )
    for index in range(NUM_PEOPLE):
        theirs = run("h36m_placed", PLAIN, index, "MIONImageDataset")["pncc"]
        assert (np.abs(theirs - ours[index]["pncc"]) > 0.02).any(axis=0).sum() <= 4


class TestWhatIsGivenForAPlace:
    def test_detected_keypoints_where_none_are_annotated(self):
        results = run("pw3d", PLAIN, dataset="MIONImageDataset")
        covered = np.argwhere((results["pncc"] > 0).any(axis=0))
        middle = covered.mean(axis=0)[::-1] * CROP / SIZE
        detected = results["keypoints2d_input"]
        assert np.abs(middle - detected[detected[:, 2] > 0, :2].mean(axis=0)).max() < 25

    def test_without_any_it_is_refused_or_empty(self):
        with pytest.raises(ValueError, match=r"sample 1 of pw3d has SMPL, but no translation before the crop's camera"):
            run("pw3d", PLAIN)
        assert not run("pw3d", PLAIN, unplaced="empty")["pncc"].any()

    def test_people_without_smpl_get_an_empty_image(self):
        assert not run("coco", PLAIN)["pncc"].any()

    def test_it_belongs_behind_the_crop(self):
        with pytest.raises(KeyError, match="needs crop_transform in the sample: put MeshAffine before"):
            Compose([PNCC])({"has_smpl": 1})
