"""The package's small model with random weights, in a folder as the package has it."""

from pathlib import Path

import torch
from mmengine.config import Config

from mion_plugin import models
from mion_plugin.registry import MODELS
from mion_plugin.weights import save_weights


def write_untrained_model(parent: Path) -> Path:
    """Write ``PARENT/mion_tiny`` with all that stage 3 needs; the folder."""
    torch.manual_seed(0)
    folder = parent / "mion_tiny"
    folder.mkdir()
    source = Path(models.__file__).parent / "mion_tiny" / "config.py"
    (folder / "config.py").write_text(source.read_text())
    model = MODELS.build(Config.fromfile(source).model)
    save_weights(model.refiner.state_dict(), folder / "mrt.pth", half=True)
    save_weights(model.cen.state_dict(), folder / "cen.pth", half=True)
    return folder


def use_model(folder: Path, monkeypatch) -> None:
    """Let the package find its models beside ``folder``."""
    monkeypatch.setattr(models, "__file__", str(folder.parent / "__init__.py"))
