"""The rasteriser compiled for the CPU: the same arithmetic as the torch backend, hence the same faces and depths.

Images are shared out among as many threads as torch uses (``torch.set_num_threads``). Numba's own parallel loops are
avoided on purpose: their thread pools do not survive the fork that starts a data-loader worker.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor


def rasterize_numba(
    screen: Tensor, faces: Tensor, height: int, width: int, cull_backfaces: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As ``rasterize_torch``, for CPU tensors.

    Raises:
        ValueError: The tensors are not on the CPU.
    """
    if screen.device.type != "cpu":
        raise ValueError(f"the numba rasteriser needs CPU tensors, got {screen.device}; use backend='torch'")
    batch = screen.shape[0]
    face_index = np.empty((batch, height, width), dtype=np.int64)
    depth = np.empty((batch, height, width), dtype=np.float32)
    barycentric = np.empty((batch, height, width, 3), dtype=np.float32)
    arrays = (screen.contiguous().numpy(), faces.contiguous().numpy(), face_index, depth, barycentric)

    threads = min(torch.get_num_threads(), batch)
    if threads <= 1:
        _draw_images(*arrays, cull_backfaces, 0, batch)
    else:
        bounds = np.linspace(0, batch, threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(threads) as pool:
            jobs = [pool.submit(_draw_images, *arrays, cull_backfaces, start, stop) for start, stop in pairwise(bounds)]
        for job in jobs:
            job.result()
    return torch.from_numpy(face_index), torch.from_numpy(depth), torch.from_numpy(barycentric)


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call, and keep the result for other processes where there is a folder to keep it in.

    No fastmath: it would fuse multiplications and additions, and neighbouring faces would no longer agree on edges.
    """
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    # numba finds no folder where neither the package's nor the user's can be written: a container's user without a home
    with suppress(RuntimeError):
        compiled.enable_caching()
    return compiled


@_compile
def _draw_images(
    screen: np.ndarray,
    faces: np.ndarray,
    face_index: np.ndarray,
    depth: np.ndarray,
    barycentric: np.ndarray,
    cull_backfaces: bool,
    start: int,
    stop: int,
) -> None:
    for image in range(start, stop):
        # Filled here and not when made, so that the first touch of the memory is shared among the threads.
        face_index[image] = -1
        depth[image] = np.inf
        barycentric[image] = 0
        _draw_faces(screen[image], faces, face_index[image], depth[image], cull_backfaces)
        _weigh_corners(screen[image], faces, face_index[image], barycentric[image])


@_compile
def _draw_faces(
    screen: np.ndarray, faces: np.ndarray, face_index: np.ndarray, depth: np.ndarray, cull_backfaces: bool
) -> None:
    """Fill face index and depth (H, W); faces come in ascending order, so an equal depth leaves the lower index."""
    height, width = face_index.shape
    for face in range(len(faces)):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, a_inverse = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, b_inverse = screen[b, 0], screen[b, 1], screen[b, 2]
        cx, cy, c_inverse = screen[c, 0], screen[c, 1], screen[c, 2]
        if np.isnan(ax) or np.isnan(bx) or np.isnan(cx):
            continue
        first_column = max(int(np.ceil(min(ax, bx, cx))), 0)
        last_column = min(int(np.floor(max(ax, bx, cx))), width - 1)
        first_row = max(int(np.ceil(min(ay, by, cy))), 0)
        last_row = min(int(np.floor(max(ay, by, cy))), height - 1)
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                wa, wb, wc = _edge_functions(ax, ay, bx, by, cx, cy, column, row)
                area = wa + wb + wc
                front = wa <= 0 and wb <= 0 and wc <= 0 and area < 0
                back = wa >= 0 and wb >= 0 and wc >= 0 and area > 0
                if front or (back and not cull_backfaces):
                    pixel_depth = area / (wa * a_inverse + wb * b_inverse + wc * c_inverse)
                    if pixel_depth < depth[row, column]:
                        depth[row, column] = pixel_depth
                        face_index[row, column] = face


@_compile
def _weigh_corners(screen: np.ndarray, faces: np.ndarray, face_index: np.ndarray, barycentric: np.ndarray) -> None:
    """Fill the barycentric weights (H, W, 3) of covered pixels."""
    height, width = face_index.shape
    for row in range(height):
        for column in range(width):
            face = face_index[row, column]
            if face < 0:
                continue
            a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
            ax, ay, a_inverse = screen[a, 0], screen[a, 1], screen[a, 2]
            bx, by, b_inverse = screen[b, 0], screen[b, 1], screen[b, 2]
            cx, cy, c_inverse = screen[c, 0], screen[c, 1], screen[c, 2]
            wa, wb, wc = _edge_functions(ax, ay, bx, by, cx, cy, column, row)
            wa, wb, wc = wa * a_inverse, wb * b_inverse, wc * c_inverse
            total = wa + wb + wc
            barycentric[row, column, 0] = wa / total
            barycentric[row, column, 1] = wb / total
            barycentric[row, column, 2] = wc / total


@_compile
def _edge_functions(
    ax: np.float32,
    ay: np.float32,
    bx: np.float32,
    by: np.float32,
    cx: np.float32,
    cy: np.float32,
    column: int,
    row: int,
) -> tuple[np.float32, np.float32, np.float32]:
    """As ``edge_functions``, for one pixel and face."""
    x, y = np.float32(column), np.float32(row)
    ax, ay, bx, by, cx, cy = ax - x, ay - y, bx - x, by - y, cx - x, cy - y
    return bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx
