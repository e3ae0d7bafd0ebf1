"""MeshMetric against mmhuman3d's own HumanImageDataset.evaluate on the same files.

mmhuman3d runs with its own body models on the stand-in exported as SMPL files.
"""

from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement

from mion_plugin.body import load_body
from mion_plugin.body.export import export_body
from mion_plugin.evaluation import MeshMetric

REASON = "mmhuman3d is the reference here"
builder = pytest.importorskip("mmhuman3d.models.body_models.builder", reason=REASON)
HumanData = pytest.importorskip("mmhuman3d.data.data_structures.human_data", reason=REASON).HumanData
datasets = pytest.importorskip("mmhuman3d.data.datasets.human_image_dataset", reason=REASON)
conventions = pytest.importorskip("mmhuman3d.core.conventions.keypoints_mapping", reason=REASON)

NUM_PEOPLE = 4


@pytest.fixture(scope="module")
def smpl_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("smpl")
    for gender in ("neutral", "male", "female"):
        export_body(load_body(None, gender), folder, gender)
    return folder


@pytest.fixture(scope="module")
def body_config(smpl_folder) -> dict:
    """mmhuman3d's test-time body model."""
    return {
        "keypoint_src": "h36m",
        "keypoint_dst": "h36m",
        "model_path": str(smpl_folder),
        "joints_regressor": str(smpl_folder / "J_regressor_h36m.npy"),
    }


@pytest.fixture(scope="module")
def people(body_config) -> dict[str, torch.Tensor]:
    """True and predicted pose and betas, and the predicted joints by mmhuman3d's neutral SMPL."""
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(NUM_PEOPLE, 24, 3, generator=generator)
    betas = torch.randn(NUM_PEOPLE, 10, generator=generator)
    pred_pose = pose + 0.1 * torch.randn(pose.shape, generator=generator)
    pred_betas = betas + 0.5 * torch.randn(betas.shape, generator=generator)
    smpl = builder.build_body_model({"type": "SMPL", **body_config})
    output = smpl(betas=pred_betas, body_pose=pred_pose[:, 1:].flatten(1), global_orient=pred_pose[:, 0])
    return {
        "pose": pose,
        "betas": betas,
        "pred_pose": pred_pose,
        "pred_betas": pred_betas,
        "joints": output["joints"].detach(),
    }


def reference(folder: Path, name: str, data: HumanData, body_model: dict | None, people: dict) -> dict:
    """What mmhuman3d reports for the predictions on the annotations ``data``."""
    (folder / "preprocessed_datasets").mkdir()
    data.dump(str(folder / "preprocessed_datasets" / "test.npz"))
    dataset = datasets.HumanImageDataset(
        str(folder), [], name, body_model=body_model, ann_file="test.npz", test_mode=True
    )
    output = {
        "keypoints_3d": people["joints"].numpy(),
        "smpl_pose": roma.rotvec_to_rotmat(people["pred_pose"]).numpy(),
        "smpl_beta": people["pred_betas"].numpy(),
        "image_idx": np.arange(NUM_PEOPLE),
    }
    metrics = ["mpjpe", "pa-mpjpe"] + (["pve"] if body_model else [])
    return dataset.evaluate([output], str(folder), metric=metrics)


def image_paths() -> list[str]:
    return [f"{index}.jpg" for index in range(NUM_PEOPLE)]


def evaluate(samples: list[BaseDataElement], **options) -> dict:
    evaluator = Evaluator([MeshMetric(statistics=("chosen",), **options)])
    evaluator.process(data_samples=samples)
    return evaluator.evaluate(len(samples))


def test_3dpw_protocol(people, body_config, smpl_folder, tmp_path):
    genders = ["male", "female", "male", "female"]
    data = HumanData()
    data["image_path"] = image_paths()
    data["smpl"] = {
        "body_pose": people["pose"][:, 1:].numpy(),
        "global_orient": people["pose"][:, 0].numpy(),
        "betas": people["betas"].numpy(),
    }
    data["meta"] = {"gender": np.array([gender[0] for gender in genders])}
    expected = reference(tmp_path, "pw3d", data, {"type": "GenderedSMPL", **body_config}, people)
    samples = []
    for index, gender in enumerate(genders):
        sample = BaseDataElement(metainfo={"sample_idx": index, "gender": gender})
        sample.gt_body = BaseDataElement(
            smpl_global_orient=people["pose"][index, 0],
            smpl_body_pose=people["pose"][index, 1:],
            smpl_betas=people["betas"][index],
            has_smpl=torch.tensor(1),
        )
        sample.pred_bodies = BaseDataElement(pose=people["pred_pose"][[index]], betas=people["pred_betas"][[index]])
        samples.append(sample)
    report = evaluate(samples, body={"type": "mion.SMPLBody", "model_path": str(smpl_folder)})
    for error in ("MPJPE", "PA-MPJPE", "PVE"):
        assert report[f"body/{error}/chosen"] == pytest.approx(expected[error], abs=1e-3)  # two float32 skinnings
    # the predicted neutral surface is another thing than the prediction on the body of the true gender
    assert abs(report["body/VERTEX-L2/chosen"] - expected["PVE"]) > 1


def test_h36m_protocol(people, tmp_path):
    truth = np.random.default_rng(0).normal(size=(NUM_PEOPLE, 17, 4))
    truth[..., 3] = 1
    data = HumanData()
    data["image_path"] = image_paths()
    keypoints, data["keypoints3d_mask"] = conventions.convert_kps(truth, "h36m", "human_data")
    data["keypoints3d"] = keypoints
    expected = reference(tmp_path, "h36m", data, None, people)
    samples = []
    for index in range(NUM_PEOPLE):
        sample = BaseDataElement(metainfo={"sample_idx": index, "keypoints3d_convention": "h36m"})
        sample.gt_body = BaseDataElement(
            keypoints3d=torch.from_numpy(truth[index]), has_keypoints3d=torch.tensor(1), has_smpl=torch.tensor(0)
        )
        sample.pred_bodies = BaseDataElement(keypoints3d=people["joints"][[index]])
        samples.append(sample)
    report = evaluate(samples, errors=("MPJPE", "PA-MPJPE"), ground_truth="keypoints3d")
    for error in ("MPJPE", "PA-MPJPE"):
        assert report[f"body/{error}/chosen"] == pytest.approx(expected[error], abs=1e-4)
