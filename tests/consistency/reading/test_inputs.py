from __future__ import annotations

import pytest
import torch

from mion_plugin.consistency.reading.inputs import ReadingInputs, draw_grey, draw_keypoints

SIZE = 112
MANY = 4000
PLAIN = {"detected": 0.0, "noise": 0.0, "drop": 0.0, "drop_all": 0.0, "grey": 0.0}


@pytest.fixture
def people() -> tuple[torch.Tensor, torch.Tensor]:
    """(4000, 17, 3) detected keypoints, of confidence 0.5, and true ones 5 px beside them; the last is not there."""
    places = 10 + 90 * torch.rand(MANY, 17, 2, generator=torch.Generator().manual_seed(0))
    annotated = torch.cat([places, torch.ones(MANY, 17, 1)], dim=-1)
    annotated[:, -1] = 0.0
    return torch.cat([places + 5, torch.full((MANY, 17, 1), 0.5)], dim=-1), annotated


def draw(people, seed=1, **settings):
    generator = torch.Generator().manual_seed(seed)
    return draw_keypoints(*people, SIZE, ReadingInputs(**{**PLAIN, **settings}), generator)


class TestKeypoints:
    def test_without_noise_are_the_true_or_the_detected_ones(self, people) -> None:
        torch.testing.assert_close(draw(people), people[1])
        assert torch.equal(draw(people, detected=1.0), people[0])

    def test_shares(self, people) -> None:
        drawn = draw(people, detected=1 / 3, drop=0.1, drop_all=0.2)
        absent = (drawn[:, :-1, 2] == 0).all(dim=1)
        assert float(absent.float().mean()) == pytest.approx(0.2, abs=0.02)
        assert float((drawn[~absent, :-1, 2] == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
        assert float((drawn[~absent] == 0.5).any(dim=-1).any(dim=-1).float().mean()) == pytest.approx(1 / 3, abs=0.03)
        assert (drawn[drawn[..., 2] == 0] == 0).all()

    def test_noise_is_uniform_from_none(self, people) -> None:
        drawn = draw(people, noise=0.05)
        moved = (drawn - people[1])[:, :-1, :2]
        spread = moved.flatten(1).std(dim=1)
        assert float(spread.mean()) == pytest.approx(0.05 * SIZE / 2, rel=0.05)
        assert float(spread.min()) < 0.3
        assert float(spread.max()) < 1.6 * 0.05 * SIZE

    def test_outside_the_crop_are_absent_as_those_of_bodies_are(self, people) -> None:
        drawn = draw(people, noise=0.3)
        present = drawn[..., 2] > 0
        assert not present[:, -1].any()
        assert ((drawn[present][:, :2] >= 0) & (drawn[present][:, :2] <= SIZE)).all()
        assert present[:, :-1].float().mean() < 0.95

    def test_depend_on_the_generator_alone(self, people) -> None:
        settings = {"detected": 0.3, "noise": 0.05, "drop": 0.1}
        assert torch.equal(draw(people, **settings), draw(people, **settings))
        assert not torch.equal(draw(people, **settings), draw(people, seed=2, **settings))
        torch.manual_seed(3)
        first = draw_keypoints(*people, SIZE, ReadingInputs())
        torch.manual_seed(3)
        assert torch.equal(draw_keypoints(*people, SIZE, ReadingInputs()), first)


def test_grey_pictures() -> None:
    images = torch.ones(MANY, 3, 2, 2)
    drawn = draw_grey(images, ReadingInputs(grey=0.1), torch.Generator().manual_seed(0))
    grey = (drawn == 0).flatten(1).all(dim=1)
    assert float(grey.float().mean()) == pytest.approx(0.1, abs=0.015)
    assert (drawn[~grey] == 1).all()


@pytest.mark.parametrize("name", list(PLAIN))
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_settings_out_of_range(name, value) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}, expected 0 to 1"):
        ReadingInputs(**{name: value})
