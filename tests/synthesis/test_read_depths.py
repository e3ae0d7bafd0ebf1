"""Simulated readings of depth state true errors."""

import pytest
import torch

from mion_plugin.synthesis.read_depths import ReadDepths


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_stated_errors_are_true_and_errors_do_not_depend_on_the_reading():
    spread = 0.22
    depths = spread * torch.randn(20000, 17, generator=generator(1))
    settings = ReadDepths(known_prob=1.0, error=(0.1, 0.1), shared=0.0, spread=spread)
    reading, precision = settings.read(depths, generator()).unbind(-1)
    error = depths - reading
    for column in (0, 8):
        low = precision[:, column] > precision[:, column].median()
        for part in (low, ~low):
            stated = (1.0 / precision[part, column]).mean()
            assert error[part, column].abs().mean().item() == pytest.approx(stated.item(), rel=0.05)
    assert abs(torch.corrcoef(torch.stack([error.flatten(), reading.flatten()]))[0, 1]) < 0.02


def test_errors_that_keypoints_share_are_correlated():
    depths = 0.22 * torch.ones(5000, 17)
    for shared, expected in ((0.0, 0.0), (0.8, 0.8)):
        reading = ReadDepths(known_prob=1.0, error=(0.1, 0.1), shared=shared).read(depths, generator())[..., 0]
        error = (reading - reading.mean(dim=0))[:, :2].T
        assert torch.corrcoef(error)[0, 1].item() == pytest.approx(expected, abs=0.15)


def test_unknown_depths_are_zeros():
    depths = torch.randn(400, 17, generator=generator(1))
    read = ReadDepths(known_prob=0.5).read(depths, generator())
    unknown = (read == 0).all(dim=(1, 2))
    assert 140 < unknown.sum() < 260
    assert (read[~unknown][..., 1] > 0).all()


@pytest.mark.parametrize("error", [(0.0, 0.1), (0.2, 0.1), (0.1, 0.3)])
def test_errors_out_of_range(error):
    with pytest.raises(ValueError, match="error is"):
        ReadDepths(error=error)
