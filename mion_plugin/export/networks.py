"""The two networks as functions of tensors alone, and the steps before them that stay in Python.

What stays: stage 1 (``CandidateSelector``: a search in a pool), encoding the candidates, and rendering PNCC images
(a z-buffer) or projecting keypoints, none of which is a network. ``refinement_inputs``, ``consistency_inputs`` and
``reader_inputs`` take these steps; whoever runs the exported networks elsewhere calls them, or makes the same numbers
in another way:

    image, 2D keypoints -> CandidateSelector -> refinement_inputs -> [MRT] -> pose, betas, transl
    image, vertices of those bodies -> consistency_inputs -> [CEN] -> score
    image, those bodies -> reader_inputs -> [depth reader] -> depths, errors -> depth_measures

and, where the third stage corrects the keypoints, before all others:

    image, 2D keypoints -> [locator] -> 2D keypoints

Batch B and candidates N are free in the exported networks; the image's size is fixed.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.consistency.encoding import EncodedBodies
from mion_plugin.consistency.network import ConsistencyEstimationNetwork
from mion_plugin.consistency.reading import DepthConsistency, DepthReader
from mion_plugin.consistency.reading.locator import corrected_keypoints
from mion_plugin.refinement.encoding import EncodedCandidates
from mion_plugin.refinement.network import RefinementNetwork

_OF_THE_IMAGE_PART = ("image", "joints2d", "pncc")  # nothing else reads these


class RefinementExport(nn.Module):
    """A ``mion.RefinementNetwork`` from its first weight to its last, in float32.

    Args:
        refiner: It is copied; options that run parts in bfloat16 are off in the copy.
    """

    input_dims = {  # noqa: RUF012  name of an input -> names of its free dimensions
        "image": ("batch",),
        **dict.fromkeys(("rotations", "transl", "pelvis", "joints2d", "pncc", "evidence"), ("batch", "candidates")),
    }
    output_names = ("pose", "betas", "refined_transl")

    def __init__(self, refiner: RefinementNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(refiner).float().eval()
        self.network.bfloat16_features = False
        for part in self.network.modules():
            if hasattr(part, "in_bfloat16"):
                part.in_bfloat16 = False

    def forward(
        self,
        *,
        image: Tensor | None = None,
        rotations: Tensor,
        transl: Tensor,
        pelvis: Tensor,
        joints2d: Tensor | None = None,
        pncc: Tensor | None = None,
        evidence: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refined pose (B, N, 24, 3, 3), betas (B, N, 10) and translation (B, N, 3) in metres.

        Arguments as ``refinement_inputs`` gives them.
        """
        unread = transl.new_zeros(0)
        candidates = EncodedCandidates(
            rotations,
            transl,
            pelvis,
            joints2d=unread if joints2d is None else joints2d,
            pncc=unread if pncc is None else pncc,
            evidence=evidence,
        )
        refined = self.network.decode(image, candidates)
        return refined.pose, refined.betas, refined.transl


