"""Running MION as mmhuman3d's tools run a method: its configs cut down in size, its own API."""

import json
from pathlib import Path

import torch
from mmcv import Config
from mmcv.runner import load_checkpoint
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from mmhuman3d.apis import set_random_seed, single_gpu_test, train_model
from mmhuman3d.data.datasets import build_dataloader, build_dataset
from mmhuman3d.models.architectures.builder import build_architecture

from mion_plugin.datasets import HumanDataset
from mion_plugin.evaluation import MeshMetric

CONFIGS = Path(__file__).parents[2] / "configs" / "mmhuman3d"
SMALL_TRANSFORMER = {"width": 24, "num_heads": 2, "num_decoder_layers": 1, "feedforward": 32}


def small_config(name: str = "mion_r50_56x56_mixed", **options) -> Config:
    """A config of the folder with 7 x 7 tokens, two candidates, two samples a batch, one epoch."""
    cfg = Config.fromfile(str(CONFIGS / f"{name}.py"))
    small = {f"model.head.network.transformer.{key}": value for key, value in SMALL_TRANSFORMER.items()}
    small |= {"model.selector.num_candidates": 2, "model.head.train_candidates": 1}
    small |= {"data.samples_per_gpu": 2, "data.workers_per_gpu": 1, "runner.max_epochs": 1, "log_config.interval": 1}
    small |= {"evaluation.interval": 1}
    if cfg.model.get("neck"):
        small |= {"model.neck.channels": 24, "model.head.network.transformer.num_encoder_layers": 1}
    if "tiny" not in name:
        small |= {"model.backbone.depth": 18, "model.backbone.init_cfg": None, "model.neck.in_channels": 512}
        small |= {"model.neck.num_layers": 0, "model.head.network.renderer.size": 7}
    if cfg.model.get("cen"):
        small |= {"model.cen_checkpoint": None}
        if cfg.model.cen.type == "CEN":  # the depth reader is small as it is
            small |= {"model.cen.backbone": {"type": "mion.TorchvisionResNet", "depth": 18, "num_stages": 1}}
    cfg.merge_from_dict({**small, **options})
    return cfg


def build_model(cfg: Config, seed: int = 0) -> torch.nn.Module:
    """The model of a config with random weights, and paths that differ: the heads' last layers start at zero."""
    torch.manual_seed(seed)
    model = build_architecture(cfg.model)
    head = model.refiner.network.head
    for mlp in (head.rotation_mlp, head.camera_mlp, head.betas_mlp):
        torch.nn.init.normal_(mlp[-1].weight, std=0.02)
    return model


def train(cfg: Config, work_dir: Path, seed: int = 0) -> list[dict]:
    """What ``tools/train.py --device cpu --seed`` does; returns the lines of the log."""
    cfg.work_dir, cfg.seed, cfg.gpu_ids = str(work_dir), seed, range(1)
    set_random_seed(seed)
    model = build_architecture(cfg.model)
    model.init_weights()
    train_model(
        model, [build_dataset(cfg.data.train)], cfg, validate=True, timestamp="log", device="cpu", meta={"seed": seed}
    )
    lines = (work_dir / "log.log.json").read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def build_test_loader(cfg: Config, batch: int = 2, distributed: bool = False):
    """Data set and loader of ``tools/test.py``."""
    cfg.data.test.test_mode = True
    dataset = build_dataset(cfg.data.test)
    return dataset, build_dataloader(dataset, batch, 1, dist=distributed, shuffle=False, round_up=False)


def predict(cfg: Config, checkpoint: Path | None = None, model: torch.nn.Module | None = None):
    """What ``tools/test.py --device cpu`` does before it evaluates; returns data set and outputs."""
    dataset, loader = build_test_loader(cfg)
    model = model or build_architecture(cfg.model)
    if checkpoint is not None:
        load_checkpoint(model, str(checkpoint), map_location="cpu")
    return dataset, single_gpu_test(model, loader)


def mesh_metric(cfg: Config, outputs: list[dict], ground_truth: str, body: str | None) -> dict[str, float]:
    """``mion.MeshMetric`` on the same predictions, and the same file as this package reads it."""
    test = cfg.data.test
    truth = HumanDataset(
        ann_file=test.ann_file,
        data_prefix=test.data_prefix,
        dataset_name=test.dataset_name,
        keypoints2d_source="detected",
        test_mode=True,
        pipeline=[{"type": "mion.LoadImageFromFile"}, {"type": "mion.MeshAffine"}, {"type": "mion.PackBodyInputs"}],
    )
    samples = []
    for output in outputs:
        for row, index in enumerate(output["image_idx"].reshape(-1).tolist()):
            sample = truth[index]["data_samples"]
            pose, betas = (torch.from_numpy(output[key][row : row + 1]) for key in ("smpl_pose", "smpl_beta"))
            sample.pred_bodies = BaseDataElement(pose=pose, betas=betas)
            samples.append(sample)
    errors = ("MPJPE", "PA-MPJPE") + (("PVE",) if ground_truth == "smpl" else ())
    metric = MeshMetric(
        errors=errors,
        statistics=("chosen",),
        ground_truth=ground_truth,
        body={"type": "mion.SMPLBody", "model_path": body},
    )
    evaluator = Evaluator([metric])
    evaluator.process(data_samples=samples)
    report = evaluator.evaluate(len(samples))
    return {error: report[f"body/{error}/chosen"] for error in errors}
