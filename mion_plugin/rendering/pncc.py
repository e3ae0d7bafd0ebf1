"""Projected normalised coordinate code (paper, 3.2): a body rendered in colours that name its surface points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mion_plugin.body.stand_in import load_stand_in
from mion_plugin.geometry.camera import FOCAL_LENGTH, IMAGE_SIZE
from mion_plugin.registry import MODELS
from mion_plugin.rendering.interpolation import interpolate
from mion_plugin.rendering.rasterizer import parse_image_size, per_sample_intrinsics, rasterize

_SAME_COLOUR = 1e-4  # a tenth of a millimetre or two, of a body's extent
PRINCIPAL_POINT = (IMAGE_SIZE / 2, IMAGE_SIZE / 2)


def normalized_coordinate_code(template_vertices: Tensor) -> Tensor:
    """Template vertices scaled to 0..1 along each axis (paper, eq. 3): one colour per vertex.

    Args:
        template_vertices: (V, 3) of the mean shape in rest pose; any unit.

    Returns:
        (V, 3), each column from 0 to 1.

    Raises:
        ValueError: Another shape, NaN or infinite values, or no extent along an axis.
    """
    if template_vertices.dim() != 2 or template_vertices.shape[1] != 3 or len(template_vertices) == 0:
        raise ValueError(f"template_vertices must be (V, 3), got {tuple(template_vertices.shape)}")
    low, high = template_vertices.amin(dim=0), template_vertices.amax(dim=0)
    extent = high - low
    if not torch.isfinite(extent).all() or not (extent > 0).all():
        raise ValueError(f"template_vertices must be finite and extend along x, y and z, got {extent.tolist()}")
    return (template_vertices - low) / extent


@MODELS.register_module()
class PNCCRenderer(nn.Module):
    """Renders PNCC images (paper, eq. 4): the normalised coordinate code of the nearest surface, 0 on background.

    Without parameters; not differentiable in the vertices. Its buffers stay out of the state dict.

    Args:
        size: Pixels of the image to make, one number for a square or (height, width). The paper's is 56 for the
            position encoding and 224 for the consistency network.
        body: The body whose surface is coded: anything with ``v_template`` (V, 3) and ``faces`` (F, 3), such as
            ``BodyArrays`` or ``SMPLBody``; or a dict with ``template`` and ``faces``; or None for the free stand-in.
        backend: See ``rasterize``.

    Raises:
        ValueError: `size` or `body` is not one of these.
    """

    ncc: Tensor
    faces: Tensor

    def __init__(self, size: int | tuple[int, int] = 56, body: Any = None, backend: str = "auto") -> None:
        super().__init__()
        self.height, self.width = parse_image_size(size)
        self.backend = backend
        template, faces = _template_and_faces(load_stand_in() if body is None else body)
        self.register_buffer("ncc", normalized_coordinate_code(template), persistent=False)
        self.register_buffer("faces", faces, persistent=False)

    def check_body(self, body: Any, owner: str) -> None:
        """Raise ValueError if the colours and faces are not those of ``body``, which is ``owner``'s."""
        ncc, faces = normalized_coordinate_code(body.v_template).to(self.ncc), body.faces.to(self.faces)
        same = ncc.shape == self.ncc.shape and torch.allclose(ncc, self.ncc, rtol=0.0, atol=_SAME_COLOUR)
        if not (same and torch.equal(faces, self.faces)):
            raise ValueError(
                f"the renderer codes the surface of another body than the {owner}'s: give it body=BODY, the same, or a "
                "config without a body"
            )

    def forward(
        self,
        vertices: Tensor,
        focal_length: float | Tensor = FOCAL_LENGTH,
        principal_point: Sequence[float] | Tensor = PRINCIPAL_POINT,
        image_size: int | tuple[int, int] = IMAGE_SIZE,
    ) -> Tensor:
        """Render posed bodies.

        The camera is that of the crop, whose `image_size` may differ from the size rendered: the picture covers the
        same field of view with larger pixels. Pixel centres stay at integer + 0.5, so a point at x in the crop falls
        on x * width / crop width.

        Args:
            vertices: (B, V, 3) in the camera frame (x right, y down, z forward), metres.
            focal_length: Pixels of the crop; a number, (B,) or (B, 2).
            principal_point: Pixels of the crop; (cx, cy), (2,) or (B, 2).
            image_size: Pixels of the crop, one number for a square or (height, width).

        Returns:
            (B, 3, height, width) in 0..1, in the NCC's dtype.

        Raises:
            TypeError: `vertices` is not a tensor.
            ValueError: Another number of vertices than the body has; or as ``rasterize``.
        """
        if not isinstance(vertices, Tensor):
            raise TypeError(f"vertices are a {type(vertices).__name__}, expected a tensor (B, V, 3)")
        if vertices.dim() != 3 or vertices.shape[1:] != self.ncc.shape:
            raise ValueError(f"vertices must be (B, {len(self.ncc)}, 3), got {tuple(vertices.shape)}")
        crop_height, crop_width = parse_image_size(image_size)
        focal, point = per_sample_intrinsics(focal_length, principal_point, vertices)
        scale = focal.new_tensor([self.width / crop_width, self.height / crop_height])
        batch = len(vertices)
        fragments = rasterize(
            vertices,
            self.faces,
            (focal * scale).expand(batch, 2),
            (point * scale).expand(batch, 2),
            (self.height, self.width),
            backend=self.backend,
        )
        return interpolate(fragments, self.faces, self.ncc[None])


def _template_and_faces(body: Any) -> tuple[Tensor, Tensor]:
    """Float32 template (V, 3) and int64 faces (F, 3) of what ``PNCCRenderer`` takes as a body."""
    try:
        if isinstance(body, Mapping):
            template, faces = body["template"], body["faces"]
        else:
            template, faces = body.v_template, body.faces
    except (KeyError, AttributeError) as error:
        raise ValueError(
            f"body must have v_template and faces, or be a dict with template and faces; {error} in {type(body)}"
        ) from error
    # Copies: the renderer must not change when the body's arrays do.
    template = torch.as_tensor(template, dtype=torch.float32).detach().clone()
    return template, torch.as_tensor(faces).to(torch.int64, copy=True)
