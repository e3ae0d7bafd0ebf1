"""The two networks as functions of tensors alone, and the steps before them that stay in Python.

What stays: stage 1 (``CandidateSelector``: a search in a pool), encoding the candidates, and rendering PNCC images
(a z-buffer), none of which is a network. ``refinement_inputs`` and ``consistency_inputs`` take these steps; whoever
runs the exported networks elsewhere calls them, or makes the same numbers in another way:

    image, 2D keypoints -> CandidateSelector -> refinement_inputs -> [MRT] -> pose, betas, transl
    image, vertices of those bodies -> consistency_inputs -> [CEN] -> score

Batch B and candidates N are free in the exported networks; the image's size is fixed.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from mion_plugin.bodies import Bodies
from mion_plugin.consistency.encoding import EncodedBodies
from mion_plugin.consistency.network import ConsistencyEstimationNetwork
from mion_plugin.refinement.encoding import EncodedCandidates
from mion_plugin.refinement.network import RefinementNetwork


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
        self.network.bfloat16_features = self.network.transformer.in_bfloat16 = False

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
        refined = self.network.decode(image, EncodedCandidates(rotations, transl, pelvis, joints2d, pncc, evidence))
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
            raise ValueError(f"the third stage is a {type(cen).__name__}, expected a mion.CEN: no other is exported")
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
        (B, N, K, 5).
    """
    encoded = vars(refiner.encode(candidates, keypoints2d))
    return {"image": image, **{name: value for name, value in encoded.items() if value is not None}}


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
