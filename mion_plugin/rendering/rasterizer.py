"""A z-buffer rasteriser for triangle meshes: which face does each pixel see, where on it, and how far away.

PNCC, silhouettes, part maps, normals and shaded images are all interpolations of its result
(see ``rendering.interpolation``).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

BACKENDS = ("auto", "torch", "numba", "pytorch3d")

# Corner coordinates beyond this many pixels count as not projectable: their products would overflow float32.
_MAX_PIXEL = float(2**30)

# (screen, faces, height, width, cull_backfaces) -> face_index, depth, barycentric; see `_project` for `screen`.
Backend = Callable[[Tensor, Tensor, int, int, bool], tuple[Tensor, Tensor, Tensor]]
# by tensor, as long as it lives: how often it was written to when it was read, and what was read
_VERTEX_RANGES: MutableMapping[Tensor, tuple[int, int, int]] = WeakTensorKeyDictionary()


@dataclass(frozen=True)
class Fragments:
    """What every pixel of a batch of images sees.

    Convention: pixel (row, column) = (0, 0) is the top left one and its centre is at x = y = 0.5; x goes right,
    y down, depth is the camera-frame z in metres. A pixel at its centre is covered by a face when the centre
    lies inside the face or on its border.

    Attributes:
        face_index: (B, H, W) int64, the nearest face; -1 where no face is seen.
        depth: (B, H, W) float32, metres along z (not along the ray); +inf where no face is seen.
        barycentric: (B, H, W, 3) float32, perspective-correct weights of the face's three vertices, in 0..1 and
            summing to 1; 0 where no face is seen.
    """

    face_index: Tensor
    depth: Tensor
    barycentric: Tensor

    @property
    def mask(self) -> Tensor:
        """(B, H, W) bool, true where a face is seen."""
        return self.face_index >= 0


@torch.no_grad()
def rasterize(
    vertices: Tensor,
    faces: Tensor,
    focal_length: float | Tensor,
    principal_point: Sequence[float] | Tensor,
    image_size: int | tuple[int, int],
    *,
    near: float = 0.01,
    cull_backfaces: bool = False,
    backend: str = "auto",
) -> Fragments:
    """Find the face that each pixel sees through a pinhole camera, x = f X / Z + cx and y = f Y / Z + cy.

    Convention: a vertex at (0.1, 0, 50) m seen with focal_length 5000 and principal_point (112, 112) falls on
    x = 122, y = 112: the corner between the pixels of columns 121 | 122 and rows 111 | 112.

    The nearest face wins; at equal float32 depth the one with the lowest index. Faces without area in the image
    are not drawn, nor are faces with a vertex nearer than `near` (so none behind or across the camera plane; they
    are dropped whole, not clipped). Neighbouring faces leave no gap: both cover a pixel centre on their common
    edge. The result is not differentiable.

    Args:
        vertices: (B, V, 3) in the camera frame (x right, y down, z forward), metres.
        faces: (F, 3) integer vertex indices.
        focal_length: Pixels; a number, or a tensor (B,) or (B, 2) for one of each sample (and of x and y).
        principal_point: Pixels; (cx, cy), or a tensor (2,) or (B, 2).
        image_size: Pixels of the image to make, one number for a square or (height, width). Focal length and
            principal point are in pixels of that same image.
        near: Least depth of a face's vertices, metres.
        cull_backfaces: Do not draw faces that are seen from behind, i.e. whose vertices do not run
            counter-clockwise as seen by the camera.
        backend: ``torch`` (any device), ``numba`` (CPU; the same faces and depths bit for bit), ``pytorch3d`` (a
            slow reference; may differ at pixels on the edge of a face) or ``auto``: numba for CPU tensors where it
            is installed, else torch. Any other choice runs as asked or raises.

    Raises:
        ValueError: A shape, index, size or value that cannot be drawn, or an unknown backend.
        ImportError: The backend asked for is not installed.
    """
    height, width = parse_image_size(image_size)
    _check_mesh(vertices, faces)
    if not near > 0:
        raise ValueError(f"near must be a positive number of metres, got {near}")
    draw = _choose_backend(backend, vertices.device)
    screen = _project(vertices, focal_length, principal_point, near)
    return Fragments(*draw(screen, faces.to(vertices.device, torch.int64), height, width, cull_backfaces))


def parse_image_size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image size given as one number (a square) or as (height, width)."""
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if height < 1 or width < 1:
        raise ValueError(f"image_size must be at least 1 x 1 pixel, got {image_size}")
    return int(height), int(width)


