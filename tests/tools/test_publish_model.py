import publish_model as tool
import pytest
import torch
from torch import nn

from mion_plugin.body import SMPLBody


@pytest.fixture
def checkpoint(tmp_path):
    """As mmengine's runner leaves it: weights, optimiser, and a meta that names folders."""
    model = nn.ModuleDict({"cen": nn.Linear(3, 2), "teacher": nn.Linear(3, 2)})
    optimizer = torch.optim.Adam(model.parameters())
    model["cen"](torch.ones(1, 3)).sum().backward()
    optimizer.step()
    path = tmp_path / "epoch_2.pth"
    meta = {"epoch": 2, "iter": 40, "cfg": "work_dir = '/home/somebody'", "mmengine_version": "0.10.7"}
    torch.save({"state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "meta": meta}, path)
    return path


@pytest.mark.parametrize("half", [False, True])
def test_keeps_the_weights_alone(checkpoint, tmp_path, half, capsys):
    out = tmp_path / "models" / "cen.pth"
    assert tool.main([str(checkpoint), str(out), *(["--half"] if half else [])]) == 0
    content, source = torch.load(out, weights_only=True), torch.load(checkpoint, weights_only=True)
    assert content.keys() == {"state_dict", "meta"}
    assert content["meta"] == {"epoch": 2, "iter": 40, "mmengine_version": "0.10.7"}
    assert content["state_dict"].keys() == source["state_dict"].keys()
    for name, value in content["state_dict"].items():
        assert value.dtype == (torch.float16 if half else torch.float32)
        torch.testing.assert_close(value.float(), source["state_dict"][name], rtol=1e-3, atol=1e-6)
    assert b"somebody" not in out.read_bytes()
    assert f"written: {out}" in capsys.readouterr().out


def test_one_part(checkpoint, tmp_path):
    assert tool.main([str(checkpoint), str(tmp_path / "cen.pth"), "--part", "cen"]) == 0
    assert torch.load(tmp_path / "cen.pth", weights_only=True)["state_dict"].keys() == {"weight", "bias"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.pth", "out.pth"], "checkpoint none.pth does not exist"),
        (["text.pth", "out.pth"], "text.pth is not a checkpoint that can be read safely: "),
        (["hello.pth", "out.pth"], "hello.pth is not a checkpoint that can be read safely: it is no file of torch's"),
        (["epoch_2.pth", "out"], "out: expected a name that ends in .pth"),
        (["epoch_2.pth", "out.pth", "--part", "mrt"], "--part mrt: no weight in epoch_2.pth is named mrt.*"),
    ],
)
def test_bad_input_ends_with_one_line_and_nothing_written(checkpoint, arguments, message, monkeypatch, capsys):
    monkeypatch.chdir(checkpoint.parent)
    (checkpoint.parent / "text.pth").write_text("none")
    (checkpoint.parent / "hello.pth").write_text("hello")
    assert tool.main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("publish_model.py: error: ")
    assert message in line
    assert not (checkpoint.parent / "out.pth").exists()


class TestBody:
    """The fingerprint of the body that the network was trained with."""

    @pytest.fixture
    def told(self, checkpoint, tmp_path):
        content = torch.load(checkpoint, weights_only=True)
        content["meta"]["body"] = SMPLBody(gender="male").fingerprint.record()
        torch.save(content, tmp_path / "told.pth")
        return tmp_path / "told.pth"

    def body_of(self, path):
        return torch.load(path, weights_only=True)["meta"].get("body")

    def test_it_stays(self, told, tmp_path, capsys):
        assert tool.main([str(told), str(tmp_path / "out.pth"), "--part", "cen"]) == 0
        assert self.body_of(tmp_path / "out.pth") == SMPLBody(gender="male").fingerprint.record()
        assert capsys.readouterr().err == ""

    def test_it_is_written_down_where_the_training_did_not(self, checkpoint, tmp_path, capsys):
        out = tmp_path / "out.pth"
        assert tool.main([str(checkpoint), str(out)]) == 0
        assert self.body_of(out) is None
        assert "does not tell with which body it was trained" in capsys.readouterr().err
        assert tool.main([str(checkpoint), str(out), "--body-model", "stand-in"]) == 0
        assert self.body_of(out) == SMPLBody().fingerprint.record()

    def test_another_is_refused(self, told, tmp_path, capsys):
        assert tool.main([str(told), str(tmp_path / "out.pth"), "--body-model", "stand-in"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "--body-model stand-in is free stand-in (neutral) [" in line
        assert "was trained with free stand-in (male) [" in line
        assert not (tmp_path / "out.pth").exists()
