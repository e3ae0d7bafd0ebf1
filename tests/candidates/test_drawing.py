"""Which candidates training draws."""

import pytest
import torch

from mion_plugin.bodies import Bodies
from mion_plugin.candidates.drawing import draw_candidates


@pytest.fixture
def candidates() -> Bodies:
    """Eight images with five candidates each, which carry their own numbers."""
    number = torch.arange(40.0).view(8, 5)
    return Bodies(
        pose=number[..., None, None].expand(8, 5, 24, 3),
        betas=number[..., None].expand(8, 5, 10),
        transl=number[..., None].expand(8, 5, 3),
        fit_loss=number,
        valid=torch.arange(8) != 3,
        pncc=number[..., None, None, None].expand(8, 5, 3, 2, 2),
    )


@pytest.mark.parametrize("count", [1, 3])
def test_different_ones_of_the_same_image_kept_together(candidates, count: int) -> None:
    drawn = draw_candidates(candidates, count, torch.Generator().manual_seed(0))
    assert drawn.fit_loss.shape == (8, count)
    for row in range(8):
        numbers = drawn.fit_loss[row].tolist()
        assert len(set(numbers)) == count
        assert set(numbers) <= set(candidates.fit_loss[row].tolist())
    assert torch.equal(drawn.pose[..., 0, 0], drawn.fit_loss)
    assert torch.equal(drawn.betas[..., 0], drawn.fit_loss)
    assert torch.equal(drawn.transl[..., 0], drawn.fit_loss)
    assert torch.equal(drawn.pncc[..., 0, 0, 0], drawn.fit_loss)
    assert torch.equal(drawn.valid, candidates.valid)


def test_uniform_and_repeatable(candidates) -> None:
    generator = torch.Generator().manual_seed(1)
    counts = torch.zeros(5)
    for _ in range(200):
        place = draw_candidates(candidates, 1, generator).fit_loss.long().flatten() % 5
        counts += torch.bincount(place, minlength=5)
    assert (counts / 1600 - 0.2).abs().max() < 0.04
    torch.manual_seed(2)
    first = draw_candidates(candidates, 2).fit_loss
    torch.manual_seed(2)
    assert torch.equal(draw_candidates(candidates, 2).fit_loss, first)


def test_all(candidates) -> None:
    assert draw_candidates(candidates, 5) is candidates


def test_too_many(candidates) -> None:
    with pytest.raises(ValueError, match="train_candidates is 6, but each image has 5 candidates"):
        draw_candidates(candidates, 6)
