"""Scores of bodies out of files, against those that MION gives its own."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_mion import make_body_pool, make_mion, refiner_config

from mion_plugin.body import SMPLBody
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.inference import MIONInferencer, save_person
from mion_plugin.prediction.records import collect_records
from mion_plugin.prediction.shards import write_shard
from mion_plugin.scoring import BodyScorer, check_hypotheses, read_bodies
from mion_plugin.scoring.placing import place_before_crop, pose_bodies
from mion_plugin.weights import save_weights

SIZE = 32


def score(scorer, bodies, image, skier):
    return scorer.score(image, PHOTO.name, skier, [scorer.pose(bodies, 0, image)])


def assert_like(scored, found):
    """Whether the scores are those that the model gave."""
    np.testing.assert_allclose(scored.scores["cen"], found.scores, atol=1e-4)
    chosen = found.selected  # the others were moved after the choice
    combined = scored.scores["cen+reprojection"][chosen]
    np.testing.assert_allclose(combined, found.selection_scores[chosen], atol=1e-4)
    np.testing.assert_allclose(scored.reprojection_rms, found.reprojection_rms, atol=1e-2)
    np.testing.assert_allclose(scored.vertices, found.vertices, atol=1e-3)


def test_what_mion_wrote_is_scored_as_mion_scored_it(scorer, found, arrays, image, skier, tmp_path):
    own = check_hypotheses(arrays, Path("own.npz"))
    save_person(found, tmp_path / "skier")
    for bodies in (own, read_bodies(tmp_path / "skier.npz")):
        scored = score(scorer, bodies, image, skier)
        assert_like(scored, found)
        np.testing.assert_allclose(scored.expected_error, found.expected_error, atol=0.1)
        assert scored.ranking("cen+reprojection")[0] == scored.scores["cen+reprojection"].argmin()
        assert not scored.placing_error.any()


def test_a_shard_is_scored_as_the_run_scored_it(scorer, inferencer, found, image, skier, tmp_path):
    samples = inferencer(PHOTO, keypoints2d=KEYPOINTS, return_datasamples=True)["predictions"][0]
    records, _ = collect_records(inferencer, samples)
    write_shard(tmp_path / "000000.npz", [records], inferencer.model.camera, 1, [])
    bodies = read_bodies(tmp_path / "000000.npz")
    assert bodies.image_name == (PHOTO.name,)
    assert_like(score(scorer, bodies, image, skier), found)


def test_other_orders_of_the_bodies_are_other_orders_of_the_scores(scorer, arrays, image, skier):
    order = [2, 0, 1]
    moved = {name: arrays[name][:, order] if arrays[name].shape[1:2] == (3,) else arrays[name] for name in arrays}
    one, other = (score(scorer, check_hypotheses(values, Path("x.npz")), image, skier) for values in (arrays, moved))
    for rule in one.scores:
        np.testing.assert_allclose(other.scores[rule], one.scores[rule][order], atol=1e-6)
        assert [order[n] for n in other.ranking(rule)] == one.ranking(rule)
    assert len(set(one.scores["cen"].tolist())) == 3  # else any order would do


def test_bodies_of_several_files_are_scored_together(scorer, arrays, image, skier):
    whole = score(scorer, check_hypotheses(arrays, Path("x.npz")), image, skier)
    cut = [
        {name: v[:, part] if name in ("pose", "betas", "transl") else v for name, v in arrays.items()}
        for part in (slice(0, 1), slice(1, 3))
    ]
    posed = [scorer.pose(check_hypotheses(one, Path("x.npz")), 0, image) for one in cut]
    joined = scorer.score(image, PHOTO.name, skier, posed)
    for rule, values in whole.scores.items():
        np.testing.assert_allclose(joined.scores[rule], values, atol=1e-6)


def test_without_a_camera_the_place_is_found_from_the_keypoints(scorer, found, arrays, image, skier):
    known = {name: arrays[name] for name in ("pose", "betas")}
    scored = score(scorer, check_hypotheses(known, Path("x.npz")), image, skier)
    np.testing.assert_allclose(scored.scores["cen"], found.scores, atol=0.01)
    # least squares: no place has a lower error in the linear measure, and few in pixels
    assert (scored.reprojection_rms < found.reprojection_rms + 0.1).all()
    hidden = dataclasses.replace(skier, keypoints2d=skier.keypoints2d * np.array([1.0, 1.0, 0.0]))
    hidden.keypoints2d[:2, 2] = 1.0
    with pytest.raises(ValueError, match=r"its 2D keypoints do not tell where body 0 stands"):
        score(scorer, check_hypotheses(known, Path("x.npz")), image, hidden)


def test_vertices_are_scored_nearly_as_the_parameters_they_come_from(scorer, found, arrays, image, skier):
    parts = {name: arrays[name] for name in ("focal_length", "principal_point")}
    bodies = check_hypotheses({"vertices": found.vertices[None], **parts}, Path("x.npz"))
    scored = score(scorer, bodies, image, skier)
    # joints are regressed from the surface of a bent body, not of one at rest
    np.testing.assert_allclose(scored.scores["cen"], found.scores, atol=0.01)
    np.testing.assert_allclose(scored.reprojection_rms, found.reprojection_rms, atol=0.5)


def test_a_weak_perspective_camera_places_bodies_where_the_full_one_does(arrays, scorer, found, image, skier):
    place = found.crop
    scale = 2 * found.crop_camera.focal_length / (found.image_size * found.transl[:, 2:])
    weak = np.concatenate([scale, found.transl[:, :2]], axis=1)[None]
    crop = np.array([[*place.center, place.side]])
    bodies = check_hypotheses(
        {"pose": arrays["pose"], "betas": arrays["betas"], "weak_perspective": weak, "crop": crop}, Path("x.npz")
    )
    assert_like(score(scorer, bodies, image, skier), found)


def test_bodies_are_turned_to_the_line_of_sight(scorer, arrays, found):
    """Before a camera that sees the person aslant depth is distance along the line of sight to the crop's middle."""
    focal_length, middle = 600.0, np.array([900.0, -200.0])
    sight = np.array([*(found.crop.center - middle) / focal_length, 1.0])
    sight /= np.linalg.norm(sight)
    known = {"pose": arrays["pose"], "betas": arrays["betas"], "transl": np.tile(5.0 * sight, (1, 3, 1))}
    cameras = {"focal_length": np.array([focal_length]), "principal_point": middle[None]}
    bodies = check_hypotheses({**known, **cameras}, Path("x.npz"))
    posed = pose_bodies(bodies, 0, scorer.body, ("coco",), (480, 640))
    placed = place_before_crop(posed, found.crop, scorer.model.camera)
    depths, expected = placed.vertices[..., 2].numpy(), posed.vertices.numpy() @ sight
    np.testing.assert_allclose(depths - depths.mean(), expected - expected.mean(), atol=1e-9)
    np.testing.assert_allclose(placed.keypoints["coco"][..., 2], posed.keypoints["coco"].numpy() @ sight, atol=1e-9)
    lengths = [(vertices[:, 0] - vertices[:, 4000]).norm(dim=-1) for vertices in (placed.vertices, posed.vertices)]
    torch.testing.assert_close(*lengths)
    # the pelvis is seen in the crop's middle, and the rest is off by the perspective of 5 m instead of 45 m
    assert ((placed.error > 0) & (placed.error < 8)).all()


