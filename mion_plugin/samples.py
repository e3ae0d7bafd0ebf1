"""Data samples and tensors: the one place where batches of the data loader are unpacked and results packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import roma
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mion_plugin.bodies import Bodies
from mion_plugin.body.arrays import NUM_BETAS, NUM_JOINTS
from mion_plugin.body.smpl import SMPLBody
from mion_plugin.geometry.keypoints import convert_keypoints, keypoint_names
from mion_plugin.geometry.precision import full_precision

MODES = ("tensor", "loss", "predict")  # of every model's forward, see mmengine's BaseModel
DEFAULT_CONVENTIONS = {"keypoints2d": "coco", "keypoints3d": "h36m"}
TARGETS_2D = {"annotated": "keypoints2d", "detected": "keypoints2d_input"}  # name -> field of gt_body
_PREDICTED_CONVENTION = "h36m"  # of packed 3D keypoints; what mion.MeshMetric reads


@dataclass(frozen=True)
class Targets:
    """What is known about B people; absent parts are zeros that the flags and confidences mask.

    Attributes:
        keypoints2d: (B, K, 3) crop pixels and confidence.
        keypoints2d_convention: Their order.
        keypoints3d: (B, K3, 4) metres, camera axes, any origin, and confidence.
        keypoints3d_convention: Their order.
        rotations: (B, 24, 3, 3) SMPL pose.
        betas: (B, 10).
        has_keypoints2d, has_keypoints3d, has_smpl: (B,) bool.
    """

    keypoints2d: Tensor
    keypoints2d_convention: str
    keypoints3d: Tensor
    keypoints3d_convention: str
    rotations: Tensor
    betas: Tensor
    has_keypoints2d: Tensor
    has_keypoints3d: Tensor
    has_smpl: Tensor


def check_mode(mode: str) -> None:
    """Raise ValueError for a mode that mmengine's models do not have."""
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")


def stack_images(inputs: Tensor | Sequence[Tensor]) -> Tensor:
    """The images (B, 3, H, W) of a batch, which may come as a list.

    Raises:
        ValueError: Not normalised float images with three channels.
    """
    image = inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
    if image.dim() != 4 or image.shape[1] != 3 or not image.is_floating_point():
        raise ValueError(
            f"images are {image.dtype} {tuple(image.shape)}, expected normalised floats (B, 3, H, W): use "
            "mion.Normalize in the pipeline, or ImgDataPreprocessor with mean and std as data_preprocessor"
        )
    return image


def check_samples(
    samples: Sequence[BaseDataElement] | None, count: int, image_size: float
) -> Sequence[BaseDataElement]:
    """The samples of a batch, one for each of ``count`` images, of crops of the model's size.

    Raises:
        ValueError: None or another number of samples, or a crop of another size; the message names the sample.
    """
    if samples is None or len(samples) != count:
        given = "none" if samples is None else len(samples)
        raise ValueError(f"{count} images came with {given} data samples, expected one for each")
    for sample in samples:
        crop_size = sample.get("crop_size", image_size)
        if crop_size != image_size:
            raise ValueError(
                f"{sample_name(sample)}: a crop of {crop_size} px, but the model's image_size is {image_size}; set "
                "image_size and focal_length to the crop's"
            )
    return samples


def sample_name(sample: Mapping[str, Any] | BaseDataElement) -> str:
    """What to call a sample in errors."""
    return str(sample.get("image_path", f"sample {sample.get('sample_idx', 'without a name')}"))


def input_keypoints(samples: Sequence[BaseDataElement], convention: str, device: torch.device) -> Tensor:
    """The 2D keypoints that stage 1 sees, (B, K, 3) in ``convention``; joints that the data lack have confidence 0.

    ``gt_body.keypoints2d_input``, or ``gt_body.keypoints2d`` where there is none.

    Raises:
        ValueError: A sample has neither, or they have another shape than their convention says.
    """
    keypoints = []
    for sample in samples:
        key = "keypoints2d_input" if "keypoints2d_input" in sample.gt_body else "keypoints2d"
        own = sample.get("keypoints2d_convention", DEFAULT_CONVENTIONS["keypoints2d"])
        value = _read(sample, key, (len(keypoint_names(own)), 3))
        if value is None:
            raise ValueError(f"{sample_name(sample)}: gt_body has neither keypoints2d_input nor keypoints2d")
        keypoints.append(value if own == convention else convert_keypoints(value, own, convention)[0])
    return torch.stack([value.to(device, torch.float32) for value in keypoints])


