"""The rasteriser in plain torch, for any device, without a loop over images or faces.

Faces are sorted into buckets by the size of their pixel box; in a bucket, all pixels of all boxes are tested in one
go; every hit becomes one int64 key, depth above face index, and the smallest key of a pixel wins.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Positive float32 numbers order like their bits, so depth bits above the face index sort by depth, then by index.
_FACE_BITS = 32
_EMPTY = torch.iinfo(torch.int64).max

# Most pixel tests made at once. It bounds the memory: about 40 bytes per test.
_MAX_TESTS = 2**20


def rasterize_torch(
    screen: Tensor, faces: Tensor, height: int, width: int, cull_backfaces: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Rasterise projected vertices.

    Args:
        screen: (B, V, 3) float32 column, row, 1 / depth; pixel centres at integers, NaN = draw no face there.
        faces: (F, 3) int64 on the same device.
        height: Pixels.
        width: Pixels.
        cull_backfaces: Draw only faces whose vertices run counter-clockwise as seen by the camera.

    Returns:
        Face index (B, H, W), depth (B, H, W) and barycentric weights (B, H, W, 3) as in ``Fragments``.
    """
    batch = screen.shape[0]
    keys = screen.new_full((batch * height * width,), _EMPTY, dtype=torch.int64)
    image, face, box = _faces_with_pixels(screen, faces, height, width)
    extent = torch.maximum(box[2] - box[0], box[3] - box[1]) + 1
    smaller, size, left = 0, 1, len(extent)
    while left:  # buckets without a face would cost a GPU as many launches and waits as full ones
        bucket = ((extent > smaller) & (extent <= size)).nonzero().flatten()
        for part in bucket.split(max(1, _MAX_TESTS // size**2)) if len(bucket) else ():
            _draw(keys, screen, faces, image[part], face[part], box[:, part], size, (height, width), cull_backfaces)
        left -= len(bucket)
        smaller, size = size, size + max(1, size // 2)
    return _resolve(keys, screen, faces, height, width)


def _faces_with_pixels(screen: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the faces whose bounding box holds a pixel centre: image (M,), face (M,), box (4, M).

    A box is first column, first row, last column, last row, within the image; int64.
    """
    # With the batch as last axis, gathering a face's corners copies whole rows: several times faster on a CPU.
    column, row = screen[..., 0].T.contiguous(), screen[..., 1].T.contiguous()
    first_column, last_column = _span(column, faces, width)
    first_row, last_row = _span(row, faces, height)
    face, image = ((first_column <= last_column) & (first_row <= last_row)).nonzero(as_tuple=True)
    box = torch.stack([bound[face, image] for bound in (first_column, first_row, last_column, last_row)])
    return image, face, box.long()


def _span(coordinate: Tensor, faces: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First and last pixel centre within each face along one axis, float (F, B); NaN where a corner is NaN."""
    a, b, c = (coordinate.index_select(0, corner) for corner in faces.unbind(1))
    first = torch.minimum(torch.minimum(a, b), c).ceil_().clamp_(min=0)
    last = torch.maximum(torch.maximum(a, b), c).floor_().clamp_(max=size - 1)
    return first, last


def _draw(
    keys: Tensor,
    screen: Tensor,
    faces: Tensor,
    image: Tensor,
    face: Tensor,
    box: Tensor,
    size: int,
    image_size: tuple[int, int],
    cull_backfaces: bool,
) -> None:
    """Test the pixels of M faces with boxes of at most size x size, and write the hits into `keys` (B * H * W,)."""
    height, width = image_size
    x, y, inverse_depth = _corners(screen, faces, image, face)
    step = torch.arange(size, device=box.device)[:, None]
    columns, rows = box[0] + step, box[1] + step  # (size, M)
    # The faces are the last axis, since the innermost loop over memory should be a long one.
    weights = edge_functions((x[:, None] - columns)[:, None, :], (y[:, None] - rows)[:, :, None])
    in_box = (columns <= box[2]) & (rows <= box[3])[:, None]
    row, column, hit = (_inside(weights, cull_backfaces) & in_box).nonzero(as_tuple=True)
    a, b, c = (weight[row, column, hit] for weight in weights)
    a_inverse, b_inverse, c_inverse = inverse_depth[:, hit]
    depth = (a + b + c) / (a * a_inverse + b * b_inverse + c * c_inverse)
    key = (depth.view(torch.int32).long() << _FACE_BITS) | face[hit]
    pixel = (image[hit] * height + rows[row, hit]) * width + columns[column, hit]
    keys.scatter_reduce_(0, pixel, key, "amin")


def edge_functions(dx: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Twice the signed areas of pixel and edge, opposite to each corner, from the corners relative to the pixel.

    Written so that swapping an edge's ends gives exactly the negative number in floating point: two faces with a
    common edge then agree to the last bit on which side of it a pixel lies, and leave no gap.

    Args:
        dx: (3, ...) corner minus pixel centre along x.
        dy: (3, ...) the same along y; broadcasts against `dx`.
    """
    ax, bx, cx = dx
    ay, by, cy = dy
    return bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx


def _inside(weights: tuple[Tensor, Tensor, Tensor], cull_backfaces: bool) -> Tensor:
    a, b, c = weights
    area = a + b + c
    # With y downwards, a face that runs counter-clockwise for the viewer has negative area.
    front = (torch.maximum(torch.maximum(a, b), c) <= 0) & (area < 0)
    if cull_backfaces:
        return front
    return front | ((torch.minimum(torch.minimum(a, b), c) >= 0) & (area > 0))


def _corners(screen: Tensor, faces: Tensor, image: Tensor, face: Tensor) -> Tensor:
    """Column, row and 1 / depth of the three corners of M faces, (3 coordinates, 3 corners, M)."""
    vertex = faces.index_select(0, face) + (image * screen.shape[1])[:, None]
    corners = screen.reshape(-1, 3).index_select(0, vertex.flatten())
    return corners.view(-1, 3, 3).permute(2, 1, 0).contiguous()


def _resolve(keys: Tensor, screen: Tensor, faces: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Turn the winning keys (B * H * W,) into face index, depth and barycentric weights."""
    shape = (screen.shape[0], height, width)
    pixel = (keys != _EMPTY).nonzero().flatten()
    key = keys[pixel]
    face = key & (2**_FACE_BITS - 1)
    face_index = torch.full_like(keys, -1).index_copy_(0, pixel, face)
    depth = screen.new_full(keys.shape, torch.inf)
    depth.index_copy_(0, pixel, (key >> _FACE_BITS).int().view(torch.float32))

    x, y, inverse_depth = _corners(screen, faces, pixel // (height * width), face)
    weights = edge_functions(x - pixel % width, y - pixel // width % height)
    a, b, c = (weight * inverse for weight, inverse in zip(weights, inverse_depth, strict=True))
    barycentric = screen.new_zeros((len(keys), 3))
    barycentric.index_copy_(0, pixel, torch.stack([a, b, c], dim=1) / (a + b + c)[:, None])
    return face_index.view(shape), depth.view(shape), barycentric.view(*shape, 3)
