"""What the shipped weights give, stage by stage, as a small file that later versions are compared with.

    python tests/golden/make_golden.py tests/golden/shipped.npz

Inputs: the people of the demo photograph with their COCO keypoints, and the first synthetic test people (seed 2) of
``configs/mion/mion_tiny_synthetic.py``. Only what every version has is used: configs, data sets, the fields of data
samples. The fit onto the keypoints, which has no weights, is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import BaseDataElement

from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.files.npz import write_npz
from mion_plugin.inference import MIONInferencer
from mion_plugin.models import load_model_config
from mion_plugin.registry import DATASETS, MODELS

CONFIG = Path(__file__).parents[2] / "configs" / "mion" / "mion_tiny_synthetic.py"
NUM_SYNTHETIC = 16
WITHOUT_FIT = {"fit": None, "selection": "cen+reprojection"}  # as the weights were first shipped
STAGES = {
    "candidates": ("pose", "transl", "fit_loss"),
    "pred_bodies": (
        "pose",
        "betas",
        "transl",
        "fit_loss",
        "keypoints3d",
        "scores",
        "combined_scores",
        "selection_scores",
        "selected",
    ),
}


def photograph_samples() -> list[BaseDataElement]:
    """The packaged model on the demo photograph, all of whose people are known."""
    cfg = load_model_config()
    cfg.model.update(WITHOUT_FIT)
    inferencer = MIONInferencer(cfg, device="cpu")
    people = inferencer(str(PHOTO), keypoints2d=str(KEYPOINTS), batch_size=8, return_datasamples=True)
    return people["predictions"][0]


@torch.no_grad()
def synthetic_samples() -> list[BaseDataElement]:
    """The test config's model on its first test people, one batch."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.update(WITHOUT_FIT)
    for option in ("refiner_checkpoint", "cen_checkpoint"):
        cfg.model[option] = str(CONFIG.parents[2] / cfg.model[option])
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    model = MODELS.build(cfg.model).eval()
    return model.test_step(pseudo_collate([dataset[index] for index in range(NUM_SYNTHETIC)]))


def collect() -> dict[str, np.ndarray]:
    """``SOURCE/STAGE/FIELD`` -> values of all samples, float32 or int64."""
    arrays = {}
    for source, samples in (("photograph", photograph_samples()), ("synthetic", synthetic_samples())):
        for stage, fields in STAGES.items():
            for field in fields:
                arrays[f"{source}/{stage}/{field}"] = np.stack([sample.get(stage).get(field) for sample in samples])
    return arrays


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    write_npz(parser.parse_args().out, collect())


if __name__ == "__main__":
    main()
