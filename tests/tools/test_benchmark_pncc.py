"""tools/benchmark.py pncc on untrained models."""

import copy

import benchmark
import pytest
import torch
from benchmarks import pncc
from mmengine.config import Config

from mion_plugin.registry import MODELS
from mion_plugin.weights import save_weights

CONFIG = "configs/mion/mrt_tiny_synthetic.py"


@pytest.fixture(scope="module")
def small():
    """The tiny config with two candidates, its heads' last layers and its decoder not at zero."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.selector.num_candidates = cfg.model.train_candidates = 2
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    for parameter in (*model.network.head.parameters(), *model.network.transformer.decoder.parameters()):
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    return cfg, model


def test_the_network_gets_what_the_row_says():
    image, pncc_images = torch.rand(3, 3, 8, 8), torch.rand(3, 2, 3, 7, 7)

    def swapped(name):
        return pncc.SWAPS[name](image, pncc_images)

    assert all(map(torch.equal, swapped("own"), (image, pncc_images)))
    assert torch.equal(swapped("a sibling's PNCC")[1][:, 0], pncc_images[:, 1])
    assert torch.equal(swapped("another person's PNCC")[1][0], pncc_images[2])
    assert not swapped("blank PNCC")[1].any()
    assert torch.equal(swapped("another person's image")[0][0], image[2])
    assert [name for name in pncc.SWAPS if swapped(name)[0] is not image] == ["another person's image"]
    assert [name for name in pncc.SWAPS if swapped(name)[1] is pncc_images] == ["own", "another person's image"]


def test_the_table_is_printed(small, tmp_path, capsys):
    cfg, model = small
    save_weights(model.state_dict(), tmp_path / "weights.pth")
    cfg = copy.deepcopy(cfg)
    cfg.test_dataloader.update(batch_size=4, num_workers=0, persistent_workers=False)
    cfg.model.selector.num_candidates = 1  # who then has no sibling
    cfg.dump(tmp_path / "config.py")
    files = [str(tmp_path / name) for name in ("config.py", "weights.pth")]
    benchmark.main(["pncc", *files, "--num-samples", "4", "--cfg-options", "model.selector.num_candidates=2"])
    printed = capsys.readouterr().out.split("own")[1].splitlines()
    moved = [float(line.split("│")[-2]) for line in printed if line.count("│") > 2 and line.split("│")[-2].strip()]
    assert moved[0] == 0  # with their own images
    assert len(moved) == 5
    assert min(moved[1:]) > 0


def test_a_model_without_pncc_is_refused(tmp_path):
    config = Config.fromfile(CONFIG).model
    config.network.position_encoding = {"type": "mion.SinePositionEncoding2D"}
    with pytest.raises(ValueError, match=r"expected a mion\.MRT with mion\.PNCCEncoding"):
        pncc.load_model(config, str(tmp_path / "none.pth"))
