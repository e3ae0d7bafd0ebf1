from __future__ import annotations

import importlib.util

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.meshes import limbs, triangle_soup
from support.rasterizing import TRIANGLE, assert_equal, draw, needs_numba

from mion_plugin.rendering._torch_backend import rasterize_torch
from mion_plugin.rendering.rasterizer import rasterize


@needs_numba
class TestNumba:
    @settings(max_examples=30, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
        count=st.integers(1, 60),
        cull=st.booleans(),
    )
    def test_bit_for_bit_as_torch(self, seed: int, size: tuple[int, int], count: int, cull: bool) -> None:
        generator = torch.Generator().manual_seed(seed)
        vertices, faces = triangle_soup(generator, 3, count, max(size))
        camera = (torch.rand(3, 2, generator=generator) + 0.5, torch.randn(3, 2, generator=generator), size)
        expected = rasterize(vertices, faces, *camera, cull_backfaces=cull, backend="torch")
        assert_equal(rasterize(vertices, faces, *camera, cull_backfaces=cull, backend="numba"), expected)

    def test_on_small_faces(self) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(1), batch=4, count=12)
        camera = (5000.0, (112.0, 112.0), 224)
        expected = rasterize(vertices, faces, *camera, backend="torch")
        assert expected.mask.any()
        assert_equal(rasterize(vertices, faces, *camera, backend="numba"), expected)

    def test_other_memory_layouts(self) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(1), batch=2)
        strided = vertices.permute(2, 0, 1).contiguous().permute(1, 2, 0)
        camera = (1000.0, (20.0, 20.0), 40)
        expected = rasterize(vertices, faces, *camera, backend="numba")
        assert_equal(rasterize(strided, faces.int(), *camera, backend="numba"), expected)
        assert_equal(rasterize(vertices.double(), faces, *camera, backend="numba"), expected)

    def test_compiles_where_nothing_can_be_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The package belongs to another user, and this one has no home, as in a container."""
        caching = pytest.importorskip("numba.core.caching")
        monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
        spec = importlib.util.find_spec("mion_plugin.rendering._numba_backend")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        screen, faces = torch.tensor([[[1.0, 1.0, 2.0], [8.0, 1.0, 2.0], [1.0, 8.0, 3.0]]]), TRIANGLE
        for found, expected in zip(
            module.rasterize_numba(screen, faces, 9, 9, False), rasterize_torch(screen, faces, 9, 9, False), strict=True
        ):
            assert torch.equal(found, expected)
        assert expected.any()


class TestDevice:
    def test_makes_no_tensor_on_the_default_device(self) -> None:
        # With "meta" as default, a tensor made without a device would not mix with the inputs.
        vertices, faces = limbs(torch.Generator().manual_seed(2), batch=2)
        camera = (1000.0, (20.0, 20.0), 40)
        expected = rasterize(vertices, faces, *camera, backend="torch")
        with torch.device("meta"):
            fragments = rasterize(vertices, faces, *camera, backend="torch")
        assert_equal(fragments, expected)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_cuda_equals_cpu(self) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(2), batch=2)
        camera = (1000.0, (20.0, 20.0), 40)
        expected = rasterize(vertices, faces, *camera, backend="torch")
        actual = rasterize(vertices.cuda(), faces, *camera)
        assert actual.depth.is_cuda
        assert (actual.face_index.cpu() == expected.face_index).float().mean() > 0.999

    def test_no_gradient(self) -> None:
        vertices, faces = limbs(torch.Generator().manual_seed(2), batch=1)
        fragments = rasterize(vertices.requires_grad_(), faces, 1000.0, (20.0, 20.0), 40, backend="torch")
        assert not fragments.depth.requires_grad


class TestBackendChoice:
    def test_auto_is_numba_when_it_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from mion_plugin.rendering import rasterizer

        cpu, cuda = torch.device("cpu"), torch.device("cuda")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert rasterizer._choose_backend("auto", cpu).__name__ == "rasterize_torch"
        monkeypatch.undo()
        assert rasterizer._choose_backend("auto", cuda).__name__ == "rasterize_torch"
        pytest.importorskip("numba")
        assert rasterizer._choose_backend("auto", cpu).__name__ == "rasterize_numba"

    @pytest.mark.parametrize("backend", ["numba", "pytorch3d"])
    def test_missing_backend_names_the_extra(self, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match=rf'pip install "mion-plugin\[{backend}\]"'):
            draw(torch.rand(3, 3), TRIANGLE, 5, backend=backend)

    def test_unknown_backend(self) -> None:
        with pytest.raises(ValueError, match="unknown rasteriser backend 'opengl'; known: auto, torch"):
            draw(torch.rand(3, 3), TRIANGLE, 5, backend="opengl")

    @needs_numba
    def test_numba_refuses_other_devices(self) -> None:
        from mion_plugin.rendering._numba_backend import rasterize_numba

        with pytest.raises(ValueError, match="numba rasteriser needs CPU tensors, got meta"):
            rasterize_numba(torch.empty(1, 3, 3, device="meta"), TRIANGLE, 5, 5, False)
