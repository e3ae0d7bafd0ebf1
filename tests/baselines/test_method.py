"""mion.MMHuman3DMethod against mmhuman3d's train_step and forward_test on the batches of mmhuman3d's pipeline."""

import copy
import functools

import numpy as np
import pytest
import torch
from support.mmhuman3d_methods import architecture

from mion_plugin.body import SMPLBody
from mion_plugin.datasets import HumanDataset
from mion_plugin.geometry.camera import project
from mion_plugin.registry import MODELS

builder = pytest.importorskip("mmhuman3d.models.architectures.builder", reason="mmhuman3d is the reference here")
data_builder = pytest.importorskip("mmhuman3d.data.datasets.builder", reason="mmhuman3d is the reference here")

METHODS = ("hmr", "spin", "cliff", "pare")
KEYS = [
    *("has_smpl", "smpl_body_pose", "smpl_global_orient", "smpl_betas", "smpl_transl", "keypoints2d", "keypoints3d"),
    *("is_flipped", "center", "scale", "rotation", "sample_idx"),
]
BOX_KEYS = ["img_h", "img_w", "focal_length", "bbox_info", "crop_trans"]
FLAGS = ["has_keypoints2d", "has_keypoints3d"]
# mirrored, but where absolute pixels count: mmhuman3d's mirror image is one pixel aside, see RandomHorizontalFlip
FLIP_PROB = {"hmr": 1.0, "spin": 1.0, "pare": 1.0, "cliff": 0.0}
AUGMENTATION = dict(rotation=25.0, scale=1.1)  # by hand, since the two draw from different generators


class Augment:
    """A fixed rotation and scale, in either pipeline."""

    def __call__(self, results):
        results["scale"] = np.asarray(results["scale"]) * AUGMENTATION["scale"]
        results["rotation"] = AUGMENTATION["rotation"]
        return results


def our_samples(method, name):
    convention = architecture(method)["convention"]
    dataset = HumanDataset(
        f"{name}.npz",
        data_prefix="data",
        dataset_name=name,
        keypoints2d_convention=convention,
        keypoints3d_convention=convention,
        pipeline=[
            dict(type="mion.LoadImageFromFile"),
            dict(type="mion.RandomHorizontalFlip", flip_prob=FLIP_PROB[method]),
            Augment(),
            dict(type="mion.MeshAffine", img_res=224),
            dict(type="mion.Normalize"),
            dict(type="mion.PackBodyInputs"),
        ],
    )
    return [dataset[row] for row in range(len(dataset))]


def their_samples(method, name):
    convention = architecture(method)["convention"]
    boxes = [dict(type="GetBboxInfo")] if method == "cliff" else []
    keys = KEYS + (BOX_KEYS if method == "cliff" else []) + (FLAGS if method == "pare" else [])
    pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="RandomHorizontalFlip", flip_prob=FLIP_PROB[method], convention=convention),
        *boxes,
        dict(type="MeshAffine", img_res=224),
        dict(type="ImageToTensor", keys=["img"]),
        dict(type="ToTensor", keys=keys),
        dict(type="Collect", keys=["img", *keys], meta_keys=["dataset_name", "image_path"]),
    ]
    dataset = data_builder.build_dataset(
        dict(
            type="HumanImageDataset",
            dataset_name=name,
            data_prefix="data",
            pipeline=pipeline,
            convention=convention,
            ann_file=f"{name}.npz",
        )
    )
    dataset.pipeline.transforms.insert(2, Augment())
    return [dataset[row] for row in range(len(dataset))]


