"""Named looks: the plain ones as they always were, the others as they are described."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from torch.utils.data import DataLoader

from mion_plugin.constants import LOOKS
from mion_plugin.synthesis import SURREALSynthesisDataset, Synthesizer
from mion_plugin.synthesis.backgrounds import FolderBackground, ProceduralBackground
from mion_plugin.synthesis.dataset import body_settings, pose_source
from mion_plugin.synthesis.degradation import AUGMENTED, Degradation
from mion_plugin.synthesis.photographs import BACKGROUND_FOLDER, SKIN_FOLDER, PhotographBackground
from mion_plugin.synthesis.recipes import RECIPES, read_looks

# sha256 of samples 0 and 7 of seed 2, made before there were recipes: tests of every version have these people
PLAIN = {
    ("train", False): ("4c2b88205e85f4a6", "f66cb32384a0e121"),
    ("train", True): ("4f4098ad54bb3c17", "9e95423e93dad90f"),
    ("test", False): ("a210d4e5bba99480", "446f1f53d0f2484d"),
    ("test", True): ("5c02af1031e29bf4", "111b0740472f95ff"),
}


def digest(sample):
    found = hashlib.sha256()
    for key in sorted(sample):
        found.update(key.encode())
        found.update(np.ascontiguousarray(sample[key]).tobytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize(("split", "augmented"), PLAIN)
def test_plain_looks_are_bit_for_bit_those_of_the_first_version(body, split, augmented):
    looks = read_looks(recipe="plain") | ({"degradation": AUGMENTED} if augmented else {})
    synthesizer = Synthesizer(
        pose_source(split=split), 2, 112, body, body_settings(split, recipe="plain"), detected_noise=1.5, **looks
    )
    assert tuple(digest(synthesizer.sample(index)) for index in (0, 7)) == PLAIN[split, augmented]


@pytest.mark.parametrize("recipe", ["training", "harsh"])
def test_samples_of_a_recipe_repeat_and_show_a_person(body, recipe):
    def make():
        options = {"looks": {"recipe": recipe}, "body": body, "image_size": 112, "detected_noise": 1.5}
        return SURREALSynthesisDataset(8, **options).synthesizer

    first = [make().sample(index) for index in range(8)]
    again, plain = make(), SURREALSynthesisDataset(8, body=body, image_size=112).synthesizer
    for index in (5, 0, 7):
        assert digest(again.sample(index)) == digest(first[index])
    assert any((first[index]["image"] != plain.sample(index)["image"]).any() for index in range(8))
    for sample in first:
        assert sample["image"].shape == (112, 112, 3)
        assert sample["image"].dtype == np.uint8
    assert np.median([sample["mask"].mean() for sample in first]) > 0.05


def test_the_recipes_are_those_of_the_options():
    assert tuple(RECIPES) == LOOKS
    assert body_settings("train", recipe="training").wide_prob == 0.5
    harsh = body_settings("test", {"roll_std": 3.0}, "harsh")
    assert (harsh.pitch_std, harsh.roll_std, harsh.pose_noise) == (22.0, 3.0, 0.0)
    assert RECIPES["plain"].degradation == Degradation()


def test_options_come_before_the_recipe(tmp_path):
    looks = read_looks("procedural", "plain", {"noise_prob": 0.0}, "harsh")
    assert isinstance(looks["background"], ProceduralBackground)
    assert looks["skins"] is None
    assert looks["degradation"].noise_prob == 0.0
    assert looks["degradation"].jpeg_prob == RECIPES["harsh"].degradation.jpeg_prob
    looks = read_looks("photographs", "makehuman")
    assert isinstance(looks["background"], PhotographBackground)
    assert looks["skins"].folder == SKIN_FOLDER
    assert looks["degradation"] == Degradation()
    assert isinstance(read_looks(BACKGROUND_FOLDER)["background"], FolderBackground)


def test_looks_that_are_not_there_are_named():
    with pytest.raises(ValueError, match="looks recipe 'nice', expected one of plain, training, harsh"):
        read_looks(recipe="nice")
    with pytest.raises(ValueError, match="looks recipe 'nice'"):
        body_settings("train", recipe="nice")
    with pytest.raises(FileNotFoundError, match="backgrounds 'photos' is neither a folder nor one of photographs"):
        read_looks("photos")
    with pytest.raises(FileNotFoundError, match="skins 'smooth' is neither a folder nor one of makehuman, plain"):
        read_looks(skins="smooth")


@pytest.mark.parametrize(
    ("config", "train", "test"),
    [
        ("mion/mrt_tiny_synthetic", "training", "plain"),
        ("mion/cen_tiny_synthetic", "training", "plain"),
        ("mion/mion_tiny_synthetic", None, "plain"),
        ("mion/mion_tiny_synthetic_harsh", None, "harsh"),
        ("mion/cen_r34_224_stand-in", "training", "plain"),
    ],
)
def test_configs_train_on_the_new_looks_and_test_on_named_ones(config, train, test):
    cfg = Config.fromfile(f"configs/{config}.py")
    assert cfg.test_dataloader.dataset.looks.recipe == test
    assert (cfg.train_dataloader and cfg.train_dataloader.dataset.looks.recipe) == train


@pytest.mark.slow
def test_spawned_workers_make_the_same_samples(body):
    """Their copies of the body come through shared memory, which must not be taken from under this process's own."""
    dataset = SURREALSynthesisDataset(2, body=body, image_size=48, looks={"recipe": "training"})
    expected = [dataset[index]["img"] for index in range(2)]
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    for sample, image in zip(loader, expected, strict=True):
        np.testing.assert_array_equal(sample["img"], image)
        np.testing.assert_array_equal(dataset[int(sample["sample_idx"])]["img"], image)


def test_the_pictures_and_their_licences_come_with_the_package():
    assert len(list(BACKGROUND_FOLDER.glob("*.jpg"))) == 14
    assert len(list(BACKGROUND_FOLDER.glob("panoramas/*.jpg"))) == 12
    assert len(list(SKIN_FOLDER.glob("*.jpg"))) == 12
    assert "CC0 1.0" in (BACKGROUND_FOLDER / "LICENSE_CC0.txt").read_text()
    assert "CC0 1.0" in (SKIN_FOLDER / "LICENSE_CC0.md").read_text()
    size = sum(path.stat().st_size for path in BACKGROUND_FOLDER.parent.rglob("*") if path.is_file())
    assert size < 3e6


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(16, 130), share=st.sampled_from([0.0, 1.0]))
def test_photograph_backgrounds_have_the_size_asked_for_and_repeat(seed, size, share):
    background = PhotographBackground(share)
    picture = background.draw(np.random.default_rng(seed), size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, background.draw(np.random.default_rng(seed), size))
