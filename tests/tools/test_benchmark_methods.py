"""tools/benchmark.py methods: rows are kept until what made them changes; tables and curves of made-up errors."""

import argparse
import shutil
from pathlib import Path

import benchmark
import numpy as np
import pytest
import roma
import torch
from benchmarks.fitting_rivals import smplify_config
from benchmarks.methods import candidate_numbers, clip, command, kept_rows, people, report, rows, ways
from benchmarks.methods.kept_rows import KEPT, MISSING, STALE, UNTRAINED, Measured
from benchmarks.real import joints

from mion_plugin.bodies import Bodies
from mion_plugin.body import SMPLBody
from mion_plugin.datasets.coco import CocoPerson
from mion_plugin.inference import MIONInferencer
from mion_plugin.inference.cropping import visible_box
from mion_plugin.mion import MultiInitializationOptimizationNetwork
from mion_plugin.samples import collect_targets

PAGE = Path(benchmark.__file__).parents[1] / report.PAGE
FEW = ["first-candidate_alone_detectors", "lifters-first-path_alone_detectors", "mion_alone_detectors"]


def arguments(folder: Path, *more: str) -> list[str]:
    page = folder / "methods.md"
    if not page.exists():
        shutil.copy(PAGE, page)
    own = ["--num-samples", "2", "--curve-samples", "2", "--work-dir", str(folder / "rows"), "--weights", str(folder)]
    return ["methods", *own, "--out", str(page), "--only", *FEW, *more]


