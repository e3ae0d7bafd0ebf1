"""Photographs of synthetic people with their keypoints, and a small inferencer with random weights."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_mion import make_body_pool, refiner_config

from mion_plugin.body import SMPLBody
from mion_plugin.geometry.keypoints import convert_keypoints
from mion_plugin.inference import MIONInferencer
from mion_plugin.synthesis.synthesizer import CONVENTION
from mion_plugin.synthesis.writing import SetSettings

SIZE = 32  # of crops
COUNT, SIDE = 5, 112  # pictures


@dataclass(frozen=True)
class Pictures:
    """A folder of pictures, some in subfolders; one cannot be read, one shows nobody, one has a person too many.

    Attributes:
        folder: The pictures.
        keypoints: COCO file beside it.
        names: In order.
    """

    folder: Path
    keypoints: Path
    names: list[str]


@pytest.fixture(scope="session")
def people():
    """Pictures (H, W, 3) and COCO keypoints (17, 3) of synthetic people."""
    synthesizer = SetSettings(COUNT, image_size=SIDE).build()
    samples = [synthesizer.sample(number) for number in range(COUNT)]
    return [(one["image"], convert_keypoints(one["keypoints2d"], CONVENTION, "coco")[0]) for one in samples]


def annotation(number, image_id, keypoints2d):
    seen = keypoints2d[:, 2] > 0
    values = np.column_stack([np.where(seen[:, None], keypoints2d[:, :2] - 0.5, 0), 2 * seen])
    return {"id": number, "image_id": image_id, "keypoints": values.ravel().tolist(), "bbox": [0, 0, SIDE, SIDE]}


@pytest.fixture(scope="session")
def pictures(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    names = [*(f"{'sub/' if number > 2 else ''}{number}.png" for number in range(COUNT)), "broken.jpg", "empty.png"]
    (folder / "images" / "sub").mkdir(parents=True)
    annotations = []
    for number, (image, keypoints2d) in enumerate(people):
        Image.fromarray(image).save(folder / "images" / names[number])
        annotations.append(annotation(len(annotations), number, keypoints2d))
    second = people[1][1] * [0.5, 0.5, 1] + [20, 10, 0]
    lost = np.where(np.arange(17)[:, None] < 2, people[0][1], 0)  # only two keypoints
    lost[:2, 2] = 1
    annotations += [annotation(10, 1, second), annotation(11, 1, lost), annotation(12, 5, second)]
    (folder / "images" / "broken.jpg").write_bytes(b"no picture")
    Image.fromarray(people[0][0]).save(folder / "images" / "empty.png")
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    keypoints = folder / "keypoints.json"
    keypoints.write_text(json.dumps({"images": images, "annotations": annotations}))
    return Pictures(folder / "images", keypoints, sorted(names))


@pytest.fixture(scope="session")
def body():
    return SMPLBody()


@pytest.fixture(scope="session")
def inferencer(body):
    """Three paths on crops of 32 px."""
    torch.manual_seed(0)
    camera = {"image_size": SIZE, "focal_length": 5000.0 * SIZE / 224}
    selector = {"type": "mion.CandidateSelector", "pool": make_body_pool(body), "num_candidates": 3}
    stages = {"selector": selector, "refiner": refiner_config(body, **camera), "cen": {"type": "mion.TinyCEN"}}
    return MIONInferencer({"model": {"type": "mion.MION", **stages}}, device="cpu")
