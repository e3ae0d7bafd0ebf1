"""The baselines' configs train and test: the real ones on a miniature of the real data, sizes cut down."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import train as train_tool
from mmengine.config import Config
from support.real_layout import NUM_PEOPLE, make_annotations, write_photograph

from mion_plugin.body import SMPLBody
from mion_plugin.body.export import export_body
from mion_plugin.registry import DATASETS, MODELS
from mion_plugin.shipped import packaged_file
from mion_plugin.synthesis.writing import SetSettings, write_set
from mion_plugin.weights import load_weights

pytest.importorskip("mmhuman3d.models", reason="the baselines are mmhuman3d's")
# `import test` would be Python's own package of that name
_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)

CONFIGS = Path(train_tool.__file__).parents[1] / "configs" / "baselines"
REAL = sorted(path.stem for path in CONFIGS.glob("*_mixed.py"))
TINY = sorted(path.stem for path in CONFIGS.glob("*_tiny_*.py"))
# Annotation files of the configs -> the set of the miniature that stands for them.
FILES = {
    "h36m_mosh_train.npz": "h36m",
    "pw3d_test.npz": "pw3d",
    "pw3d_train.npz": "pw3d",
    **{f"{prefix}mpi_inf_3dhp_train.npz": "mpi_inf_3dhp" for prefix in ("", "spin_")},
    **{f"{prefix}lsp_train.npz": "lsp" for prefix in ("", "spin_")},
    **dict.fromkeys(("lspet_train.npz", "spin_lspet_train.npz", "eft_lspet.npz"), "lspet"),
    **dict.fromkeys(("mpii_train.npz", "spin_mpii_train.npz", "cliff_mpii_train.npz", "eft_mpii.npz"), "mpii"),
    **dict.fromkeys(
        ("coco_2014_train.npz", "spin_coco_2014_train.npz", "cliff_coco_train.npz", "eft_coco_all.npz"), "coco"
    ),
}


@pytest.fixture(scope="module")
def real_files(tmp_path_factory, mmhuman3d_root):
    """``data`` as the configs name it."""
    data = tmp_path_factory.mktemp("real") / "data"
    body = SMPLBody()
    for gender in ("neutral", "male", "female"):
        export_body(SMPLBody(gender=gender).arrays, data / "body_models" / "smpl", gender)
    source = mmhuman3d_root / "data"
    (data / "body_models" / "smpl_mean_params.npz").symlink_to(source / "smpl_mean_params.npz")
    (data / "gmm_08.pkl").symlink_to(source / "gmm_08.pkl")
    (data / "static_fits").symlink_to(source / "static_fits")
    (data / "preprocessed_datasets").mkdir()
    for name, seed in (("synthetic_112", 0), ("synthetic_112_more", 1000)):
        settings = SetSettings(num_images=4, image_size=112, detected_noise=1.5, seed=seed)
        write_set(settings, data / name, workers=0)
    rng = np.random.default_rng(0)
    written = {}
    for file, name in FILES.items():
        if name not in written:
            written[name] = make_annotations(name, body, seed=len(written))
            for path in written[name]["image_path"]:
                write_photograph(data / "datasets" / name / path, rng)
        np.savez_compressed(data / "preprocessed_datasets" / file, **written[name])
    return data.parent


def cut_down(cfg: Config) -> dict:
    """Options that make a config small: the first stage of a ResNet-18, two samples a batch, four in an epoch."""
    options = {
        "model.architecture.backbone": dict(
            type="ResNet", depth=18, num_stages=1, strides=(1,), dilations=(1,), out_indices=[0]
        ),
        "train_cfg.max_epochs": 1,
        "train_cfg.val_interval": 1,
        "load_from": None,
    }
    if cfg.model.architecture.head.type == "PareHead":
        # the silhouettes of its loss take half a minute an image on a CPU
        options |= {"model.architecture.loss_segm_mask": None, "model.architecture.head.backbone": "resnet18"}
        options |= {"model.architecture.head.num_input_features": 64, "model.architecture.head.num_deconv_layers": 1}
        options |= {f"model.architecture.head.num_deconv_{part}": [4] for part in ("filters", "kernels")}
    else:
        options["model.architecture.head.feat_dim"] = 64
    if "registration" in cfg.model.architecture:
        options |= {f"model.architecture.registration.registrant.stages.{stage}.num_iter": 1 for stage in (0, 1)}
    if cfg.train_dataloader.dataset.type == "mion.MixedDataset":
        options["train_dataloader.dataset.num_samples"] = 4
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        options |= {f"{loader}.batch_size": 2, f"{loader}.num_workers": 0, f"{loader}.persistent_workers": False}
        if cfg[loader].dataset.type == "mion.SURREALSynthesisDataset":
            options[f"{loader}.dataset.num_samples"] = 4
    return options


def cut_down_file(name: str, folder: Path) -> str:
    """The cut-down config as a file; backbones are replaced whole, which no command-line option can."""
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    options = cut_down(cfg)
    cfg.model.architecture.backbone = options.pop("model.architecture.backbone")
    cfg.merge_from_dict(options)
    path = folder / f"{name}.py"  # mmengine tells runs apart by this name and the second in which they start
    cfg.dump(path)
    return str(path)


# with its backbone cut down, pare_hrnet-w32_mixed would be pare_r50_mixed
@pytest.mark.parametrize("name", [name for name in (*REAL, *TINY) if "hrnet" not in name])
def test_it_trains_and_tests(name, real_files, monkeypatch, tmp_path):
    monkeypatch.chdir(real_files)
    config = cut_down_file(name, tmp_path)
    assert train_tool.main([config, "--work-dir", str(tmp_path)]) == 0
    log = [json.loads(line) for line in next(tmp_path.rglob("scalars.json")).read_text().splitlines()]
    assert all(math.isfinite(value) for entry in log for value in entry.values())
    assert any("keypoints2d_loss" in entry for entry in log)
    assert any("body/MPJPE/chosen" in entry for entry in log)  # validated
    out = tmp_path / "metrics.json"
    assert test_tool.main([config, str(tmp_path / "epoch_1.pth"), "--work-dir", str(tmp_path), "--out", str(out)]) == 0
    metrics = json.loads(out.read_text())
    assert metrics["body/num_samples"] == (4 if name in TINY else NUM_PEOPLE)
    assert metrics["body/MPJPE/chosen"] == metrics["body/MPJPE/oracle"] > 0  # one path


@pytest.mark.parametrize(
    ("name", "weights"),  # of the backbone; ResNet-50 is without its classifier
    [("hmr_r50_mixed", 23_508_032), ("pare_hrnet-w32_mixed", 31_409_752)],
)
def test_full_size(name, weights, real_files, monkeypatch):
    """Built once as it is, but for the weights that would be downloaded."""
    monkeypatch.chdir(real_files)
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    cfg.model.architecture.backbone.init_cfg = None
    method = MODELS.build(cfg.model).eval()
    assert sum(parameter.numel() for parameter in method.architecture.backbone.parameters()) == weights
    with torch.no_grad():
        assert method(torch.zeros(1, 3, 224, 224))["pred_pose"].shape == (1, 24, 3, 3)


@pytest.mark.parametrize("name", REAL)
def test_the_data_have_the_joints_of_the_losses(name, real_files, monkeypatch):
    monkeypatch.chdir(real_files)
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    mixed = DATASETS.build(cfg.train_dataloader.dataset)
    assert {dataset.metainfo["keypoints2d_convention"] for dataset in mixed.datasets} == {
        cfg.model.architecture.convention
    }
    assert sum(mixed.probabilities) == pytest.approx(1.0)
    assert mixed.probabilities == pytest.approx(cfg.train_dataloader.dataset.ratios)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_it_says_how_to_launch_it(path):
    opening = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert f"configs/baselines/{path.name}" in opening
    assert "tools/" in opening


def test_the_tiny_methods_start_and_end_alike():
    """The same pretrained backbone as MION's reader, the same pictures, validation people and schedule.

    The reader's two trainings have a set each, which the methods mix; SMPLify in the loop is for a part of the first.
    """
    readers = [
        Config.fromfile(CONFIGS.parent / "mion" / f"reader_tiny_synthetic{more}.py").train_dataloader
        for more in ("", "_more")
    ]
    backbone = Config.fromfile(CONFIGS.parent / "mion" / "reader_tiny_synthetic.py").model.cen.reader.backbone
    configs = [Config.fromfile(CONFIGS / f"{name}.py") for name in TINY]
    assert len(configs) == 4
    for cfg in configs:
        own = cfg.model.architecture.backbone
        assert (own.model_name, own.weights) == (backbone.model_name, backbone.weights)
        dataset = cfg.train_dataloader.dataset
        sets = dataset.datasets if dataset.type == "mion.MixedDataset" else [dataset]
        assert len(sets) == 2 or dataset.indices
        for theirs, own in zip(readers, sets, strict=False):
            assert cfg.train_dataloader.batch_size == theirs.batch_size
            assert own.data_root == theirs.dataset.data_root
            assert [step for step in own.pipeline if step.type != "mion.HideLabels"] == theirs.dataset.pipeline
        for name in ("val_dataloader", "val_evaluator", "custom_hooks", "param_scheduler", "train_cfg"):
            assert cfg[name] == configs[0][name]


def test_the_rate_of_the_tiny_methods_falls_to_nothing_over_the_whole_training():
    cfg = Config.fromfile(CONFIGS / "hmr_tiny_synthetic.py")
    falling = next(each for each in cfg.param_scheduler if each.type == "CosineAnnealingLR")
    assert falling.T_max == cfg.train_cfg.max_epochs
    assert cfg.default_hooks.checkpoint.save_best == "body/MPJPE/chosen"


def test_the_tiny_hmr_has_imagenets_weights_up_to_stride_32(real_files, monkeypatch):
    monkeypatch.chdir(real_files)
    method = MODELS.build(Config.fromfile(CONFIGS / "hmr_tiny_synthetic.py").model).eval()
    backbone = method.architecture.backbone
    assert backbone.strides == (32,)
    assert method(torch.zeros(1, 3, 112, 112))["pred_pose"].shape == (1, 24, 3, 3)
    pretrained = MODELS.build(
        Config.fromfile(CONFIGS.parent / "mion" / "reader_tiny_synthetic.py").model.cen.reader.backbone
    )
    own = backbone.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in pretrained.state_dict().items())


def test_the_tiny_hmr_starts_from_what_mions_reader_has_learned(monkeypatch, tmp_path):
    """Up to stride 16 the shipped reader's weights; ImageNet's beyond. Found outside of the clone, too."""
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(CONFIGS / "hmr_tiny_synthetic.py").model.architecture.backbone
    imagenet = MODELS.build({**cfg, "init_cfg": None})
    backbone = MODELS.build(cfg)
    backbone.init_weights()
    reader = load_weights(packaged_file(Path("mion_plugin/models/mion_tiny/cen.pth")), part="reader.backbone")
    assert set(reader) < set(backbone.state_dict())
    for name, value in backbone.state_dict().items():
        torch.testing.assert_close(value, reader.get(name, imagenet.state_dict()[name]).to(value.dtype))