def parsed(folder: Path, *more: str) -> argparse.Namespace:
    return benchmark.parse_args(arguments(folder, *more))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of three rows on two people: its folder, its page, and the bench."""
    folder = tmp_path_factory.mktemp("methods")
    benchmark.main(arguments(folder))
    return folder, (folder / "methods.md").read_text(), command.prepare(parsed(folder))


def row_of(key: str) -> rows.Row:
    return next(row for row in rows.all_rows() if key in row.key)


def cells(text: str, label: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_way_is_measured_on_both_kinds_of_keypoints():
    every = rows.all_rows()
    assert len({row.key for row in every}) == len(every)
    given = {(row.start, row.then) for row in every if row.keypoints == rows.DETECTED}
    corrected = {(row.start, row.then) for row in every if row.keypoints == rows.CORRECTED}
    assert given - corrected == {(rows.FIRST_CANDIDATE, rows.SMPLIFY_UNSCALED)}
    assert not corrected - given
    assert {row.start for row in every if row.group == rows.ALONE} == set(rows.BASELINES)


def test_the_page_says_what_is_measured_and_what_is_not(measured):
    _, text, bench = measured
    assert "**Measured** (3 rows" in text
    missing = text.split("**Not measured yet**")[1].split("\n")[0]
    assert missing.startswith(": HMR, SPIN, CLIFF, alone and followed by an optimisation (not trained); ")
    untrained = [row for row in rows.all_rows() if row.baseline is None]
    assert f"{len(untrained) - 3} rows that need no training" in missing
    for name in ("the first candidate alone", "the lifter alone, first path", "MION, the default"):
        row = cells(text, name)
        assert float(row[1].split()[0]) > 20
        assert row[-1].strip("`") in {bench.synthetic.identities.of(row_of(word)) for word in FEW}
    assert cells(text, "the first candidate alone")[6] == "0.0"  # nothing learned
    first, whole = (float(cells(text, name)[8]) for name in ("the first candidate alone", "MION, the default"))
    assert 0 < first < 2000  # MiB, of two people: what the pool's search needs
    assert 0 < whole < 2000


def test_what_is_kept_is_not_measured_again(measured, monkeypatch):
    folder, text, bench = measured
    assert [bench.synthetic.state_of(row_of(word)) for word in FEW] == [KEPT] * 3
    monkeypatch.setattr(command, "measure_row", lambda *_: pytest.fail("measured again"))
    benchmark.main(arguments(folder))
    assert (folder / "methods.md").read_text() == text
    benchmark.main(arguments(folder, "--check"))


def test_other_weights_make_stale_only_what_they_made(measured):
    folder, _, _ = measured
    bench = command.prepare(parsed(folder))
    with torch.no_grad():
        next(bench.model.refiner.parameters()).add_(1e-3)
    other = command.prepare(parsed(folder)).synthetic.identities
    identities = command.Identities(bench.model, bench.cfg, folder, people.synthetic_data(bench.cfg, 2, 2))
    changed = {row.key: identities.of(row) != other.of(row) for row in rows.all_rows() if row.baseline is None}
    for key, differs in changed.items():
        assert differs == ("lifter" in key or key.startswith("mion")), key


def test_stale_rows_are_refused(measured, tmp_path):
    folder, _, bench = measured
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    row = row_of(FEW[1])
    kept = kept_rows.read_row(tmp_path / "rows", row.key)
    kept_rows.write_row(tmp_path / "rows", row.key, Measured("0123abcd", kept.arrays))
    assert kept_rows.state(kept_rows.read_row(tmp_path / "rows", row.key), bench.synthetic.identities.of(row)) == STALE
    benchmark.main(arguments(tmp_path, "--report"))
    text = (tmp_path / "methods.md").read_text()
    assert "**Measured** (2 rows" in text
    assert "| the lifter alone, first path |" not in text
    assert "Stale rows are of other weights" in text
    page = tmp_path / "methods.md"
    page.write_text(text + "\n`0123abcd`\n")
    with pytest.raises(ValueError, match="shows 1 rows of another model, config or test"):
        benchmark.main(arguments(tmp_path, "--check"))


def test_another_number_of_people_is_another_test(measured):
    folder, _, bench = measured
    more = command.prepare(parsed(folder, "--num-samples", "3"))
    assert more.synthetic.state_of(row_of(FEW[0])) == STALE
    assert more.curves.of_model("x") == bench.curves.of_model("x")


def test_the_cost_is_said_before_anything_is_measured(measured, tmp_path, capsys):
    benchmark.main(["methods", "--plan", "--work-dir", str(tmp_path), "--weights", str(tmp_path)])
    printed = capsys.readouterr().out
    trained = [row for row in rows.all_rows() if row.baseline is None]
    assert printed.startswith("about ")
    assert f"synthetic people: {len(trained)} rows of 256 to measure" in printed
    assert f"the real clip: 0 rows of {clip.VIEWS} to measure" in printed
    assert "python tools/train.py configs/baselines/hmr_tiny_synthetic.py --resume" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num-samples", "0"], "--num-samples is 0, expected at least 1"),
        (["--only", "hmr", "smplfy"], "--only has 'smplfy', which is in no row's name"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        benchmark.main(["methods", "--plan", *options])


def test_a_row_without_weights_is_not_trained(measured):
    _, _, bench = measured
    hmr = row_of("hmr_alone")
    assert bench.synthetic.identities.of(hmr) is None
    assert bench.synthetic.state_of(hmr) == UNTRAINED
    assert kept_rows.state(None, "0123abcd") == MISSING
    with pytest.raises(FileNotFoundError, match="HMR is not trained: python tools"):
        bench.ways.baseline("HMR")


@pytest.mark.slow
def test_a_trained_baseline_becomes_a_row(measured, tmp_path):
    """Random weights: its errors are large, and a fit onto the keypoints lowers the 2D error."""
    pytest.importorskip("mmhuman3d")
    from mmengine.config import Config

    from mion_plugin.registry import MODELS

    folder = tmp_path / "hmr_tiny_synthetic"
    folder.mkdir()
    method = MODELS.build(Config.fromfile(rows.BASELINES["HMR"]).model)
    torch.save({"state_dict": method.state_dict()}, folder / "best_body_MPJPE_chosen_epoch_3.pth")
    shutil.copy(PAGE, tmp_path / "methods.md")
    own = arguments(tmp_path)
    benchmark.main([*own[: own.index("--only")], "--only", "hmr_alone", "hmr_keypointfit"])
    alone, fitted = (kept_rows.read_row(tmp_path / "rows", row_of(k).key) for k in ("hmr_alone", "hmr_keypointfit"))
    assert alone.arrays["parameters"] == sum(parameter.numel() for parameter in method.parameters())
    assert fitted.arrays["2D"].mean() < 0.7 * alone.arrays["2D"].mean()


def test_the_mean_pose_is_found_where_it_was_projected(measured):
    _, _, bench = measured
    selector: torch.nn.Module = bench.model.selector
    body, camera = SMPLBody(), bench.model.camera
    given = ways.mean_pose(selector, torch.rand(1, 17, 3, generator=torch.Generator().manual_seed(0)) * 100)
    orientation = selector.global_orient[7]
    from mion_plugin.geometry.rotations import rotvec_to_rotmat

    pose = given.rotations.clone()
    pose[0, 0, 0] = rotvec_to_rotmat(orientation[None])[0]
    transl = torch.tensor([[[0.1, 0.2, 47.0]]])
    points = camera.project_normalized(body.pose_keypoints(pose, given.betas, transl))[:, 0]
    keypoints2d = torch.cat([(points + 1.0) * camera.image_size / 2, torch.ones(1, 17, 1)], dim=-1)
    found = ways.mean_pose(selector, keypoints2d)
    torch.testing.assert_close(found.rotations, pose, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.transl, transl, atol=2e-2, rtol=0)


def test_bodies_without_a_camera_are_placed_where_they_were_projected(measured):
    _, _, bench = measured
    selector, camera = bench.model.selector, bench.model.camera
    pose = roma.rotvec_to_rotmat(torch.cat([selector.global_orient[3:5, None], selector.body_pose[[7, 70]]], dim=1))
    transl = torch.tensor([[[0.1, 0.2, 47.0]], [[-0.2, 0.0, 61.0]]])
    lost = Bodies.with_mean_shape(pose[:, None], 100.0 * transl.flip(-1))
    points = camera.project_normalized(bench.model.body.pose_keypoints(lost.pose, lost.betas, transl, "coco"))[:, 0]
    keypoints2d = torch.cat([(points + 1.0) * camera.image_size / 2, torch.ones(2, 17, 1)], dim=-1)
    placed = bench.ways._placed(lost, keypoints2d)
    torch.testing.assert_close(placed.transl, transl, atol=2e-2, rtol=0)
    torch.testing.assert_close(placed.pose, lost.pose)


def test_smplify_counts_the_2d_error_in_pixels():
    """SPIN's Geman-McClure loss of a 224 crop, of what mmhuman3d makes of the pixels."""
    pixels, sigma = np.array([0.5, 3.0, 80.0]), 100.0
    loss = smplify_config(True)["keypoints2d_loss"]
    seen = 2 * pixels / (224 - 1)  # mmhuman3d's -1..1
    robust = loss["sigma"] ** 2 * seen**2 / (loss["sigma"] ** 2 + seen**2)
    np.testing.assert_allclose(loss["loss_weight"] * robust, sigma**2 * pixels**2 / (sigma**2 + pixels**2))
    assert smplify_config(False)["keypoints2d_loss"]["loss_weight"] == 1.0