def per_sample_intrinsics(
    focal_length: float | Tensor, principal_point: Sequence[float] | Tensor, like: Tensor
) -> tuple[Tensor, Tensor]:
    """Focal length and principal point as two (B, 2) or (1, 2) float32 tensors on the device of `like` (B, ...).

    Raises:
        ValueError: They have a shape other than ``rasterize`` allows, or a focal length is not positive.
    """
    batch = like.shape[0]
    focal = torch.as_tensor(focal_length, dtype=torch.float32, device=like.device)
    point = torch.as_tensor(principal_point, dtype=torch.float32, device=like.device)
    if tuple(focal.shape) not in {(), (batch,), (batch, 1), (batch, 2)}:
        raise ValueError(f"focal_length must be a number, ({batch},) or ({batch}, 2), got {tuple(focal.shape)}")
    if tuple(point.shape) not in {(2,), (batch, 2)}:
        raise ValueError(f"principal_point must be (2,) or ({batch}, 2), got {tuple(point.shape)}")
    if not ((focal > 0) & torch.isfinite(focal)).all() or not torch.isfinite(point).all():
        raise ValueError("focal_length must be positive, and principal_point and it finite")
    focal = focal.reshape(-1, 1) if focal.dim() < 2 else focal
    return focal.expand(-1, 2), point.reshape(-1, 2)


def _check_mesh(vertices: Tensor, faces: Tensor) -> None:
    if vertices.dim() != 3 or vertices.shape[-1] != 3 or not vertices.is_floating_point():
        raise ValueError(f"vertices must be float (B, V, 3), got {vertices.dtype} {tuple(vertices.shape)}")
    if faces.dim() != 2 or faces.shape[-1] != 3 or faces.is_floating_point():
        raise ValueError(f"faces must be integer (F, 3), got {faces.dtype} {tuple(faces.shape)}")
    if faces.numel():
        lowest, highest = _vertex_range(faces)
        if not 0 <= lowest <= highest < vertices.shape[1]:
            raise ValueError(f"faces index vertices {lowest} to {highest}, but there are {vertices.shape[1]}")
    if not torch.isfinite(vertices).all():
        bad = (~torch.isfinite(vertices)).flatten(1).any(1).nonzero().flatten().tolist()
        raise ValueError(f"vertices of samples {bad} hold NaN or infinite values")


def _vertex_range(faces: Tensor) -> tuple[int, int]:
    """The lowest and highest vertex of faces, read once for a tensor that stays as it is: each look waits for a GPU."""
    if faces.is_inference():  # such a tensor does not tell whether it was written to
        return int(faces.min()), int(faces.max())
    version, lowest, highest = _VERTEX_RANGES.get(faces, (-1, 0, 0))
    if version != faces._version:
        lowest, highest = int(faces.min()), int(faces.max())
        _VERTEX_RANGES[faces] = faces._version, lowest, highest
    return lowest, highest


def _project(
    vertices: Tensor, focal_length: float | Tensor, principal_point: Sequence[float] | Tensor, near: float
) -> Tensor:
    """Project to (B, V, 3) float32: column, row, 1 / depth.

    Column and row are shifted by half a pixel, so that pixel centres have integer coordinates. The column is NaN for
    vertices that cannot be projected; the backends draw no face with such a corner.
    """
    focal, point = per_sample_intrinsics(focal_length, principal_point, vertices)
    x, y, depth = vertices.float().unbind(-1)
    inverse_depth = 1.0 / depth
    column = x * inverse_depth * focal[:, :1] + (point[:, :1] - 0.5)
    row = y * inverse_depth * focal[:, 1:] + (point[:, 1:] - 0.5)
    visible = (depth >= near) & (torch.maximum(column.abs(), row.abs()) < _MAX_PIXEL)
    return torch.stack([torch.where(visible, column, torch.nan), row, inverse_depth], dim=-1)


def _choose_backend(name: str, device: torch.device) -> Backend:
    if name not in BACKENDS:
        raise ValueError(f"unknown rasteriser backend {name!r}; known: {', '.join(BACKENDS)}")
    if name == "auto":
        name = "numba" if device.type == "cpu" and importlib.util.find_spec("numba") else "torch"
    if name == "torch":
        from mion_plugin.rendering._torch_backend import rasterize_torch

        return rasterize_torch
    if importlib.util.find_spec(name) is None:
        raise ImportError(f'the {name} rasteriser needs {name}: pip install "mion-plugin[{name}]"')
    if name == "numba":
        from mion_plugin.rendering._numba_backend import rasterize_numba

        return rasterize_numba
    from mion_plugin.rendering._pytorch3d_backend import rasterize_pytorch3d

    return rasterize_pytorch3d
