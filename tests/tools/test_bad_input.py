"""What users get wrong: each ends with one line that names file, key and remedy, and with exit code 2."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import train as train_tool
from cli import report_errors
from commands.train import make_config
from support.real_layout import make_annotations, write_photograph, write_pool
from torch._utils import ExceptionWrapper

from mion_plugin.body import SMPLBody
from mion_plugin.datasets.transforms.loading import read_image

# `import test` would be Python's own package of that name
_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)

TINY = Path(train_tool.__file__).parents[1] / "configs" / "mion" / "mrt_tiny_synthetic.py"
# The tiny config on annotated photographs, smaller still.
CONFIG = """
_base_ = ["{tiny}"]
dataset = dict(
    _delete_=True,
    type="mion.HumanDataset",
    ann_file="people.npz",
    data_root="{root}",
    keypoints2d_source="detected",
    pipeline=[
        dict(type="mion.LoadImageFromFile"),
        dict(type="mion.MeshAffine", img_res=112),
        dict(type="mion.Normalize"),
        dict(type="mion.PackBodyInputs"),
    ],
)
loader = dict(batch_size=3, num_workers=0, persistent_workers=False, dataset=dataset)
train_dataloader = loader
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = dict(**{{**loader, "dataset": dict(**dataset, test_mode=True)}})
train_cfg = dict(max_epochs=1)
param_scheduler = None
model = dict(
    train_candidates=2,
    neck=dict(channels=24),
    transformer=dict(width=24, num_heads=2, num_encoder_layers=1, num_decoder_layers=1, feedforward=32),
    selector=dict(pool="{root}/pool.npz", pool_split="all", num_candidates=2),
)
"""


class Project:
    """A folder with three annotated photographs, a pool, a config, and the weights of its model."""

    def __init__(self, root: Path, annotations: dict) -> None:
        self.root = root
        self.annotations = dict(annotations)
        self.images = [root / path for path in annotations["image_path"]]
        rng = np.random.default_rng(0)
        for image in self.images:
            write_photograph(image, rng)
        write_pool(root / "pool.npz", SMPLBody())
        # a name of its own: mmengine's logs go by name and second
        self.config = root / f"config_of_{root.name}.py"
        self.config.write_text(CONFIG.format(tiny=TINY, root=root))
        self.write()

    def write(self) -> None:
        np.savez_compressed(self.root / "people.npz", **self.annotations)

    def run(self, tool, *arguments: str) -> int:
        return tool.main([str(self.config), *arguments, "--work-dir", str(self.root / "work")])

    def train(self, *options: str) -> int:
        return self.run(train_tool, *options)

    def test(self, checkpoint: Path, *options: str) -> int:
        return self.run(test_tool, str(checkpoint), *options)


@pytest.fixture(scope="module")
def annotations() -> dict:
    return make_annotations("h36m", SMPLBody(), seed=0)


@pytest.fixture
def project(tmp_path, annotations) -> Project:
    return Project(tmp_path, annotations)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, annotations) -> Path:
    project = Project(tmp_path_factory.mktemp("trained"), annotations)
    assert project.train() == 0
    return project.root / "work" / "epoch_1.pth"


@pytest.fixture
def error(capsys):
    """The last line on standard error; the tools print nothing after it."""
    return lambda: capsys.readouterr().err.strip().splitlines()[-1]


def set_nan(content: dict) -> None:
    content["keypoints2d"] = content["keypoints2d"].copy()
    content["keypoints2d"][1, 4, 0] = np.nan


class TestAnnotations:
    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda content: content.pop("bbox_xywh"), "people.npz: key 'bbox_xywh' missing; the file holds cam_param"),
            (
                lambda content: content.update(keypoints3d=content["keypoints3d"][:2]),
                "people.npz: key 'keypoints3d' has 2 rows but image_path has 3; cut both to the same people",
            ),
            (
                set_nan,
                "people.npz: key 'keypoints2d' holds NaN or infinite values in 1 rows, the first being row 1 "
                "(S1/images/h36m_000001.jpg); remove the rows, or set their confidence to 0",
            ),
            (
                lambda content: content.pop("keypoints2d_detected"),
                "people.npz: key 'keypoints2d_detected' missing; write a detector's keypoints to it, or use "
                "keypoints2d_source='annotated'",
            ),
        ],
    )
    def test_training_names_file_key_and_remedy(self, project, error, damage, message):
        damage(project.annotations)
        project.write()
        assert project.train() == 2
        assert message in error()

    def test_no_file(self, project, error):
        (project.root / "people.npz").unlink()
        assert project.train() == 2
        assert "people.npz does not exist" in error()


class TestImages:
    @pytest.fixture(params=["missing", "truncated"])
    def lost(self, request, project) -> tuple[str, str]:
        """What the second image is called and what is wrong with it."""
        image = project.images[1]
        if request.param == "missing":
            image.unlink()
            return image.name, "does not exist; check data_root, data_prefix and image_path"
        image.write_bytes(image.read_bytes()[:400])
        return image.name, "fetch it again, or leave it out"

    def test_training_reports_and_skips_it(self, project, lost):
        assert project.train() == 0
        log = next((project.root / "work").rglob("*.log")).read_text()
        reports = [line for line in log.splitlines() if "sample skipped" in line]
        assert len(reports) == 1
        assert all(part in reports[0] for part in lost)

    def test_testing_ends(self, project, trained, lost, error):
        assert project.test(trained) == 2
        line = error()
        assert line.startswith("test.py: error: image ")
        assert all(part in line for part in lost)

    def test_errors_of_workers_come_without_their_traceback(self, capsys):
        """As torch's data loader hands them on; a real worker takes torch five seconds to end after an error."""

        @report_errors("test.py")
        def main(arguments=None):
            try:
                read_image("none.jpg")
            except FileNotFoundError:
                wrapper = ExceptionWrapper(where="in DataLoader worker process 0")
            wrapper.reraise()

        assert main() == 2
        expected = "test.py: error: image none.jpg does not exist; check data_root, data_prefix and image_path\n"
        assert capsys.readouterr().err == expected


