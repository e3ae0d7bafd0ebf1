"""tools/calibrate.py on the small model with an untrained reader."""

from pathlib import Path

import calibrate
import numpy as np
import pytest
import torch
from commands import calibrate as commands
from mmengine.config import Config

from mion_plugin.registry import MODELS
from mion_plugin.weights import load_weights

CONFIG = Path(calibrate.__file__).parents[1] / "configs" / "mion" / "mion_tiny_synthetic.py"
OPTIONS = [
    "--cfg-options",
    "val_dataloader.batch_size=3",
    "val_dataloader.dataset.num_samples=6",
    "val_dataloader.num_workers=0",
    "val_dataloader.persistent_workers=False",
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "reader.pth"
    torch.manual_seed(0)
    cen = MODELS.build(Config.fromfile(CONFIG).model.cen)
    torch.nn.init.normal_(cen.reader.out.weight, std=0.1)  # an untrained one says what each body says
    torch.save({"state_dict": {f"cen.{name}": value for name, value in cen.state_dict().items()}}, path)
    return path


def test_it_writes_the_least_squares_line_of_every_measure(checkpoint, tmp_path, capsys, monkeypatch) -> None:
    found, collect = [], commands.collect

    def collect_sound(*arguments):
        """What is measured, with errors that it tells of: the reader is untrained."""
        measures, errors = collect(*arguments)
        assert (errors > 10).all()
        told = ((measures - measures.mean(dim=(0, 1))) / measures.std(dim=(0, 1))).sum(dim=-1)
        found.append((measures, errors.mean() * (1 + 0.1 * told)))
        return found[0]

    monkeypatch.setattr("commands.calibrate.collect", collect_sound)
    assert calibrate.main([str(CONFIG), str(checkpoint), str(tmp_path / "out.pth"), *OPTIONS]) == 0
    measures, errors = (value.double().flatten(0, 1).numpy() for value in found[0])
    assert measures.shape == (30, 4)  # five bodies each
    before, after = load_weights(checkpoint, "cen"), load_weights(tmp_path / "out.pth")
    assert set(before) == set(after)
    for index in range(4):
        design = np.column_stack([measures[:, index], np.ones(30)])
        slope, offset = np.linalg.lstsq(design, errors / 1000, rcond=None)[0]
        assert float(after["calibration_slope"][index]) == pytest.approx(slope, rel=1e-4)
        assert float(after["calibration_offset"][index]) == pytest.approx(offset, rel=1e-3, abs=1e-5)
    for name, value in before.items():
        assert name.startswith("calibration") or torch.equal(after[name], value)
    printed = capsys.readouterr().out
    assert "30 bodies of 6 people" in printed
    assert all(f"| {measure} |" in printed for measure in ("mean", "weighted", "likelihood", "expected"))


def test_a_measure_that_does_not_grow_with_the_error_is_not_told_a_slope(
    checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    measures = torch.arange(6.0).reshape(2, 3, 1) * torch.tensor([1.0, -1.0, 1.0, 1.0])
    monkeypatch.setattr("commands.calibrate.collect", lambda *_: (measures, 10 * measures[..., 0] + 50))
    assert calibrate.main([str(CONFIG), str(checkpoint), str(tmp_path / "out.pth"), *OPTIONS]) == 0
    printed = capsys.readouterr().out
    assert "| mean | 0.010 | 0.050 |" in printed
    assert "| weighted | does not grow with the error: not calibrated |  |" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CONFIG, "{checkpoint}", "{folder}/out.txt"], "expected a name that ends in .pth"),
        (["nothing.py", "{checkpoint}", "{folder}/out.pth"], "nothing.py"),
        ([CONFIG, "nothing.pth", "{folder}/out.pth"], "nothing.pth"),
        (
            [CONFIG.with_name("mrt_tiny_lifting.py"), "{checkpoint}", "{folder}/out.pth"],
            "expected a mion.MION and a val_data",
        ),
        (
            [CONFIG, "{checkpoint}", "{folder}/out.pth", "--cfg-options", "val_dataloader=None"],
            "expected a mion.MION and a val_data",
        ),
        (
            [CONFIG, "{checkpoint}", "{folder}/out.pth", "--cfg-options", "model.cen.reader.fine_channels=16"],
            "another shape",
        ),
    ],
)
def test_wrong_input_is_one_line(checkpoint, arguments, message, capsys, tmp_path) -> None:
    given = [str(argument).format(checkpoint=checkpoint, folder=tmp_path) for argument in arguments]
    assert calibrate.main(given) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not list(tmp_path.iterdir())
