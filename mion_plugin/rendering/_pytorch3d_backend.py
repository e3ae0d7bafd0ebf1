"""pytorch3d's rasteriser behind the interface of the others: a slow, independent reference."""

from __future__ import annotations

import torch
from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
from pytorch3d.structures import Meshes
from torch import Tensor


def rasterize_pytorch3d(
    screen: Tensor, faces: Tensor, height: int, width: int, cull_backfaces: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As ``rasterize_torch``.

    pytorch3d treats the border of a face as outside, so pixels whose centre lies on an edge may differ.
    """
    batch = screen.shape[0]
    if batch == 0 or len(faces) == 0:
        shape = (batch, height, width)
        background = screen.new_full(shape, -1, dtype=torch.int64)
        return background, screen.new_full(shape, torch.inf), screen.new_zeros((*shape, 3))
    # In pytorch3d x points left, y up, and the shorter side of the image spans -1..1.
    extent = screen.new_tensor([width, height])
    position = (extent - 2 * (screen[..., :2] + 0.5)) / min(height, width)
    hidden = position.isnan().any(-1)[:, faces].any(-1)
    vertices = torch.cat([position.nan_to_num(), 1.0 / screen[..., 2:]], dim=-1)
    # A face that must not be drawn becomes a point: pytorch3d skips faces without area.
    drawn = torch.where(hidden[..., None], faces[None, :, :1], faces)
    index, depth, barycentric, _ = rasterize_meshes(
        Meshes(list(vertices), list(drawn)),
        image_size=(height, width),
        blur_radius=0.0,
        faces_per_pixel=1,
        perspective_correct=True,
        clip_barycentric_coords=False,
        cull_backfaces=cull_backfaces,
    )
    index, depth, barycentric = index[..., 0], depth[..., 0], barycentric[..., 0, :]
    seen = index >= 0
    first_face = torch.arange(batch, device=index.device)[:, None, None] * len(faces)
    return (
        torch.where(seen, index - first_face, -1),
        torch.where(seen, depth, torch.inf),
        torch.where(seen[..., None], barycentric, 0.0),
    )