def make_batches(method, sets):
    """Images and samples of this package, and mmhuman3d's batch of the same people with the same images."""
    ours = [sample for name in sets for sample in our_samples(method, name)]
    theirs = [sample for name in sets for sample in their_samples(method, name)]
    image = torch.stack([sample["inputs"] for sample in ours])  # theirs are sampled half a pixel aside
    metas = [sample.pop("img_metas").data for sample in theirs]
    batch = {key: torch.stack([torch.as_tensor(sample[key]) for sample in theirs]) for key in theirs[0]}
    for key, value in batch.items():
        if value.dtype == torch.float64:
            batch[key] = value.float()
    return image, [sample["data_samples"] for sample in ours], {**batch, "img": image, "img_metas": metas}


def make_models(method):
    """The adapter, and mmhuman3d's model of the same weights, both in training mode without dropout."""
    return copy.deepcopy(_built_models(method))


@functools.cache
def _built_models(method):
    torch.manual_seed(0)
    ours = MODELS.build(
        dict(
            type="mion.MMHuman3DMethod",
            architecture=architecture(method),
            static_fits="data/static_fits",
            keypoint_flags=method == "pare",
        )
    )
    theirs = builder.build_architecture(copy.deepcopy(architecture(method)))
    weights = {name.removeprefix("architecture."): value for name, value in ours.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith("body_model") for name in missing)
    if method == "pare":  # mmhuman3d's own ResNet gives a tuple, which its PareHead does not take
        theirs.backbone.register_forward_hook(lambda module, inputs, features: features[-1])
    for model in (ours, theirs):
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()
    return ours, theirs


class RecordingOptimizer:
    """Stands where mmhuman3d expects an optimizer, and leaves the weights alone."""

    def __init__(self, part):
        self.part = part

    def zero_grad(self):
        self.part.zero_grad()

    def step(self):
        pass


@pytest.mark.usefixtures("in_root")
@pytest.mark.parametrize("method", METHODS)
def test_losses_and_gradients_are_mmhuman3ds(method):
    ours, theirs = make_models(method)
    image, samples, batch = make_batches(method, ("h36m", "lsp"))
    losses = ours(image, samples, mode="loss")
    total, log = ours.parse_losses(losses)
    total.backward()
    optimizers = {name: RecordingOptimizer(getattr(theirs, name)) for name in ("backbone", "head")}
    wanted = theirs.train_step(batch, optimizers)["log_vars"]
    assert set(log) == set(wanted)
    for name, value in wanted.items():
        assert float(log[name]) == pytest.approx(value, rel=2e-4), name
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.architecture.named_parameters():
        expected = gradients[name].grad
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()) + 1e-7)


@pytest.mark.usefixtures("in_root")
@pytest.mark.parametrize("method", METHODS)
def test_predictions_are_mmhuman3ds(method):
    ours, theirs = (model.eval() for model in make_models(method))
    ours.predict_vertices = True
    image, samples, batch = make_batches(method, ("h36m",))
    with torch.no_grad():
        predicted = ours(image, samples, mode="predict")
        wanted = theirs(return_loss=False, **batch)
    names = {"pose": "smpl_pose", "betas": "smpl_beta", "keypoints3d": "keypoints_3d", "vertices": "vertices"}
    for row, sample in enumerate(predicted):
        for our_name, their_name in names.items():
            value = sample.pred_bodies.get(our_name)
            assert len(value) == 1  # one path
            np.testing.assert_allclose(value[0], wanted[their_name][row], atol=2e-5)
        assert sample.gt_body is samples[row].gt_body