def convention_read(selector: Any, refiner: Any) -> str | None:
    """Order of the 2D keypoints that stages 1 and 2 read, or None where neither reads any; each may be None."""
    if selector is not None:
        return selector.keypoints2d_convention
    return getattr(refiner, "keypoints2d_convention", None)  # another stage 2 need not know of any


def read_keypoints(
    samples: Sequence[BaseDataElement], selector: Any, refiner: Any, device: torch.device
) -> Tensor | None:
    """(B, K, 3) what stages 1 and 2 see: ``input_keypoints``, or ``known_keypoints`` where neither reads any."""
    convention = convention_read(selector, refiner)
    if convention is None:
        return known_keypoints(samples, DEFAULT_CONVENTIONS["keypoints2d"], device)
    return input_keypoints(samples, convention, device)


def read_depths(samples: Sequence[BaseDataElement], convention: str, device: torch.device) -> Tensor | None:
    """(B, K, 2) what is known of the keypoints' depths, in ``convention``; None where no sample knows any.

    ``gt_body.depths_input`` (K, 2) in the order of the sample's 2D keypoints: metres behind the middle of the hips, z
    into the scene, and the precision of that, one over its mean error, 1 / metres. Precision 0 is unknown, as are
    keypoints and samples that lack it. Like ``keypoints2d_input`` it is what the model may see, not the truth.

    Raises:
        ValueError: They have another shape than the sample's convention says.
    """
    if not any("depths_input" in sample.gt_body for sample in samples):
        return None
    depths = []
    for sample in samples:
        own = sample.get("keypoints2d_convention", DEFAULT_CONVENTIONS["keypoints2d"])
        shape = (len(keypoint_names(own)), 2)
        value = _read(sample, "depths_input", shape)
        value = torch.zeros(shape) if value is None else value
        depths.append(value if own == convention else convert_keypoints(value, own, convention)[0])
    return torch.stack([value.to(device, torch.float32) for value in depths])


def known_depths(part: Any, depths: Tensor | None) -> dict[str, Tensor]:
    """What a stage 2, or a fit, is called with beside the rest: ``depths``, if there are any and it reads them."""
    return {"depths": depths} if depths is not None and getattr(part, "reads_depths", False) else {}


def known_keypoints(samples: Sequence[BaseDataElement], convention: str, device: torch.device) -> Tensor | None:
    """``input_keypoints``, or None where a sample has none."""
    if not all("keypoints2d" in sample.gt_body or "keypoints2d_input" in sample.gt_body for sample in samples):
        return None
    return input_keypoints(samples, convention, device)


def provided_candidates(samples: Sequence[BaseDataElement], device: torch.device) -> Bodies:
    """Candidates that the data provide as ``sample.candidates``.

    Those hold ``pose`` (N, 24, 3) axis-angle and ``transl`` (N, 3), and may hold ``fit_loss`` (N,), ``valid`` () and
    ``pncc`` (N, 3, h, w). All samples of a batch hold the same.

    Raises:
        ValueError: A sample holds no candidates or others than the rest of the batch, or a shape or value is wrong.
    """
    for sample in samples:
        _check_candidates(sample, samples[0])
    given = samples[0].candidates.keys()
    transl = _stack_candidates(samples, "transl", device)
    unknown = torch.full_like(transl[..., 0], torch.inf)
    return Bodies.with_mean_shape(
        _stack_candidates(samples, "pose", device),
        transl,
        fit_loss=_stack_candidates(samples, "fit_loss", device) if "fit_loss" in given else unknown,
        valid=_stack_candidates(samples, "valid", device) != 0
        if "valid" in given
        else transl.new_ones(len(samples)) != 0,
        pncc=_stack_candidates(samples, "pncc", device) if "pncc" in given else None,
    )


