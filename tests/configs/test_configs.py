"""Every config builds and runs: on a miniature of the real data, and with sizes, never the structure, cut down."""

import importlib.util
import json
import math
from pathlib import Path
from typing import ClassVar

import pytest
import timm
import torch
import train as train_tool
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from support.real_layout import NUM_PEOPLE, SETS, write_real_layout

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.refinement.losses import keypoints3d_difference
from mion_plugin.registry import DATASETS, MODELS
from mion_plugin.samples import collect_targets
from mion_plugin.synthesis.writing import SetSettings, write_set

# `import test` would be Python's own package of that name
_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)

CONFIGS = Path(train_tool.__file__).parents[1] / "configs"
PAPER = CONFIGS / "mion" / "mrt_r50_56x56_mixed.py"
OTHER_TESTS = {"_base_", "mmhuman3d", "mmpose", "baselines"}  # tests/hosts, tests/mmcv2 and tests/baselines
RUNNABLE = sorted(path for path in CONFIGS.rglob("*.py") if not OTHER_TESTS & set(path.parts))
WITHOUT_BODIES = {"reader_tiny_synthetic", "reader_tiny_synthetic_more"}  # tests/consistency/reading/test_training.py
# at the paper's size, with the files that the user provides
PAPER_SIZE = [path for path in RUNNABLE if not {"tiny", "stand-in"} & set(path.stem.split("_"))]
CEN_BACKBONE = {"type": "mion.TorchvisionResNet", "depth": 18, "num_stages": 1}
OTHER_WEIGHTS = {"mrt_vit-small-dino_56x56_mixed", "cen_vit-small-dino_224"}  # of a network that another config trains
TIMM = "mion.TimmBackbone"
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


@pytest.fixture(scope="module")
def real_layout(tmp_path_factory):
    root = tmp_path_factory.mktemp("real")
    write_real_layout(root)
    settings = SetSettings(num_images=4, image_size=112, detected_noise=1.5)
    write_set(settings, root / "data" / "synthetic_112_more", workers=0)
    return root


@pytest.fixture(autouse=True)
def in_its_folder(real_layout, monkeypatch):
    """The configs name their data relative to the working directory."""
    monkeypatch.chdir(real_layout)


def cut_down(cfg: Config) -> list[str]:
    """Options that make a config small: few channels and layers, two samples a batch, four in an epoch."""
    options = {}
    for part in ("network", "refiner"):
        if cfg.model.get(part):
            options |= {f"model.{part}.{key}": value for key, value in cut_down_network(cfg.model[part]).items()}
            if cfg.model.type != "mion.ConsistencyModel":  # which wants num_bodies of them
                options["model.selector.num_candidates"] = 2
    if "train_candidates" in cfg.model:
        options["model.train_candidates"] = min(cfg.model.train_candidates, 2)
    if cfg.model.type == "mion.ConsistencyModel" and cfg.model.cen.get("backbone", {}).get("type") == TIMM:
        options |= {f"model.cen.backbone.{key}": value for key, value in cut_down_timm(cfg.model.cen.backbone).items()}
    if cfg.model.type == "mion.MION" and cfg.model.cen.type == "mion.CEN":  # the depth reader is small as it is
        options |= {f"model.cen.backbone.{key}": value for key, value in CEN_BACKBONE.items()}
    for loader in LOADERS:
        if cfg.get(loader):
            options |= {
                f"{loader}.batch_size": 2,
                f"{loader}.num_workers": 0,
                f"{loader}.persistent_workers": False,
            }
            if cfg[loader].dataset.type == "mion.CandidatePairDataset":
                options[f"{loader}.dataset.dataset.num_samples"] = 4
            elif cfg[loader].dataset.type == "mion.MixedDataset":
                options[f"{loader}.dataset.num_samples"] = 4
            elif cfg[loader].dataset.type == "mion.LiftingDataset":
                options |= {f"{loader}.batch_size": 1, f"{loader}.dataset.num_batches": 2}
                options[f"{loader}.dataset.bodies_per_batch"] = 4
            elif cfg[loader].dataset.type != "mion.HumanDataset":
                options[f"{loader}.dataset.num_samples"] = 4
    if cfg.get("train_cfg"):
        options |= {"train_cfg.max_epochs": 1, "train_cfg.val_interval": 1}
    if "ema" in cfg.default_hooks:
        options["default_hooks.ema.begin_iter"] = 0
    return ["--cfg-options", *(f"{key}={value}" for key, value in options.items())]