@pytest.mark.usefixtures("in_root")
def test_spins_fits_are_remembered_as_mmhuman3d_does():
    ours, theirs = make_models("spin")
    image, samples, batch = make_batches("spin", ("lsp",))
    ours(image, samples, mode="loss")
    theirs.train_step(batch, {"head": RecordingOptimizer(theirs.head)})
    rows = torch.arange(len(samples))
    key = (["lsp"] * len(samples), rows, torch.zeros(len(samples)), torch.zeros(len(samples)))
    static = torch.from_numpy(np.load("data/static_fits/lsp_fits.npy"))
    for mine, wanted in zip(ours.architecture.fits_dict[key], theirs.fits_dict[key], strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(ours.architecture.fits_dict[key][0][:, 3:], static[:, 3:72])  # some fit got better


@pytest.mark.usefixtures("in_root")
def test_losses_of_an_image_at_half_the_size_are_those_of_the_224_crop():
    """mmhuman3d's camera and losses know 224 px alone."""
    method = make_models("hmr")[0].eval()
    image, samples, _ = make_batches("hmr", ("h36m",))
    full = method(image, samples, mode="loss")
    half_samples = [sample.clone() for sample in samples]
    for sample in half_samples:
        sample.set_metainfo({"crop_size": 112})
        sample.gt_body.keypoints2d = sample.gt_body.keypoints2d * torch.tensor([0.5, 0.5, 1.0])
    method.image_size = 112
    half = method(image, half_samples, mode="loss")
    for name, value in full.items():
        torch.testing.assert_close(half[name], value)
    body = method(image, half_samples, mode="predict")[0].pred_bodies
    # the body stands where the weak-perspective camera puts it: x = s (X + tx) in half crops
    scale, *shift = method(image)["pred_cam"][0].tolist()
    pelvis = SMPLBody().pose_keypoints(body.pose, body.betas, convention="h36m")[0, 0]
    pixels = project((pelvis + body.transl[0])[None], 2500.0, (56.0, 56.0))[0]
    expected = 56.0 + 56.0 * scale * (pelvis[:2] + torch.tensor(shift))
    torch.testing.assert_close(pixels, expected, atol=0.1, rtol=0.01)


@pytest.mark.usefixtures("in_root")
def test_mixed_precision_keeps_losses_in_float32():
    method = make_models("hmr")[0]
    image, samples, _ = make_batches("hmr", ("h36m",))
    wanted = method(image, samples, mode="loss")
    with torch.autocast("cpu", torch.bfloat16):
        losses = method(image, samples, mode="loss")
    assert {value.dtype for value in losses.values()} == {torch.float32}
    for name, value in wanted.items():
        assert float(losses[name]) == pytest.approx(float(value), rel=0.05), name


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (dict(type="HybrIK_trainer"), "HybrIK runs on GPUs alone"),
            (dict(type="VideoBodyModelEstimator"), "expected one of ImageBodyModelEstimator, CliffImageBodyModel"),
            (dict(disc=dict(type="SMPLDiscriminator")), "leave out disc and loss_adv"),
        ],
    )
    @pytest.mark.usefixtures("in_root")
    def test_architectures_that_do_not_fit(self, change, message):
        with pytest.raises(ValueError, match=message):
            MODELS.build(dict(type="mion.MMHuman3DMethod", architecture={**architecture("hmr"), **change}))

    @pytest.mark.usefixtures("in_root")
    def test_missing_files(self):
        config = architecture("spin")
        config["registration"]["registrant"]["pose_prior_loss"]["prior_folder"] = "nowhere"
        with pytest.raises(FileNotFoundError, match=r"pose prior nowhere/gmm_08.pkl does not exist"):
            MODELS.build(dict(type="mion.MMHuman3DMethod", architecture=config))
        with pytest.raises(FileNotFoundError, match="static_fits nowhere"):
            MODELS.build(dict(type="mion.MMHuman3DMethod", architecture=architecture("spin"), static_fits="nowhere"))

    @pytest.mark.usefixtures("in_root")
    def test_samples_that_do_not_fit(self):
        method = make_models("hmr")[0]
        image, samples, _ = make_batches("hmr", ("h36m",))
        with pytest.raises(ValueError, match="3 images came with none data samples"):
            method(image, mode="loss")
        method.image_size = 112
        with pytest.raises(ValueError, match="a crop of 224 px, but the model's image_size is 112"):
            method(image, samples, mode="loss")
        with pytest.raises(ValueError, match="mode is 'train'"):
            method(image, samples, mode="train")
