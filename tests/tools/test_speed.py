"""TF32, bfloat16 and compiled networks on the command line."""

import importlib.util
import json
from pathlib import Path

import pytest
import speed
import torch
import train as train_tool
from mmengine.config import Config
from support.tiny_mion import make_images, make_mion, make_samples
from torch import nn

from mion_plugin.body import SMPLBody
from mion_plugin.consistency import ConsistencyModel
from mion_plugin.samples import provided_candidates

# `import test` would be Python's own package of that name
_SPEC = importlib.util.spec_from_file_location("test_tool", Path(train_tool.__file__).with_name("test.py"))
test_tool = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(test_tool)

CONFIG = "configs/mion/mrt_tiny_synthetic.py"


@pytest.fixture(autouse=True)
def switches_as_they_were():
    convolutions = torch.backends.cudnn.allow_tf32
    types = {device: torch.get_autocast_dtype(device) for device in ("cuda", "cpu")}
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = convolutions
    for device, dtype in types.items():
        torch.set_autocast_dtype(device, dtype)


@pytest.mark.parametrize("tool", [train_tool, test_tool], ids=["train", "test"])
@pytest.mark.parametrize("wanted", [False, True])
def test_tf32_is_what_the_command_line_says(tool, wanted):
    """Whatever torch's own defaults are: for convolutions it is on."""
    torch.backends.cudnn.allow_tf32 = not wanted
    speed.set_products(tool.parse_args([CONFIG, *(["--tf32"] if wanted else [])]))
    assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == wanted


class TestBfloat16:
    def test_training_has_no_loss_scaling(self, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        cfg = Config.fromfile(CONFIG)
        speed.train_in_bfloat16(cfg)
        assert cfg.optim_wrapper.type == "AmpOptimWrapper"
        assert cfg.optim_wrapper.dtype == "bfloat16"
        scaler = torch.amp.GradScaler("cpu", **cfg.optim_wrapper.loss_scale)
        assert not scaler.is_enabled()
        assert cfg.optim_wrapper.optimizer.type == "AdamW"  # the rest stays

    def test_not_beside_float16(self, capsys):
        with pytest.raises(SystemExit):
            train_tool.parse_args([CONFIG, "--amp", "--bf16"])
        assert "not allowed with argument --amp" in capsys.readouterr().err

    def test_training_needs_a_gpu(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        assert train_tool.main([CONFIG, "--bf16", "--work-dir", str(tmp_path)]) == 2
        assert "--bf16 needs a GPU" in capsys.readouterr().err.splitlines()[-1]

    def test_tests_run_in_it(self):
        """As mmengine's loop opens it: with torch's own type."""
        cfg = Config.fromfile(CONFIG)
        speed.evaluate_in_bfloat16(cfg)
        assert cfg.test_cfg.fp16
        from mmengine.runner.amp import autocast

        with autocast(enabled=cfg.test_cfg.fp16):
            assert nn.Linear(4, 4)(torch.ones(1, 4)).dtype == torch.bfloat16


class TestWhatATestFinds:
    """``tools/test.py`` on the package's model, whose networks are trained: others would hide what changes in them."""

    @pytest.fixture
    def metrics(self, monkeypatch, tmp_path):
        monkeypatch.chdir(Path(train_tool.__file__).parents[1])  # the config names the weights from there

        def run(*options):
            out = tmp_path / "metrics.json"
            loader = {"dataset.num_samples": 2, "num_workers": 0, "persistent_workers": False}
            changes = ["--cfg-options", *(f"test_dataloader.{key}={value}" for key, value in loader.items())]
            arguments = ["--work-dir", str(tmp_path), "--out", str(out), *options, *changes]
            assert test_tool.main(["configs/mion/mion_tiny_synthetic.py", *arguments]) == 0
            return json.loads(out.read_text())

        return run

    @pytest.mark.slow
    def test_it_is_the_same_with_the_options(self, metrics):
        plain, rounded = metrics(), metrics("--bf16")
        assert metrics("--tf32", "--compile", "eager") == pytest.approx(plain, rel=1e-5)
        assert rounded != plain
        assert rounded == pytest.approx(plain, abs=2.0)  # mm; the bodies are some 90 mm off

    def test_what_it_does_not_have_is_one_line(self, capsys):
        with pytest.raises(SystemExit):
            test_tool.parse_args([CONFIG, "--amp"])
        assert capsys.readouterr().err.count("\n") == 1


class TestCompiling:
    @pytest.mark.slow
    def test_a_network_is_one_graph_and_gives_what_it_gave(self):
        """Nothing in it stops the compiler, the guards against TF32 included; weights keep their names."""
        body = SMPLBody()
        model, plain = make_mion(body), make_mion(body)
        candidates = provided_candidates(make_samples(body), torch.device("cpu"))
        torch._dynamo.utils.counters.clear()
        assert speed.compile_networks(model, "eager") == ["refiner"]
        found, expected = (each.refiner(make_images(), candidates) for each in (model, plain))
        for name in ("pose", "betas", "transl"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name))
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
        assert not torch._dynamo.utils.counters["graph_break"]
        assert model.state_dict().keys() == plain.state_dict().keys()

    def test_every_network_is_found(self, monkeypatch):
        """Also the refiner that stage 3 learns from, which is no submodule of its model."""
        monkeypatch.setattr(torch, "compile", lambda function, backend: function)
        body = SMPLBody()
        cen = {"type": "mion.CEN", "backbone": {"type": "mion.TinyBackbone"}, "body": body, "image_size": 224}
        refiner = make_mion(body).refiner
        model = ConsistencyModel(cen, selector=None, refiner=refiner, pairs={"refined": 1.0})
        assert speed.compile_networks(model, "eager") == ["cen", "refiner.network"]
        assert speed.compile_networks(make_mion(body, cen=cen), "eager") == ["refiner", "cen"]

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"--compile fast: torch has no such backend, expected one of .*inductor"):
            speed.compile_networks(make_mion(SMPLBody()), "fast")
        with pytest.raises(ValueError, match=r"--compile: Linear holds no mion\.RefinementNetwork and no mion\.CEN"):
            speed.compile_networks(nn.Linear(1, 1), "eager")
