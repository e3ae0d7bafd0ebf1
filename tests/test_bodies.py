"""N bodies for each of B images."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import roma
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.candidates import Candidates

B, N = 3, 4
FIELDS = ("pose", "betas", "transl", "fit_loss", "valid", "pncc")


@pytest.fixture(scope="module")
def body() -> SMPLBody:
    return SMPLBody()


@pytest.fixture
def skinned(body):
    """How many bodies were skinned in each call of the body model."""
    calls: list[int] = []
    handle = body.register_forward_hook(lambda module, args, output: calls.append(output.vertices[..., 0, 0].numel()))
    yield calls
    handle.remove()


def make_values(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "pose": 0.3 * torch.randn(B, N, 24, 3, generator=generator),
        "betas": torch.randn(B, N, 10, generator=generator),
        "transl": torch.tensor([0.0, 0.2, 45.0]) + torch.randn(B, N, 3, generator=generator),
        "fit_loss": torch.rand(B, N, generator=generator),
        "valid": torch.tensor([True, False, True]),
        "pncc": torch.rand(B, N, 3, 2, 2, generator=generator),
    }


@pytest.fixture
def bodies() -> Bodies:
    return Bodies(**make_values())


@pytest.fixture
def candidates() -> Candidates:
    index, counts = torch.arange(B * N).view(B, N), torch.tensor([7, 0, 12])
    return Candidates(**make_values(), index=index, num_compatible=counts)


def assert_same(one: Bodies, other: Bodies) -> None:
    assert type(one) is type(other)
    for entry in fields(one):
        if entry.init:
            first, second = getattr(one, entry.name), getattr(other, entry.name)
            assert (first is None) == (second is None), entry.name
            assert first is None or torch.equal(first, second), entry.name


class TestFields:
    def test_all_are_valid_where_nothing_is_told(self) -> None:
        values = make_values()
        plain = Bodies(values["pose"], values["betas"], values["transl"])
        assert plain.valid.tolist() == [True] * B
        assert plain.valid.dtype == torch.bool
        assert plain.fit_loss is plain.pncc is None

    def test_validity_is_on_the_bodies_device(self) -> None:
        with FakeTensorMode():
            pose, transl = torch.empty(B, N, 24, 3, device="cuda"), torch.empty(B, N, 3, device="cuda")
            made = Bodies.with_mean_shape(pose, transl)
        assert made.valid.device.type == made.betas.device.type == "cuda"

    def test_the_mean_shape_has_betas_of_zero(self) -> None:
        values = make_values()
        values.pop("betas")
        made = Bodies.with_mean_shape(values.pop("pose"), values.pop("transl"), **values)
        assert torch.equal(made.betas, torch.zeros(B, N, 10))
        assert_same(made, Bodies(**{**make_values(), "betas": torch.zeros(B, N, 10)}))
        index = torch.zeros(B, N, dtype=torch.long)
        assert isinstance(Candidates.with_mean_shape(made.pose, made.transl, index=index), Candidates)

    def test_rotations_of_either_kind_of_pose(self, bodies) -> None:
        matrices = roma.rotvec_to_rotmat(bodies.pose)
        assert torch.equal(bodies.rotations, matrices)
        turned = replace(bodies, pose=matrices)
        assert turned.rotations is matrices

    def test_they_cannot_be_changed(self, bodies) -> None:
        with pytest.raises(AttributeError, match="cannot assign to field 'pose'"):
            bodies.pose = torch.zeros(1)


class TestTake:
    @pytest.mark.parametrize("columns", [slice(1, 3), slice(2), slice(None, None, 2), slice(0, 0), slice(9)])
    def test_a_slice_is_that_of_every_image(self, candidates, columns: slice) -> None:
        some = candidates.take(columns)
        for name in (*FIELDS, "index", "num_compatible"):
            value = getattr(candidates, name)
            whole = name in ("valid", "num_compatible")
            assert torch.equal(getattr(some, name), value if whole else value[:, columns]), name

    @pytest.mark.parametrize("count", [1, 3, N, 6])
    def test_numbers_against_a_loop(self, candidates, count: int) -> None:
        columns = torch.randint(N, (B, count), generator=torch.Generator().manual_seed(count))
        some = candidates.take(columns)
        assert type(some) is Candidates
        assert some.transl.shape == (B, count, 3)
        for row in range(B):
            for place in range(count):
                for name in ("pose", "betas", "transl", "fit_loss", "pncc", "index"):
                    expected = getattr(candidates, name)[row, int(columns[row, place])]
                    assert torch.equal(getattr(some, name)[row, place], expected), name
        assert torch.equal(some.valid, candidates.valid)
        assert torch.equal(some.num_compatible, candidates.num_compatible)

    def test_a_slice_is_its_numbers(self, bodies) -> None:
        assert_same(bodies.take(slice(1, 3)), bodies.take(torch.tensor([[1, 2]] * B)))

    def test_a_permutation_can_be_undone(self, candidates) -> None:
        order = torch.rand(B, N, generator=torch.Generator().manual_seed(0)).argsort(dim=1)
        permuted = candidates.take(order)
        assert not torch.equal(permuted.pose, candidates.pose)
        assert_same(permuted.take(order.argsort(dim=1)), candidates)

    def test_what_is_absent_stays_absent(self) -> None:
        values = make_values()
        plain = Bodies(values["pose"], values["betas"], values["transl"])
        for columns in (slice(1), torch.zeros(B, 1, dtype=torch.long)):
            some = plain.take(columns)
            assert some.fit_loss is some.pncc is None
            assert some.valid.shape == (B,)

    def test_poses_may_be_matrices(self, bodies) -> None:
        turned = replace(bodies, pose=bodies.rotations)
        columns = torch.tensor([[2, 0], [1, 1], [3, 2]])
        assert torch.equal(turned.take(columns).pose, bodies.take(columns).rotations)

    def test_numbers_may_be_on_another_device(self) -> None:
        with FakeTensorMode():
            pose, transl = torch.empty(B, N, 24, 3, device="cuda"), torch.empty(B, N, 3, device="cuda")
            some = Bodies.with_mean_shape(pose, transl).take(torch.zeros(B, 2, dtype=torch.long))
        assert some.pose.device.type == "cuda"
        assert some.pose.shape == (B, 2, 24, 3)

    def test_are_skinned_as_the_whole(self, bodies, body) -> None:
        columns = torch.tensor([[2, 0], [1, 3], [3, 2]])
        whole = bodies.posed(body).vertices
        taken = bodies.take(columns).posed(body).vertices
        torch.testing.assert_close(taken, whole[torch.arange(B)[:, None], columns], atol=1e-6, rtol=0)


class TestJoin:
    def test_parts_become_the_whole(self, bodies) -> None:
        assert_same(Bodies.join([bodies.take(slice(1)), bodies.take(slice(1, 3)), bodies.take(slice(3, None))]), bodies)
        assert_same(Bodies.join([bodies]), bodies)

    def test_parts_keep_their_order(self, bodies) -> None:
        swapped = Bodies.join([bodies.take(slice(2, None)), bodies.take(slice(2))])
        assert_same(swapped, bodies.take(torch.tensor([[2, 3, 0, 1]] * B)))

    def test_what_a_part_lacks_the_whole_lacks(self, bodies) -> None:
        poor = Bodies(bodies.pose, bodies.betas, bodies.transl, valid=bodies.valid, pncc=bodies.pncc)
        joined = Bodies.join([bodies, poor])
        assert joined.fit_loss is None
        assert torch.equal(joined.pncc, torch.cat([bodies.pncc, bodies.pncc], dim=1))
        assert torch.equal(joined.valid, bodies.valid)

    def test_candidates_join_others_as_bodies(self, candidates, bodies) -> None:
        joined = Bodies.join([candidates, bodies])
        assert type(joined) is Bodies
        assert torch.equal(joined.pose, torch.cat([candidates.pose, bodies.pose], dim=1))
        again = Candidates.join([candidates.take(slice(2)), candidates.take(slice(2, None))])
        assert_same(again, candidates)


class TestSkinning:
    def test_is_that_of_the_body_model(self, bodies, body) -> None:
        posed, expected = bodies.posed(body), body(bodies.pose, bodies.betas)
        assert torch.equal(posed.vertices, expected.vertices)
        assert torch.equal(posed.joints, expected.joints)
        placed = body(bodies.pose, bodies.betas, bodies.transl)
        torch.testing.assert_close(bodies.placed_vertices(body), placed.vertices)

    def test_is_done_once(self, bodies, body, skinned) -> None:
        first = bodies.posed(body)
        assert bodies.posed(body) is first
        bodies.placed_vertices(body)
        assert skinned == [B * N]

    def test_is_that_of_the_body_asked_for(self, bodies, body, skinned) -> None:
        other = SMPLBody()
        other.v_template.mul_(1.1)
        small, large = bodies.posed(body).vertices, bodies.posed(other).vertices
        assert (large - small).abs().max() > 0.05
        assert torch.equal(bodies.posed(body).vertices, small)

    def test_measured_bodies_stay_skinned(self, bodies, body, skinned) -> None:
        first = bodies.posed(body)
        fit_loss = torch.rand(B, N)
        measured = bodies.measured(fit_loss)
        assert measured.fit_loss is fit_loss
        assert measured.posed(body) is first
        assert skinned == [B * N]
        assert not torch.equal(bodies.fit_loss, fit_loss)
        assert_same(measured, replace(bodies, fit_loss=fit_loss))

    def test_measured_candidates_stay_candidates(self, candidates) -> None:
        fit_loss = torch.rand(B, N)
        assert_same(candidates.measured(fit_loss), replace(candidates, fit_loss=fit_loss))

    def test_changed_bodies_are_skinned_anew(self, bodies, body) -> None:
        before = bodies.posed(body).vertices
        changed = replace(bodies, betas=bodies.betas + 1)
        assert (changed.posed(body).vertices - before).abs().max() > 1e-3
        assert torch.equal(changed.posed(body).vertices, body(changed.pose, changed.betas).vertices)
        some = bodies.take(slice(1, 2))
        assert some.posed(body).vertices.shape == (B, 1, 6890, 3)

    def test_mixed_precision_rounds_nothing(self, bodies, body) -> None:
        """Rounded vertices would be remembered for those who need them in single precision."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            posed = bodies.posed(body)
        expected = body(bodies.pose, bodies.betas)
        assert torch.equal(posed.vertices, expected.vertices)
        assert torch.equal(posed.joints, expected.joints)

    def test_a_graph_is_not_kept(self, bodies, body, skinned) -> None:
        trained = replace(bodies, betas=bodies.betas.clone().requires_grad_())
        for _ in range(2):
            trained.posed(body).vertices.square().sum().backward()  # a kept graph would be freed by now
        assert skinned == [B * N] * 2
        assert trained.betas.grad.abs().sum() > 0

    def test_skinning_without_gradient_does_not_cut_a_later_one(self, bodies, body) -> None:
        trained = replace(bodies, betas=bodies.betas.clone().requires_grad_())
        with torch.no_grad():
            expected = trained.posed(body).vertices
        posed = trained.posed(body).vertices
        assert torch.equal(posed, expected)
        assert posed.requires_grad
        posed.sum().backward()
        assert trained.betas.grad.abs().sum() > 0


def test_keypoints_are_posed_once_but_not_where_a_body_learns(body):
    bodies = Bodies.with_mean_shape(0.3 * torch.randn(B, N, 24, 3), torch.zeros(B, N, 3))
    points = bodies.keypoints(body, "coco")
    torch.testing.assert_close(points, body.keypoints(body(bodies.pose, bodies.betas), "coco"), atol=1e-5, rtol=0)
    assert bodies.keypoints(body, "coco") is points
    assert bodies.measured(torch.zeros(B, N)).keypoints(body, "coco") is points
    assert bodies.keypoints(body, "h36m") is not points
    assert bodies.keypoints(SMPLBody(), "coco") is not points
    learning = replace(bodies, pose=bodies.pose.clone().requires_grad_())
    with torch.no_grad():
        learning.keypoints(body, "coco")
    learning.keypoints(body, "coco").sum().backward()
    assert learning.pose.grad.abs().sum() > 0
