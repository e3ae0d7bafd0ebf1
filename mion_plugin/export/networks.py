"""The two networks as functions of tensors alone, and the steps before them that stay in Python.

What stays: stage 1 (``CandidateSelector``: a search in a pool), the candidates' geometry, and rendering PNCC images
(a z-buffer), none of which is a network. ``refinement_inputs`` and ``consistency_inputs`` take these steps; whoever
runs the exported networks elsewhere calls them, or makes the same numbers in another way:

    image, 2D keypoints -> CandidateSelector -> refinement_inputs -> [MRT] -> pose, betas, transl
    image, vertices of those bodies -> consistency_inputs -> [CEN] -> score

Batch B and candidates N are free in the exported networks; the image's size is fixed.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from mion_plugin.consistency.encoding import EncodedBodies
from mion_plugin.consistency.network import ConsistencyEstimationNetwork
from mion_plugin.refinement.model import MeshRefinementTransformer
from mion_plugin.refinement.queries import CandidateGeometry, Keypoints2D, candidate_geometry, keypoint_evidence


class RefinementExport(nn.Module):
    """The network of a ``mion.MRT``, in float32.

    Args:
        refiner: It is copied; options that run parts in bfloat16 are off in the copy.
    """

    input_dims = {  # noqa: RUF012  name of an input -> names of its free dimensions
        "image": ("batch",),
        **dict.fromkeys(("rotations", "transl", "pelvis", "joints2d", "pncc", "evidence"), ("batch", "candidates")),
    }
    output_names = ("pose", "betas", "refined_transl")

    def __init__(self, refiner: MeshRefinementTransformer) -> None:
        super().__init__()
        self.network = copy.deepcopy(refiner.network).float().eval()
        self.network.bfloat16_features = self.network.bfloat16_transformer = False

    def forward(
        self,
        image: Tensor,
        rotations: Tensor,
        transl: Tensor,
        pelvis: Tensor,
        joints2d: Tensor,
        pncc: Tensor,
        evidence: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refined pose (B, N, 24, 3, 3), betas (B, N, 10) and translation (B, N, 3) in metres.

        Arguments as ``refinement_inputs`` gives them.
        """
        refined = self.network(image, CandidateGeometry(rotations, transl, pelvis, joints2d), pncc, evidence)
        return refined.pose, refined.betas, refined.transl


class ConsistencyExport(nn.Module):
    """The network of a ``mion.CEN``, in float32.

    Args:
        cen: It is copied; an option that runs parts in bfloat16 is off in the copy.
    """

    input_dims = dict.fromkeys(("image_and_pncc", "places", "offsets"), ("samples",))
    output_names = ("score", "distances")
    _cen: ConsistencyEstimationNetwork

    def __init__(self, cen: ConsistencyEstimationNetwork) -> None:
        super().__init__()
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
        distances = self._cen.encoded_distances(EncodedBodies(image_and_pncc, places, offsets))
        return distances.mean(dim=-1), distances


def refinement_inputs(
    refiner: MeshRefinementTransformer, image: Tensor, pose: Tensor, transl: Tensor, keypoints2d: Tensor
) -> dict[str, Tensor]:
    """What ``RefinementExport`` takes, for N candidates of each of B images.

    Args:
        refiner: The model that was exported.
        image: (B, 3, H, W) normalised float (``mion.Normalize``).
        pose: (B, N, 24, 3) axis-angle, as ``CandidateSelector`` gives.
        transl: (B, N, 3) metres, likewise.
        keypoints2d: (B, K, 3) x, y in crop pixels and confidence, in the refiner's convention.

    Returns:
        image; rotations (B, N, 24, 3, 3), transl (B, N, 3), pelvis (B, N, 3) metres and joints2d (B, N, 24, 2) of
        ``CandidateGeometry``; pncc (B, N, 3, h, w); and, if the refiner reads keypoints, evidence (B, N, K, 5) of
        ``keypoint_evidence``.
    """
    geometry = candidate_geometry(pose, transl, refiner.body, refiner.camera)
    inputs = {
        "image": image,
        "rotations": geometry.rotations,
        "transl": geometry.transl,
        "pelvis": geometry.pelvis,
        "joints2d": geometry.joints2d,
        "pncc": refiner.render_pncc(geometry.rotations, geometry.transl),
    }
    if refiner.network.queries.num_keypoints:
        given = Keypoints2D(keypoints2d, refiner.keypoints2d_convention)
        inputs["evidence"] = keypoint_evidence(given, geometry, refiner.body, refiner.camera)
    return inputs


def consistency_inputs(cen: ConsistencyEstimationNetwork, image: Tensor, vertices: Tensor) -> dict[str, Tensor]:
    """What ``ConsistencyExport`` takes, for S = B * N bodies, image by image.

    Args:
        cen: The model that was exported.
        image: (B, 3, H, W) normalised float.
        vertices: (B, N, V, 3) metres, camera frame.

    Returns:
        image_and_pncc (S, 6, H, W); and, if the network reads features at its anchors, places (S, K, 2) and offsets
        (S, K, 3) of ``EncodedBodies``.
    """
    bodies = cen.encode(image, vertices)
    inputs = {"image_and_pncc": bodies.picture}
    if bodies.places is not None and bodies.offsets is not None:
        inputs |= {"places": bodies.places, "offsets": bodies.offsets}
    return inputs
