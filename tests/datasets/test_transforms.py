"""Loading, colour, normalisation and packing."""

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from PIL import Image

from mion_plugin.datasets.transforms import (
    BrokenImageError,
    ColorJitter,
    LoadImageFromFile,
    MeshAffine,
    Normalize,
    PackBodyInputs,
    RandomChannelNoise,
)

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


class TestLoading:
    def test_rgb(self, tmp_path):
        Image.fromarray(PICTURE).save(tmp_path / "a.png")
        results = LoadImageFromFile()({"image_path": str(tmp_path / "a.png")})
        np.testing.assert_array_equal(results["img"], PICTURE)
        assert results["ori_shape"] == (20, 30)

    @pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
    def test_other_modes_become_rgb(self, tmp_path, mode):
        path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
        Image.fromarray(PICTURE).convert(mode).save(path)
        assert LoadImageFromFile()({"image_path": path})["img"].shape == (20, 30, 3)

    def test_upright_by_exif_as_opencv(self, tmp_path):
        cv2 = pytest.importorskip("cv2", reason="OpenCV is what mmcv reads images with")
        image, exif = Image.fromarray(PICTURE), Image.Exif()
        exif[0x0112] = 6  # turned by a quarter
        image.save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
        expected = cv2.imread(str(tmp_path / "a.jpg"))[..., ::-1]
        loaded = LoadImageFromFile()({"image_path": tmp_path / "a.jpg"})["img"]
        assert loaded.shape == expected.shape == (30, 20, 3)
        assert np.abs(loaded.astype(int) - expected).max() <= 3  # two JPEG decoders

    @pytest.fixture
    def photograph(self, tmp_path):
        """A smooth picture of 403 x 301 px."""
        coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8))
        coarse.resize((403, 301), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
        return tmp_path / "a.jpg"

    def sample(self, path, side):
        return {
            "image_path": path,
            "center": np.array([190.0, 150.0], np.float32),
            "scale": np.array([side, side], np.float32),
            "rotation": 20.0,
            "keypoints2d": np.array([[150.0, 120.0, 1.0], [0.0, 0.0, 0.0], [260.5, 180.25, 0.5]], np.float32),
            "cam_intrinsics": np.array([[500, 0, 201.5], [0, 500, 150.5], [0, 0, 1]], np.float32),
        }

    @pytest.mark.parametrize(("side", "reduction"), [(60.0, 1), (130.0, 2), (256.0, 4), (600.0, 8)])
    def test_a_crop_of_a_reduced_image_is_that_of_the_whole_one(self, photograph, side, reduction):
        whole, reduced = LoadImageFromFile(), LoadImageFromFile(crop_size=64)
        assert reduced(self.sample(photograph, side))["img"].shape == (-(-301 // reduction), -(-403 // reduction), 3)
        crop = MeshAffine(64)
        expected, found = (crop(load(self.sample(photograph, side))) for load in (whole, reduced))
        assert np.abs(found["img"].astype(int) - expected["img"]).mean() < 2
        for key in ("keypoints2d", "img_transform", "cam_intrinsics"):
            np.testing.assert_allclose(found[key], expected[key], atol=1e-3, err_msg=key)
        assert found["ori_shape"] == expected["ori_shape"] == (301, 403)

    def test_what_cannot_be_reduced_is_read_whole(self, photograph):
        image, exif = Image.open(photograph), Image.Exif()
        exif[0x0112] = 6
        image.save(photograph.with_name("turned.jpg"), exif=exif)
        image.save(photograph.with_suffix(".png"))
        for name, shape in (("turned.jpg", (403, 301, 3)), ("a.png", (301, 403, 3))):
            results = LoadImageFromFile(crop_size=32)(self.sample(photograph.with_name(name), 280.0))
            assert results["img"].shape == shape
            assert results["scale"][0] == 280

    def test_a_crop_of_no_pixels(self):
        with pytest.raises(ValueError, match="crop_size 0, expected a positive number"):
            LoadImageFromFile(crop_size=0)

    def test_errors(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"none\.jpg does not exist; check data_root"):
            LoadImageFromFile()({"image_path": tmp_path / "none.jpg"})
        Image.fromarray(PICTURE).save(tmp_path / "whole.jpg")
        (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-80])
        with pytest.raises(BrokenImageError, match=r"cut\.jpg cannot be read: .*truncated"):
            LoadImageFromFile()({"image_path": tmp_path / "cut.jpg"})


class TestColor:
    @pytest.mark.parametrize("transform", [RandomChannelNoise(), ColorJitter()])
    def test_seeded(self, transform):
        def run(seed):
            return transform({"img": PICTURE.copy(), "rng": np.random.default_rng(seed)})["img"]

        np.testing.assert_array_equal(run(1), run(1))
        assert (run(1) != run(2)).any()
        assert run(1).dtype == np.uint8

    def test_channel_factors_lie_in_the_paper_s_range(self):
        rng, grey = np.random.default_rng(0), np.full((1, 1, 3), 100, dtype=np.uint8)
        values = np.array([RandomChannelNoise()({"img": grey, "rng": rng})["img"][0, 0] for _ in range(500)])
        assert (values.min(axis=0) <= 63).all()
        assert (values.min(axis=0) >= 60).all()
        assert (values.max(axis=0) >= 137).all()
        assert (values.max(axis=0) <= 140).all()
        assert np.abs(np.corrcoef(values.T)[np.triu_indices(3, 1)]).max() < 0.2  # each channel on its own

    def test_channel_noise_saturates(self):
        white = np.full((4, 4, 3), 250, dtype=np.uint8)
        for seed in range(20):
            image = RandomChannelNoise()({"img": white, "rng": np.random.default_rng(seed)})["img"]
            assert image.min() >= 150  # no wrap-around

    def test_as_mmhuman3d(self, monkeypatch):
        reference = pytest.importorskip(
            "mmhuman3d.data.datasets.pipelines.transforms", reason="mmhuman3d's transforms are the reference"
        )
        factors = np.array([0.7, 1.0, 1.37])
        monkeypatch.setattr(np.random, "uniform", lambda *_: factors[None])
        expected = reference.RandomChannelNoise()({"img": PICTURE.copy()})["img"]

        class Fixed:
            def uniform(self, *_, **__):
                return factors

        ours = RandomChannelNoise()({"img": PICTURE, "rng": Fixed()})["img"]
        assert np.abs(ours.astype(int) - expected).max() <= 1

    def test_jitter_of_brightness_alone(self):
        values = []
        for seed in range(200):
            transform = ColorJitter(brightness=0.4, contrast=0, saturation=0)
            image = transform({"img": np.full((2, 2, 3), 100, np.uint8), "rng": np.random.default_rng(seed)})["img"]
            assert len(np.unique(image)) == 1
            values.append(int(image[0, 0, 0]))
        assert 59 <= min(values) < 64
        assert 136 < max(values) <= 141

    @pytest.mark.parametrize("build", [lambda: RandomChannelNoise(1.5), lambda: ColorJitter(contrast=-1)])
    def test_bad_values(self, build):
        with pytest.raises(ValueError, match="expected 0 to 1"):
            build()

    def test_foreign_pipeline_without_a_generator(self):
        np.random.seed(3)  # noqa: NPY002  what the hosts do in every worker
        first = RandomChannelNoise()({"img": PICTURE})["img"]
        np.random.seed(3)  # noqa: NPY002
        np.testing.assert_array_equal(RandomChannelNoise()({"img": PICTURE})["img"], first)


class TestFormatting:
    def test_normalize_by_hand(self):
        image = np.array([[[10, 20, 30]]], dtype=np.uint8)
        out = Normalize(mean=(10, 10, 10), std=(1, 2, 4))({"img": image})["img"]
        np.testing.assert_allclose(out, [[[0, 5, 5]]])
        assert out.dtype == np.float32

    def test_normalize_needs_three_positive_numbers(self):
        with pytest.raises(ValueError, match="std positive"):
            Normalize(std=(1, 0, 1))
        with pytest.raises(ValueError, match="three numbers"):
            Normalize(mean=(1, 1))

    def test_pack(self):
        results = {
            "img": PICTURE,
            "keypoints2d": np.ones((17, 3)),
            "has_smpl": 1,
            "image_path": "a.png",
            "sample_idx": 4,
            "rng": object(),
        }
        packed = PackBodyInputs()(results)
        np.testing.assert_array_equal(packed["inputs"].permute(1, 2, 0), PICTURE)
        sample = packed["data_samples"]
        assert sample.gt_body.keypoints2d.dtype == torch.float32
        assert sample.gt_body.has_smpl == 1
        assert sample.metainfo == {"image_path": "a.png", "sample_idx": 4}

    def test_registered_by_their_names(self, tmp_path):
        Image.fromarray(PICTURE).save(tmp_path / "a.png")
        names = ["LoadImageFromFile", "RandomChannelNoise", "ColorJitter", "Normalize", "PackBodyInputs"]
        pipeline = Compose([{"type": f"mion.{name}"} for name in names])
        packed = pipeline({"image_path": str(tmp_path / "a.png"), "rng": np.random.default_rng(0)})
        assert packed["inputs"].shape == (3, 20, 30)