def test_ambiguity_by_a_loop_over_limbs(measured):
    _, _, bench = measured
    body: SMPLBody = bench.model.body
    (batch,) = people.load_people(bench.cfg, 2, 3)
    found = people.ambiguity(body, batch)
    targets = collect_targets(batch.samples, torch.device("cpu"))
    limbs = ((1, 4), (4, 7), (2, 5), (5, 8), (16, 18), (18, 20), (17, 19), (19, 21))
    for person, values in enumerate(found):
        posed = body(targets.rotations[person : person + 1], targets.betas[person : person + 1]).joints[0].numpy()
        shares = [abs(posed[b, 2] - posed[a, 2]) / np.linalg.norm(posed[b] - posed[a]) for a, b in limbs]
        up = targets.rotations[person, 0].numpy() @ np.array([0.0, 1.0, 0.0])
        plane = np.hypot(up[0], up[1])
        assert values[0] == pytest.approx(np.mean(shares), abs=1e-5)
        assert values[1] == sum(float(point[2]) < 0.65 for point in batch.keypoints2d[person])
        assert values[2] == pytest.approx(np.degrees(np.arctan2(abs(up[2]), plane)), abs=1e-2)


def test_the_first_paths_are_those_of_fewer_candidates(measured, monkeypatch):
    """What the curves rest on: stage 1 chooses one candidate after the other."""
    _, _, bench = measured
    monkeypatch.setattr(candidate_numbers, "NUMBERS", (1, 7))
    model: MultiInitializationOptimizationNetwork = bench.model
    many = candidate_numbers.measure_numbers(model, bench.cfg, 2, 2)
    monkeypatch.setattr(candidate_numbers, "NUMBERS", (1, 3))
    few = candidate_numbers.measure_numbers(model, bench.cfg, 2, 2)
    assert many["MPJPE"].shape == (2, 7)
    assert model.selector.num_candidates == 5  # as before
    for name in ("MPJPE", "PA-MPJPE", "scores"):
        np.testing.assert_allclose(many[name][:, :3], few[name], rtol=2e-3)