def cut_down_network(model: ConfigDict) -> dict:
    options = {
        "transformer.width": 24,
        "transformer.num_heads": 2,
        "transformer.num_decoder_layers": 1,
        "transformer.feedforward": 32,
    }
    if model.get("queries", {}).get("lifting"):
        options |= {"queries.lifting.width": 32, "queries.lifting.depth": 1}
    if model.get("backbone") is None:
        return options
    options |= {"transformer.num_encoder_layers": 1, "neck.channels": 24}
    if model.backbone.type == TIMM:
        return options | {f"backbone.{key}": value for key, value in cut_down_timm(model.backbone).items()}
    return {
        **options,
        "backbone.depth": 18,
        "backbone.weights": None,
        "neck.in_channels": 64 << (model.backbone.get("num_stages", 4) - 1),
    }


def cut_down_timm(backbone: ConfigDict) -> dict:
    """One block of a transformer; timm's smallest HRNet, whose maps have the channels of all of its HRNets.

    EfficientNet-Lite0 is small as it is.
    """
    if backbone.model_name == "tf_efficientnet_lite0":
        return {}
    smaller = {"depth": 1} if backbone.model_name.startswith("vit") else {"model_name": "hrnet_w18_small"}
    return {**smaller, "weights": None}


def write_weights(model: ConfigDict, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": MODELS.build(model).state_dict()}, path)


@pytest.mark.parametrize(
    "path", [path for path in RUNNABLE if path.stem not in WITHOUT_BODIES | OTHER_WEIGHTS], ids=lambda path: path.stem
)
def test_it_trains_and_tests(path, tmp_path):
    cfg = Config.fromfile(path)
    options = ["--work-dir", str(tmp_path), *cut_down(cfg)]
    checkpoint = tmp_path / "epoch_1.pth"
    cfg.merge_from_dict(train_tool.parse_args([str(path), *options]).cfg_options)
    for part in ("refiner", "cen"):  # trained before
        if f"{part}_checkpoint" in cfg.model:
            write_weights(cfg.model[part], Path(cfg.model[f"{part}_checkpoint"]))
    if cfg.get("load_from"):
        write_weights(cfg.model, Path(cfg.load_from))
    if cfg.get("train_dataloader"):
        assert train_tool.main([str(path), *options]) == 0
        log = [json.loads(line) for line in next(tmp_path.rglob("scalars.json")).read_text().splitlines()]
        assert all(math.isfinite(value) for entry in log for value in entry.values())
        assert any("body/MPJPE/oracle" in entry for entry in log)  # validated
        assert ("ema" in cfg.default_hooks) == ("ema_state_dict" in torch.load(checkpoint, weights_only=True))
    else:
        write_weights(cfg.model, checkpoint)
    assert test_tool.main([str(path), str(checkpoint), *options, "--out", str(tmp_path / "metrics.json")]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["body/num_samples"] == (NUM_PEOPLE if cfg.test_dataloader.dataset.type == "mion.HumanDataset" else 4)
    assert metrics["body/num_invalid"] == 0
    assert all(math.isfinite(value) for value in metrics.values())
    assert 0 < metrics["body/PA-MPJPE/oracle"] <= metrics["body/PA-MPJPE/mean"] * (1 + 1e-9)
    if "sine-pe" in path.stem:  # nothing tells the network which candidate it refines
        assert metrics["body/MPJPE/oracle"] == pytest.approx(metrics["body/MPJPE/mean"], rel=1e-5)


def test_the_three_stages_need_no_checkpoint_and_report_every_way_to_choose(tmp_path):
    path = CONFIGS / "mion" / "mion_tiny_synthetic.py"
    cfg = Config.fromfile(path)
    options = ["--work-dir", str(tmp_path), "--out", str(tmp_path / "metrics.json"), *cut_down(cfg)]
    cfg.merge_from_dict(test_tool.parse_args([str(path), *options]).cfg_options)
    for part in ("refiner", "cen"):
        write_weights(cfg.model[part], Path(cfg.model[f"{part}_checkpoint"]))
    assert test_tool.main([str(path), *options]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    for error in ("MPJPE", "PA-MPJPE"):
        for name in ("chosen", "first", "cen", "reprojection", "cen+reprojection", "fit", "random", "mean", "path_2"):
            assert metrics[f"body/{error}/{name}"] >= metrics[f"body/{error}/oracle"]
        assert metrics[f"body/{error}/chosen"] == metrics[f"body/{error}/cen+reprojection"]
    assert metrics["body/num_samples"] == 4


@pytest.mark.parametrize(
    ("name", "options"), [("mrt", []), ("cen", []), ("mion", ["--cfg-options", "model.cen_checkpoint=None"])]
)
def test_no_model_is_tested_with_random_weights(name, options, capsys, tmp_path):
    config = str(CONFIGS / "mion" / f"{name}_tiny_synthetic.py")
    assert test_tool.main([config, "--work-dir", str(tmp_path), *options]) == 2
    message = f"CHECKPOINT is missing, and the model of {config} does not name the weights of its parts"
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.stem)
def test_it_says_how_to_launch_it(path):
    opening = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert f"configs/{path.relative_to(CONFIGS)}" in opening
    assert "tools/" in opening


def test_protocol_1_is_another_file():
    cfg = Config.fromfile(CONFIGS / "mion" / "mrt_r50_56x56_h36m-test.py")
    paths = set()
    for protocol in (1, 2):
        cfg.merge_from_dict({"test_dataloader.dataset.ann_file": f"h36m_valid_protocol{protocol}.npz"})
        paths.add(DATASETS.build(cfg.test_dataloader.dataset)[0]["data_samples"].image_path)
    assert {Path(path).parts[-3] for path in paths} == {"S9", "S11"}


class TestOneBody:
    """Every part at the paper's size that poses a body, or has a pool, names the licensed one; nothing falls back."""

    BODY: ClassVar = {"type": "mion.SMPLBody", "model_path": "data/body_models/smpl"}
    POOL = "data/amass_pool.npz"
    PLACES: ClassVar = {  # type -> its option
        "mion.RefinementNetwork": "body",
        "mion.CEN": "body",
        "mion.MeshMetric": "body",
        "mion.SelectionMetric": "body",
        "mion.SURREALSynthesisDataset": "body",
        "mion.CandidatePairDataset": "body",
    }

    def parts(self, value):
        """Every dict with a type, but what is told its body by the model around it."""
        if isinstance(value, dict):
            if "type" in value:
                yield value
            inner = {
                key: part for key, part in value.items() if not (value.get("type") == "mion.MION" and key == "cen")
            }
            for part in inner.values():
                yield from self.parts(part)
        elif isinstance(value, list | tuple):
            for part in value:
                yield from self.parts(part)

    @pytest.mark.parametrize("path", PAPER_SIZE, ids=lambda path: path.stem)
    def test_in_all_places(self, path):
        cfg = Config.fromfile(path).to_dict()
        names = ("model", *LOADERS, "val_evaluator", "test_evaluator")
        parts = [part for name in names for part in self.parts(cfg.get(name))]
        bodies = [part.get(self.PLACES[part["type"]]) for part in parts if part["type"] in self.PLACES]
        pools = [part.get("pool") for part in parts if part["type"] == "mion.CandidateSelector"]
        pools += [part.get("poses", {}).get("pool") for part in parts if part["type"] == "mion.SURREALSynthesisDataset"]
        assert len(bodies) >= 2
        assert all(body == self.BODY for body in bodies)
        assert pools
        assert all(pool == self.POOL for pool in pools)

    def test_stage_3_renders_the_body_that_it_scores(self):
        """Built: the licensed body is here another than the stand-in, so a place that falls back would differ."""
        cfg = Config.fromfile(CONFIGS / "mion" / "cen_r34_224.py")
        cfg.train_dataloader.dataset.datasets[0].dataset.num_samples = 2
        pairs, up3d = DATASETS.build(cfg.train_dataloader.dataset).datasets
        cfg.model.cen.backbone.update(CEN_BACKBONE)
        cen = MODELS.build(cfg.model.cen)
        bodies = [cen.body, pairs.synthesizer.body, pairs.dataset.synthesizer.body]
        assert all(body.fingerprint.differences(cen.body.fingerprint) == [] for body in bodies)
        assert cen.body.fingerprint.differences(SMPLBody().fingerprint) == ["template", "faces", "shape space"]
        assert pairs.selector.body_fingerprint.differences(cen.body.fingerprint) == []
        assert up3d[0]["data_samples"].gt_body.has_smpl == 1


class TestThePapersTraining:
    @pytest.fixture
    def cfg(self) -> ConfigDict:
        return Config.fromfile(PAPER)

    def test_batch_of_four_gpus(self, cfg):
        assert 4 * cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 64

    def test_rate_falls_to_a_tenth_after_epoch_20_of_60(self, cfg):
        wrapper = build_optim_wrapper(torch.nn.Linear(1, 1), cfg.optim_wrapper)
        (schedule,) = cfg.param_scheduler
        scheduler = PARAM_SCHEDULERS.build(schedule, default_args={"optimizer": wrapper})
        rates = []
        for _ in range(cfg.train_cfg.max_epochs):
            rates += wrapper.get_lr()["lr"]
            wrapper.step()
            scheduler.step()
        assert rates == pytest.approx([5e-5] * 20 + [5e-6] * 40)

    def test_six_sets_in_spins_proportions(self, cfg):
        mixed = DATASETS.build(cfg.train_dataloader.dataset)
        share = dict(zip([dataset.dataset_name for dataset in mixed.datasets], mixed.probabilities, strict=True))
        assert share == pytest.approx(
            {"h36m": 0.3, "lsp": 0.15, "mpii": 0.15, "lspet": 0.15, "coco": 0.15, "mpi_inf_3dhp": 0.1}
        )

    def test_labels_of_each_set(self, cfg):
        """2D alone for the photographs, 3D joints of the motion capture sets, SMPL of Human3.6M; detected keypoints."""
        mixed = DATASETS.build(cfg.train_dataloader.dataset)
        labels, joints = {}, {}
        for dataset in mixed.datasets:
            info = dataset.get_data_info(0)
            labels[dataset.dataset_name] = tuple(info[f"has_{key}"] for key in ("keypoints2d", "keypoints3d", "smpl"))
            joints[dataset.dataset_name] = int((info["keypoints2d"][:, 2] > 0).sum())
            assert (info["keypoints2d_input"][:, 2] > 0).sum() == 17
        assert labels == {
            "h36m": (1, 1, 1),
            "mpi_inf_3dhp": (1, 1, 0),
            **dict.fromkeys(("lsp", "lspet", "mpii", "coco"), (1, 0, 0)),
        }
        # none is lost on the way to the common convention
        assert joints == {"h36m": 17, "lsp": 14, "lspet": 14, "mpii": 16, "coco": 17, "mpi_inf_3dhp": 17}

    def test_full_size(self, cfg):
        """Built once as it is, but for the weights that would be downloaded."""
        cfg = cfg.copy()
        cfg.merge_from_dict({"model.network.backbone.weights": None})
        model = MODELS.build(cfg.model)
        parameters = {
            name: sum(p.numel() for p in child.parameters()) for name, child in model.network.named_children()
        }
        assert parameters["backbone"] == 23_508_032  # torchvision's ResNet-50 without its classifier
        with torch.device("meta"):
            features = torch.empty(1, 2048, 7, 7)
        assert [each.shape for each in model.network.neck.to("meta")(features)] == [(1, 384, 56, 56)]
        assert (model.network.renderer.height, model.network.renderer.width) == (56, 56)
        assert model.selector.num_candidates == 5
        assert model.mesh_loss.keypoints_weight == 5 * model.mesh_loss.smpl_weight == 5


def test_the_miniature_is_what_mmhuman3d_reads(real_layout):
    """The files of these tests are HumanData files, with the joints that each set annotates."""
    human_data = pytest.importorskip("mmhuman3d.data.data_structures.human_data").HumanData
    human_data.set_logger("silent")
    for name, (file, _, joints2d, *_) in SETS.items():
        data = human_data.fromfile(str(real_layout / "data" / "preprocessed_datasets" / file))
        assert data.data_len == NUM_PEOPLE, name
        if joints2d is not None:
            assert data.check_keypoints_compressed()
            data.decompress_keypoints()
            assert data["keypoints2d"].shape == (NUM_PEOPLE, 190, 3)


class TestModernBackbones:
    """Configs of the paper's size on other networks than the paper's."""

    CONFIGS: ClassVar = sorted(
        path for path in PAPER_SIZE if {"vit", "hrnet"} & set(path.stem.replace("-", "_").split("_"))
    )

    @pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
    def cfg(self, request) -> Config:
        return Config.fromfile(request.param)

    def test_timm_has_the_weights_and_the_maps_fit(self, cfg):
        """Built without numbers, as it is but for the weights."""
        name = "network" if "network" in cfg.model else "cen"
        part = cfg.model[name]
        assert part.backbone.get("weights") in (None, "timm")
        assert timm.models.is_model_pretrained(part.backbone.model_name)
        channels = 3 if name == "network" else 6
        with torch.device("meta"):
            maps = MODELS.build({**part.backbone, "weights": None, "in_channels": channels})(
                torch.empty(2, channels, 224, 224)
            )
            if name == "network":  # the paper's 56 x 56
                assert [each.shape for each in MODELS.build(part.neck)(maps)] == [(2, 384, 56, 56)]
            else:
                assert maps[-1].shape[2:] in ((7, 7), (14, 14))

    def test_blocks_learn_the_slower_the_nearer_to_the_image(self, cfg):
        """By ViTPose's rule, counted here for each weight; what the transformer is not learns at the paper's rate."""
        name = "network" if "network" in cfg.model else "cen"
        backbone = cfg.model[name].backbone
        if "paramwise_cfg" not in cfg.optim_wrapper:
            assert "hrnet" in backbone.model_name
            return
        with torch.device("meta"):
            backbone = MODELS.build({**backbone, "weights": None})
            model = torch.nn.ModuleDict(
                {name: torch.nn.ModuleDict({"backbone": backbone, "head": torch.nn.Linear(1, 1)})}
            )
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        names = {id(weight): key for key, weight in model.named_parameters()}
        for group in wrapper.optimizer.param_groups:
            (weight,) = group["params"]
            _, inside, rest = names[id(weight)].partition("backbone.network.")
            layers_behind = 0
            if inside and not rest.startswith("norm."):
                layers_behind = 12 - int(rest.split(".")[1]) if rest.startswith("blocks.") else 13
            assert group["lr"] == pytest.approx(5e-5 * 0.8**layers_behind), names[id(weight)]


def test_the_true_body_has_no_joint_error_in_the_small_configs_loss():
    """The joints of the training people are those that the loss takes of a body."""
    cfg = Config.fromfile(CONFIGS / "mion" / "mrt_tiny_synthetic.py")
    people = DATASETS.build({**cfg.train_dataloader.dataset, "num_samples": 4, "pictures": False})
    targets = collect_targets([people[number]["data_samples"] for number in range(4)], torch.device("cpu"))
    body, valid = SMPLBody(), torch.ones(4, dtype=torch.bool)
    true = Bodies(targets.rotations[:, None], targets.betas[:, None], torch.zeros(4, 1, 3))
    difference, confidence, labelled = keypoints3d_difference(true, targets, valid, body)
    assert labelled.all()
    assert (confidence > 0).sum() >= 4 * 24
    assert difference.abs().max() < 1e-4  # metres
    assert (
        Config.fromfile(CONFIGS / "mion" / "mrt_tiny_pncc.py").train_dataloader.dataset.keypoints3d_convention
        == "smpl_54"
    )