def collect_targets(
    samples: Sequence[BaseDataElement], device: torch.device, keypoints2d: str = "annotated"
) -> Targets:
    """The targets in the ``gt_body`` of B samples; see ``PackBodyInputs``.

    Args:
        samples: Of one batch.
        device: Where to.
        keypoints2d: ``annotated``: the 2D target is ``keypoints2d``. ``detected``: it is ``keypoints2d_input``, what
            stage 1 sees, whether or not a person has annotated joints.

    Raises:
        ValueError: Samples of one batch name their keypoints in different conventions, or a shape is wrong; an unknown
            target, or a sample without it.
    """
    if keypoints2d not in TARGETS_2D:
        raise ValueError(f"keypoints2d_target is {keypoints2d!r}, expected one of {', '.join(TARGETS_2D)}")
    key = TARGETS_2D[keypoints2d]
    if keypoints2d == "detected":
        for sample in samples:
            if key not in sample.gt_body:
                raise ValueError(f"{sample_name(sample)}: gt_body has no {key}, and keypoints2d_target is 'detected'")
    conventions = {key: common_convention(samples, key) for key in DEFAULT_CONVENTIONS}
    num = {key: len(keypoint_names(convention)) for key, convention in conventions.items()}
    global_orient = _stack(samples, "smpl_global_orient", (3,), device)
    body_pose = _stack(samples, "smpl_body_pose", (NUM_JOINTS - 1, 3), device)
    return Targets(
        keypoints2d=_stack(samples, key, (num["keypoints2d"], 3), device),
        keypoints2d_convention=conventions["keypoints2d"],
        keypoints3d=_stack(samples, "keypoints3d", (num["keypoints3d"], 4), device),
        keypoints3d_convention=conventions["keypoints3d"],
        rotations=roma.rotvec_to_rotmat(torch.cat([global_orient[:, None], body_pose], dim=1)),
        betas=_stack(samples, "smpl_betas", (NUM_BETAS,), device),
        has_keypoints2d=_flags(samples, f"has_{key}", (key,), device),
        has_keypoints3d=_flags(samples, "has_keypoints3d", ("keypoints3d",), device),
        has_smpl=_flags(samples, "has_smpl", ("smpl_global_orient", "smpl_body_pose", "smpl_betas"), device),
    )


def common_convention(samples: Sequence[BaseDataElement], key: str) -> str:
    """The convention of ``keypoints2d`` or ``keypoints3d`` in all samples; raises ValueError if there are several."""
    found = sorted({sample.get(f"{key}_convention", DEFAULT_CONVENTIONS[key]) for sample in samples})
    if len(found) != 1:
        raise ValueError(
            f"the samples of one batch have {key} in {', '.join(found)}; give all data sets one {key}_convention"
        )
    return found[0]


@torch.no_grad()
def pack_bodies(
    bodies: Bodies, body: SMPLBody, with_vertices: bool = False, **values: Tensor | None
) -> list[BaseDataElement]:
    """One element for each image, in the form that ``mion.MeshMetric`` and ``mion.SelectionMetric`` read.

    It holds ``pose`` (N, 24, 3, 3) or, where the bodies have it so, (N, 24, 3); ``betas`` (N, 10); ``transl`` (N, 3);
    ``keypoints3d`` (N, 17, 3) in h36m order without translation, metres (not for a body without the Human3.6M
    regressor); ``vertices`` (N, V, 3) likewise, on request; ``fit_loss`` (N,) and ``valid`` () where the bodies have
    them; and the rows of ``values``, but for those that are None.
    """
    found: dict[str, Tensor | None] = {"pose": bodies.pose, "betas": bodies.betas, "transl": bodies.transl}
    found |= {"fit_loss": bodies.fit_loss, "valid": bodies.valid, **values}
    if body.arrays.regressor_h36m is not None:
        with full_precision(bodies.transl):
            found["keypoints3d"] = body.pose_keypoints(bodies.pose, bodies.betas, convention=_PREDICTED_CONVENTION)
    if with_vertices:
        found["vertices"] = bodies.posed(body).vertices
    return [
        BaseDataElement(**{name: value[row].detach() for name, value in found.items() if value is not None})
        for row in range(len(bodies.transl))
    ]


