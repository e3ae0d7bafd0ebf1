"""From annotation file to numbers: HumanDataset, its pipeline and MeshMetric under mmengine's Runner."""

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from PIL import Image

import mion_plugin.evaluation  # noqa: F401  registers the metric
from mion_plugin.datasets import save_human_data
from mion_plugin.registry import MODELS

NUM_PEOPLE = 5


@MODELS.register_module()
class TrueThenWrongBodies(BaseModel):
    """Two paths: the true body, and one turned about; the candidates are two wrong ones."""

    def forward(self, inputs, data_samples, mode="tensor"):
        assert mode == "predict"
        assert torch.stack(inputs).shape[1:] == (3, 64, 64)
        for sample in data_samples:
            gt = sample.gt_body
            pose = torch.cat([gt.smpl_global_orient[None], gt.smpl_body_pose])
            wrong = pose.clone()
            wrong[1:] = 0
            betas = gt.smpl_betas.expand(2, 10)
            sample.pred_bodies = BaseDataElement(
                pose=torch.stack([wrong, pose]), betas=betas, scores=torch.tensor([2.0, 1.0])
            )
            sample.candidates = BaseDataElement(pose=torch.stack([wrong, wrong]))
        return data_samples


@pytest.fixture
def runner(tmp_path) -> Runner:
    rng = np.random.default_rng(0)
    names = [f"{index}.png" for index in range(NUM_PEOPLE)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(tmp_path / name)
    save_human_data(
        tmp_path / "test.npz",
        {
            "image_path": names,
            "bbox_xywh": np.tile([10.0, 10, 60, 60, 1], (NUM_PEOPLE, 1)),
            "smpl": {
                "body_pose": rng.normal(scale=0.3, size=(NUM_PEOPLE, 23, 3)),
                "global_orient": rng.normal(size=(NUM_PEOPLE, 3)),
                "betas": rng.normal(size=(NUM_PEOPLE, 10)),
            },
        },
    )
    dataset = {
        "type": "mion.HumanDataset",
        "ann_file": "test.npz",
        "data_root": str(tmp_path),
        "test_mode": True,
        "pipeline": [
            {"type": "mion.LoadImageFromFile"},
            {"type": "mion.MeshAffine", "img_res": 64},
            {"type": "mion.Normalize"},
            {"type": "mion.PackBodyInputs"},
        ],
    }
    return Runner(
        model={"type": "mion.TrueThenWrongBodies"},
        work_dir=str(tmp_path / "work"),
        val_dataloader={
            "dataset": dataset,
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
        },
        val_cfg={"type": "ValLoop"},
        val_evaluator={"type": "mion.MeshMetric"},
        log_level="ERROR",
        experiment_name=tmp_path.name,
    )


def test_the_chosen_path_is_right_and_the_others_are_not(runner):
    report = runner.val()
    for error in ("MPJPE", "PA-MPJPE", "PVE", "VERTEX-L2", "PVE-PELVIS", "SHAPE-L2"):
        assert report[f"body/{error}/chosen"] == pytest.approx(0, abs=1e-3)
        assert report[f"body/{error}/oracle"] == pytest.approx(0, abs=1e-3)
        if error != "SHAPE-L2":
            assert report[f"body/{error}/path_1"] > 20
        assert report[f"body/candidates/{error}/oracle"] > 1
    assert report["body/SHAPE-L2/path_1"] == 0