def test_a_stage_that_renders_bodies_scores_as_mion(found, image, skier, tmp_path):
    body = SMPLBody()
    parts = {"image_size": SIZE, "focal_length": 5000.0 * SIZE / 224}
    selector = {"type": "mion.CandidateSelector", "pool": make_body_pool(body), "num_candidates": 3}
    model = {"type": "mion.MION", "selector": selector, "refiner": refiner_config(body, **parts)}
    cen = {"type": "mion.CEN", "backbone": {"type": "mion.TinyBackbone"}, "output": "low_rank"}
    untrained = make_mion(body, refiner=parts, cen=cen)
    for weight in untrained.cen.parameters():  # at the start of a training scores hardly depend on bodies
        torch.nn.init.normal_(weight, std=0.5)
    save_weights(untrained.state_dict(), tmp_path / "mion.pth", body=body.fingerprint)
    config = {"model": {**model, "cen": cen}}
    inferencer = MIONInferencer(config, tmp_path / "mion.pth", device="cpu")
    person = inferencer(PHOTO, keypoints2d=KEYPOINTS)["predictions"][0][0]
    camera = person.crop_camera_in_image
    known = {"focal_length": np.array([camera.focal_length]), "principal_point": np.array([camera.principal_point])}
    scorer = BodyScorer(inferencer)
    for arrays in (
        {"pose": person.pose[None], "betas": person.betas[None], "transl": person.transl[None]},
        {"vertices": person.vertices[None]},
    ):
        scored = score(scorer, check_hypotheses({**arrays, **known}, Path("x.npz")), image, skier)
        np.testing.assert_allclose(scored.scores["cen"], person.scores, atol=1e-4)
        assert scored.expected_error is None
    assert np.ptp(person.scores) > 1e-3
    with pytest.raises(ValueError, match=r"the bodies are of .*the model's of .*Name a config whose body model is"):
        BodyScorer(inferencer, SMPLBody(gender="male"))


def test_vertices_of_another_mesh_are_refused(scorer, found, image, skier):
    shuffled = found.vertices[:, np.random.default_rng(0).permutation(6890)]
    bodies = check_hypotheses({"vertices": shuffled[None]}, Path("x.npz"))
    with pytest.raises(ValueError, match=r"x.npz: the vertices of row 0 are not those of .* times shorter; name the"):
        score(scorer, bodies, image, skier)