def made_up_curves() -> dict[str, np.ndarray]:
    """Twelve people of 25 paths; the second path is better, and found, where limbs point at the camera (last four)."""
    errors = np.full((12, 25), 100.0)
    errors[8:, 1] = 60.0
    scores = np.tile(np.arange(25.0), (12, 1))
    scores[8:, 1] = -1.0
    ambiguity = np.stack([np.arange(12.0), np.zeros(12), np.tile([1.0, 2.0, 3.0], 4)], axis=1)
    return {"MPJPE": errors, "PA-MPJPE": errors / 2, "scores": scores, "ambiguity": ambiguity}


def test_curves_of_made_up_errors():
    arrays = made_up_curves()
    text = candidate_numbers.numbers_table(arrays)
    assert cells(text, "1")[1:] == ["100.0 [100.0, 100.0] / 50.0"] * 3
    assert cells(text, "25")[2].startswith(f"{(8 * 100 + 4 * 60) / 12:.1f} [")
    assert cells(text, "25")[2] == cells(text, "2")[3]  # the rule finds the best
    parts = candidate_numbers.parts_of(arrays)
    assert [int(part.rows.sum()) for part in parts] == [4, 4, 4, 12, 4, 4, 4]  # equal values stay together
    told = candidate_numbers.verdict(arrays)
    assert "below zero: limbs towards the camera 8 to 11" in told
    assert "No gain is shown for limbs towards the camera 0 to 3; limbs towards the camera 4 to 7" in told