def bodies_to_give(sample: BaseDataElement) -> BaseDataElement:
    """``pred_bodies`` with the ``alternatives`` in the places of the paths, where the model gives them.

    What is not known of an alternative, such as what the choice went by, stays that of the path it was moved from.
    """
    found = sample.pred_bodies
    if "alternatives" not in sample:
        return found
    of_paths = {k: v for k, v in found.items() if k not in ("vertices", "keypoints3d", "combined_scores")}
    return found.new(**{**of_paths, **dict(sample.alternatives.items())})


def add_results(
    samples: Sequence[BaseDataElement], **elements: Sequence[BaseDataElement] | Tensor
) -> list[BaseDataElement]:
    """Copies of B samples with further elements, such as ``pred_bodies`` and ``candidates``; B of each."""
    results = []
    for row, sample in enumerate(samples):
        result = sample.new()
        for name, rows in elements.items():
            setattr(result, name, rows[row])
        results.append(result)
    return results


def _check_candidates(sample: BaseDataElement, first: BaseDataElement) -> None:
    own = sample.get("candidates")
    if own is None or "pose" not in own or "transl" not in own:
        raise ValueError(
            f"{sample_name(sample)}: the model has no selector and the sample no candidates with pose and transl"
        )
    if set(own.keys()) != set(first.candidates.keys()):
        raise ValueError(
            f"{sample_name(sample)}: candidates hold {', '.join(sorted(own.keys()))}, those of {sample_name(first)} "
            f"{', '.join(sorted(first.candidates.keys()))}"
        )
    count = len(first.candidates.pose)
    for name, shape in {"pose": (count, NUM_JOINTS, 3), "transl": (count, 3)}.items():
        value = own.get(name)
        if tuple(value.shape) != shape:
            raise ValueError(
                f"{sample_name(sample)}: candidates.{name} has shape {tuple(value.shape)}, expected {shape}"
            )
        if not torch.isfinite(value).all():
            raise ValueError(f"{sample_name(sample)}: candidates.{name} holds NaN or infinite values")
    if not (own.transl[:, 2] > 0).all():
        raise ValueError(f"{sample_name(sample)}: candidates.transl has bodies behind the camera")


def _stack_candidates(samples: Sequence[BaseDataElement], name: str, device: torch.device) -> Tensor:
    values = [torch.as_tensor(sample.candidates.get(name)) for sample in samples]
    return torch.stack([value.to(device, torch.float32) for value in values])


def _flags(samples: Sequence[BaseDataElement], flag: str, keys: tuple[str, ...], device: torch.device) -> Tensor:
    """(B,) whether the sample has the keys and its flag, if it has one, is set."""
    values = [
        torch.as_tensor(sample.gt_body.get(flag, 1) if all(key in sample.gt_body for key in keys) else 0, device=device)
        for sample in samples
    ]
    return torch.stack(values) != 0  # on the device: asking each flag would wait for it


def _stack(samples: Sequence[BaseDataElement], key: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """(B, *shape) float32, zeros where a sample lacks the key."""
    values = [_read(sample, key, shape) for sample in samples]
    return torch.stack(
        [torch.zeros(shape, device=device) if value is None else value.to(device, torch.float32) for value in values]
    )


def _read(sample: BaseDataElement, key: str, shape: tuple[int, ...]) -> Tensor | None:
    value = sample.gt_body.get(key)
    if value is not None and tuple(value.shape) != shape:
        raise ValueError(f"{sample_name(sample)}: {key} has shape {tuple(value.shape)}, expected {shape}")
    return value