class ConsistencyExport(nn.Module):
    """The network of a ``mion.CEN``, in float32.

    Args:
        cen: It is copied; an option that runs parts in bfloat16 is off in the copy.

    Raises:
        ValueError: Another third stage.
    """

    input_dims = dict.fromkeys(("image_and_pncc", "places", "offsets"), ("samples",))
    output_names = ("score", "distances")
    _cen: ConsistencyEstimationNetwork

    def __init__(self, cen: ConsistencyEstimationNetwork) -> None:
        super().__init__()
        if not isinstance(cen, ConsistencyEstimationNetwork):
            raise ValueError(f"the third stage is a {type(cen).__name__}, expected a mion.CEN")
        copied = copy.deepcopy(cen).float().eval()
        copied.bfloat16_features = False
        self.backbone, self.head = copied.backbone, copied.head
        # Beside the registered parts, not among them: its body model has no place in the exported file.
        object.__setattr__(self, "_cen", copied)

    def forward(
        self, image_and_pncc: Tensor, places: Tensor | None = None, offsets: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scores (S,), the lowest is best, and distances (S, V) in body heights.

        Arguments as ``consistency_inputs`` gives them.
        """
        distances = self._cen.decode(EncodedBodies(image_and_pncc, places, offsets))
        return distances.mean(dim=-1), distances


class ReaderExport(nn.Module):
    """The ``mion.DepthReader`` of a ``mion.DepthConsistency``, in float32.

    How its depths become a score is a line of arithmetic without weights: ``DepthConsistency``, ``depth_measures``.

    Args:
        cen: Its reader is copied; an option that runs parts in bfloat16 is off in the copy.

    Raises:
        ValueError: Another third stage.
    """

    input_dims = {  # noqa: RUF012  as RefinementExport's
        "image": ("batch",),
        **dict.fromkeys(("keypoints2d", "own_depths"), ("batch", "candidates")),
    }
    output_names = ("depths", "errors")

    def __init__(self, cen: DepthConsistency) -> None:
        super().__init__()
        self.reader = _reader_of(cen)
        self.reader.locator = None

    def forward(self, image: Tensor, keypoints2d: Tensor, own_depths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Depths (B, N, K) in metres relative to the middle of the hips, and stated errors (B, N, K) in metres.

        Arguments as ``reader_inputs`` gives them.
        """
        reading = self.reader(image, keypoints2d, own_depths)
        return reading.depths, reading.errors


class LocatorExport(nn.Module):
    """What corrects the 2D keypoints in a ``mion.DepthConsistency``, in float32.

    Args:
        cen: Its reader is copied; an option that runs parts in bfloat16 is off in the copy.

    Raises:
        ValueError: Another third stage, or one that corrects no keypoints.
    """

    input_dims = dict.fromkeys(("image", "keypoints2d"), ("batch",))
    output_names = ("corrected",)

    def __init__(self, cen: DepthConsistency) -> None:
        super().__init__()
        self.reader = _reader_of(cen)
        if self.reader.locator is None:
            raise ValueError("the third stage's reader has no locator: it corrects no keypoints")

    def forward(self, image: Tensor, keypoints2d: Tensor) -> tuple[Tensor]:
        """Keypoints (B, K, 3) as ``DepthConsistency.correct_keypoints`` gives them.

        Args:
            image: (B, 3, H, W) normalised float.
            keypoints2d: (B, K, 3) crop pixels and confidence.
        """
        reading = self.reader.locate(self.reader.look(image), keypoints2d)
        return (corrected_keypoints(reading, keypoints2d, self.reader.camera),)


def _reader_of(cen: DepthConsistency) -> DepthReader:
    """A copy of the reader in float32."""
    if not isinstance(cen, DepthConsistency):
        raise ValueError(f"the third stage is a {type(cen).__name__}, expected a mion.DepthConsistency")
    reader = copy.deepcopy(cen.reader).float().eval()
    reader.bfloat16_features = False
    return reader


def refinement_inputs(
    refiner: RefinementNetwork, image: Tensor, candidates: Bodies, keypoints2d: Tensor
) -> dict[str, Tensor]:
    """What ``RefinementExport`` takes, for N candidates of each of B images.

    Args:
        refiner: The network that was exported.
        image: (B, 3, H, W) normalised float (``mion.Normalize``).
        candidates: (B, N), as ``CandidateSelector`` gives.
        keypoints2d: (B, K, 3) x, y in crop pixels and confidence, in the network's convention.

    Returns:
        image, and the fields of ``EncodedCandidates``: rotations (B, N, 24, 3, 3), transl (B, N, 3), pelvis (B, N, 3)
        in metres, joints2d (B, N, 24, 2), pncc (B, N, 3, h, w); and, if the network reads keypoints, evidence
        (B, N, K, 5), or (B, N, K, 7) with depths, none of which are known. Without an image part: no image, joints2d
        and pncc.
    """
    encoded = {"image": image, **vars(refiner.encode(candidates, keypoints2d))}
    unread = () if refiner.reads_image else _OF_THE_IMAGE_PART
    return {name: value for name, value in encoded.items() if value is not None and name not in unread}


def consistency_inputs(cen: ConsistencyEstimationNetwork, image: Tensor, bodies: Bodies | Tensor) -> dict[str, Tensor]:
    """What ``ConsistencyExport`` takes, for S = B * N bodies, image by image.

    Args:
        cen: The model that was exported.
        image: (B, 3, H, W) normalised float.
        bodies: (B, N), or vertices (B, N, V, 3) in metres, camera frame.

    Returns:
        image_and_pncc (S, 6, H, W); and, if the network reads features at its anchors, places (S, K, 2) and offsets
        (S, K, 3) of ``EncodedBodies``.
    """
    encoded = cen.encode(image, bodies)
    inputs = {"image_and_pncc": encoded.picture}
    if encoded.places is not None and encoded.offsets is not None:
        inputs |= {"places": encoded.places, "offsets": encoded.offsets}
    return inputs


def reader_inputs(cen: DepthConsistency, image: Tensor, bodies: Bodies) -> dict[str, Tensor]:
    """What ``ReaderExport`` takes, for N bodies of each of B images.

    Args:
        cen: The model whose reader was exported.
        image: (B, 3, H, W) normalised float.
        bodies: (B, N).

    Returns:
        image; keypoints2d (B, N, K, 3), the bodies' own: crop pixels, and confidence 1 inside the crop, 0 outside; and
        own_depths (B, N, K), for a reader that takes them.
    """
    inputs = {"image": image, "keypoints2d": cen.project(bodies)}
    return {**inputs, "own_depths": cen.depths(bodies)} if cen.reader.own_depths else inputs