def test_curves_are_drawn(tmp_path):
    candidate_numbers.draw(made_up_curves(), tmp_path / "curves.svg")
    text = (tmp_path / "curves.svg").read_text()
    for word in ("candidates", "oracle", "hidden joints", "limbs towards the camera"):
        assert f">{word}" in text
    candidate_numbers.draw(made_up_curves(), tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == text


def test_rows_of_the_clip_are_apart(measured, tmp_path):
    """Kept apart from the others, and of another hash; without the clip the page says what measures them."""
    folder, text, bench = measured
    row = row_of(FEW[1])
    assert [test.state_of(row) for test in bench.tests] == [KEPT, MISSING, MISSING]
    identities = [test.identities.of(row) for test in bench.tests]
    assert len(set(identities)) == 3
    assert "Not measured yet: `tools/benchmark.py methods --real` does." in text
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for name, identity, least in (("clip", identities[1], 100.0), ("clip_exact", identities[2], 50.0)):
        errors = {error: np.array([least, 3 * least]) for error in joints.ERRORS} | {"blocks": np.array([0, 1])}
        kept_rows.write_row(tmp_path / "rows" / name, row.key, Measured(identity, errors))
    benchmark.main(arguments(tmp_path, "--report"))
    section = (tmp_path / "methods.md").read_text().split("<!-- clip: begin -->")[1]
    detected, exact = section.split("### By exact 2D keypoints, as they are")
    assert f"| the lifter alone, first path | {4 * '200.0 [100.0, 300.0] | '}`{identities[1]}` |" in detected
    assert f"| the lifter alone, first path | {4 * '100.0 [50.0, 150.0] | '}`{identities[2]}` |" in exact
    benchmark.main(arguments(tmp_path, "--check"))


def test_exact_keypoints_are_for_what_reads_keypoints(measured):
    _, _, bench = measured
    assert set(bench.clip.rows) - set(bench.exact.rows) == {row for row in rows.all_rows() if row.group == rows.ALONE}


def test_the_clips_views_are_those_of_its_own_page(measured, monkeypatch):
    """Crops and keypoints as inference makes them, and errors as ``benchmarks.real`` has them."""
    _, _, bench = measured
    model, generator = bench.model, np.random.default_rng(0)
    pictures = generator.integers(0, 255, (3, 90, 60, 3), dtype=np.uint8)
    keypoints2d = np.concatenate([generator.uniform(10, 50, (3, 17, 2)), np.ones((3, 17, 1))], axis=-1)
    persons = [CocoPerson(points, visible_box(points)) for points in keypoints2d]
    inferencer = MIONInferencer("configs/mion/mion_tiny_synthetic.py")
    (batch,) = clip.read_batches(inferencer, persons, iter(pictures))
    (trained,) = people.load_people(bench.cfg, 2, 1)
    for sample in batch.samples:  # what CLIFF reads is what it has learned from
        for name in ("ori_shape", "center", "scale"):
            np.testing.assert_array_equal(sample.get(name), trained.samples[0].get(name))
    asked = [[person] for person in persons]
    found = inferencer(list(pictures), keypoints2d=asked, batch_size=3, return_datasamples=True)["predictions"]
    output = model.estimate(batch.image, batch.keypoints2d)
    for row, ((sample,), selected) in enumerate(zip(found, output.selected, strict=True)):
        torch.testing.assert_close(output.bodies.pose[row, selected], sample.pred_bodies.pose[selected])


def test_few_missing_rows_are_named():
    args = argparse.Namespace(num_samples=2, seed=2)
    hidden = {row_of(FEW[1]): STALE, row_of("hmr_alone"): UNTRAINED}
    text = report.opening({}, hidden, args)
    assert "HMR, alone and followed by an optimisation (not trained)" in text
    assert "the lifter alone, first path, detector's (stale)" in text


def test_who_wins_on_the_clip_is_said_first():
    def of(values: list[float]) -> Measured:
        return Measured("0123abcd", {"MPJPE": np.array(values), clip.BLOCKS: np.array([0, 1])})

    lifter, mion = row_of("lifters-first-path_alone_detectors"), row_of("mion_alone_detectors")
    alone = row_of("hmr_alone")
    detected = {lifter: of([80.0, 160.0]), mion: of([90.0, 180.0]), alone: of([300.0, 300.0])}
    (text,) = report.clip_verdict(detected, {mion: of([70.0, 90.0])})
    assert text.splitlines() == [
        "**On the real clip the lowest MPJPE is that of**",
        "",
        "- by 2D keypoints, detector's: the lifter alone, first path, 120.0 [80.0, 160.0]; MION's default +15.0 "
        "[+10.0, +20.0] from it",
        "- by exact 2D keypoints, as they are: MION, the default, 80.0 [70.0, 90.0]",
    ]
    assert report.clip_verdict({alone: detected[alone]}, {}) == []


def test_the_winner_and_the_bars_are_said_first():
    def of(values: list[float]) -> Measured:
        return Measured("0123abcd", {error: np.array(values) for error in people.ERRORS})

    multi = next(row for row in rows.all_rows() if (row.start, row.then) == rows.MULTI_START)
    lifter = row_of("lifters-first-path_alone_detectors")
    mion = row_of("mion_alone_detectors")
    (text,) = report.verdicts({multi: of([100.0, 200.0]), lifter: of([80.0, 160.0]), mion: of([90.0, 180.0])})
    assert text.startswith(
        "**With detector's keypoints the lowest MPJPE is that of the lifter alone, first path**, 120.0"
    )
    assert "MION's default has 135.0 [90.0, 180.0], +12.5 % [+12.5, +12.5] from it." in text
    assert "MPJPE -10.0 % [-10.0, -10.0] (reaches the bar of -8.7 %)" in text
    assert "PA-MPJPE -10.0 % [-10.0, -10.0] (misses the bar of -11.6 %)" in text
