from __future__ import annotations

import math

import pytest
import torch

from mion_plugin.refinement.position_encoding import PNCCEncoding, SinePositionEncoding2D
from mion_plugin.registry import MODELS


@pytest.fixture
def pncc() -> torch.Tensor:
    return torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))


def test_pncc_encoding_equals_equation_5(pncc: torch.Tensor) -> None:
    encoding = MODELS.build({"type": "mion.PNCCEncoding"})(pncc)
    assert encoding.shape == (2, 384, 5, 7)
    for axis in range(3):
        for i in range(64):
            for b, row, column in [(0, 0, 0), (1, 4, 6), (1, 2, 3)]:
                angle = pncc[b, axis, row, column].item() / 10000 ** (2 * i / 128)
                sine, cosine = encoding[b, 128 * axis + 2 * i : 128 * axis + 2 * i + 2, row, column].tolist()
                assert sine == pytest.approx(math.sin(angle), abs=1e-6)
                assert cosine == pytest.approx(math.cos(angle), abs=1e-6)


def test_background_is_sine_0_and_cosine_1() -> None:
    encoding = PNCCEncoding(channels=12)(torch.zeros(1, 3, 2, 2))
    assert (encoding[0, 0::2] == 0).all()
    assert (encoding[0, 1::2] == 1).all()


def test_frequency_scale_multiplies_pncc(pncc: torch.Tensor) -> None:
    scaled = PNCCEncoding(channels=24, frequency_scale=2 * math.pi)(pncc)
    assert torch.equal(scaled, PNCCEncoding(channels=24)(pncc * 2 * math.pi))
    torch.testing.assert_close(scaled[:, 0], torch.sin(2 * math.pi * pncc[:, 0]))


def test_temperature(pncc: torch.Tensor) -> None:
    # 12 channels: 4 per coordinate, the second sine is slower by temperature^(2 / 4).
    encoding = PNCCEncoding(channels=12, temperature=100.0)(pncc)
    torch.testing.assert_close(encoding[:, 2], torch.sin(pncc[:, 0] / 10))


def test_sine_position_encoding_equals_a_loop(pncc: torch.Tensor) -> None:
    encoding = MODELS.build({"type": "mion.SinePositionEncoding2D", "channels": 16})(pncc)
    assert encoding.shape == (2, 16, 5, 7)
    for row in range(5):
        for column in range(7):
            for i in range(4):
                for half, position in enumerate((row, column)):
                    angle = position / 10000 ** (2 * i / 8)
                    sine, cosine = encoding[1, 8 * half + 2 * i : 8 * half + 2 * i + 2, row, column].tolist()
                    assert sine == pytest.approx(math.sin(angle), abs=1e-6)
                    assert cosine == pytest.approx(math.cos(angle), abs=1e-6)


def test_sine_position_encoding_ignores_pncc(pncc: torch.Tensor) -> None:
    encoding = SinePositionEncoding2D()
    assert encoding(pncc).shape == (2, 384, 5, 7)
    assert torch.equal(encoding(pncc), encoding(torch.zeros_like(pncc)))


@pytest.mark.parametrize("encoding_type", [PNCCEncoding, SinePositionEncoding2D])
class TestBoth:
    def test_dtype_and_device_follow_the_input(self, encoding_type: type, pncc: torch.Tensor) -> None:
        encoding = encoding_type()
        half = encoding(pncc.to(torch.bfloat16))
        assert half.dtype == torch.bfloat16
        with torch.device("meta"):  # a tensor made without a device would not mix with the input
            assert torch.equal(encoding(pncc), encoding(pncc))
        assert encoding(pncc.to("meta")).device.type == "meta"

    def test_has_no_state_and_takes_an_empty_batch(self, encoding_type: type) -> None:
        assert not encoding_type().state_dict()
        assert encoding_type()(torch.zeros(0, 3, 4, 4)).shape == (0, 384, 4, 4)

    def test_bad_input(self, encoding_type: type) -> None:
        with pytest.raises(ValueError, match=r"channels must be a positive multiple of [46].*, got 10"):
            encoding_type(channels=10)
        with pytest.raises(ValueError, match="channels must be a positive multiple"):
            encoding_type(channels=0)
        with pytest.raises(ValueError, match=r"pncc must be \(B, 3, h, w\), got \(2, 4, 5, 5\)"):
            encoding_type()(torch.zeros(2, 4, 5, 5))