class TestCheckpoints:
    def test_its_own_is_tested(self, project, trained):
        assert project.test(trained) == 0

    def test_weights_of_another_network(self, project, error):
        path = project.root / "resnet.pth"
        torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
        assert project.test(path) == 2
        line = error()
        assert f"{path} is not a checkpoint of this MeshRefinementTransformer: it lacks network.backbone.conv1" in line
        assert "has besides conv1.weight" in line
        assert line.endswith("give it the config that it was trained with")

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("model.transformer.num_encoder_layers=2", "it lacks network.transformer.encoder.1.attention"),
            ("model.transformer.num_encoder_layers=0", "it has besides network.transformer.encoder.0.attention"),
            ("model.transformer.feedforward=64", r"encoder.0.feed_forward.0.weight (32, 24) for (64, 24)"),
        ],
    )
    def test_config_of_another_size(self, project, trained, error, option, message):
        assert project.test(trained, "--cfg-options", option) == 2
        assert message in error()

    def test_resuming_from_another_size(self, project, trained, error):
        assert project.train("--resume", str(trained), "--cfg-options", "model.transformer.feedforward=64") == 2
        assert f"{trained} is not a checkpoint of this" in error()

    def test_fine_tuning_may_start_from_another_size(self, project, trained):
        options = [f"load_from={trained}", "model.transformer.num_encoder_layers=2"]
        assert project.train("--cfg-options", *options) == 0


class TestConfigs:
    @pytest.mark.parametrize(
        ("option", "message"),
        [
            (
                "train_dataloadr.batch_size=4",
                "train_dataloadr.batch_size: the config has no train_dataloadr; did you mean",
            ),
            ("zzz=4", "--cfg-options zzz: the config has no zzz"),
            ("train_dataloader.batchsize=4", "unexpected keyword argument 'batchsize'"),
            ("train_dataloader.dataset.ann_fil=x", "unexpected keyword argument 'ann_fil'"),
            ("train_dataloader.dataset.type=mion.HumanDatset", "HumanDatset is not in the"),
            ("train_dataloader.dataset.pipeline.1.type=mion.MeshAfine", "MeshAfine is not in the"),
            ("train_cfg.max_epoch=1", "unexpected keyword argument 'max_epoch'"),
            ("optim_wrapper.optimizer.type=AdmW", "optim_wrapper.optimizer.type AdmW: no such optimizer"),
        ],
    )
    def test_options_misspelt(self, project, error, option, message):
        assert project.train("--cfg-options", option) == 2
        assert message in error()

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("param_schedular = []", "param_schedular is nothing that the runner reads; did you mean param_scheduler?"),
            ("model = dict(neck=dict(chanels=3))", "unexpected keyword argument 'chanels'"),
            ("model = dict(", "was never closed"),
        ],
    )
    def test_files_misspelt(self, project, error, line, message):
        project.config.write_text(f'_base_ = ["{TINY}"]\n{line}\n')
        assert project.train() == 2
        assert message in error()

    def test_variables_are_free(self, project):
        with project.config.open("a") as config:
            config.write("my_learning_rate = 1e-3\ntrain_pipeline = []\n")
        assert "my_learning_rate" in make_config(train_tool.parse_args([str(project.config)]))
