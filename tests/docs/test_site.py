"""The documentation site: pages, links and pictures exist, code runs, commands name real tools and options."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import make_figures
import model_cost
import numpy as np
import pytest
import torch
import yaml
from commands import model_cost as cost_of_models
from commands.make_figures import FIGURES, the_worst
from PIL import Image
from support.page_code import code_blocks, run_page

from mion_plugin import console
from mion_plugin.demo_data import KEYPOINTS, PHOTO
from mion_plugin.evaluation.errors import evaluation_joints
from mion_plugin.files.configs import find_config
from mion_plugin.inference import MIONInferencer
from mion_plugin.models import load_model_config

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OURS = "index get_started many_photographs concepts cameras training fidelity evaluation faq api/index".split()
PAGES = [DOCS / f"{name}.md" for name in OURS]
API_PAGES = sorted((DOCS / "api").glob("*.md"))
MAX_PICTURE, MAX_PICTURES = 150_000, 800_000  # bytes
PLACEHOLDERS = ("MMHUMAN3D/", "CONFIG", "CHECKPOINT")


def nav_pages(entries):
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from nav_pages(value) if isinstance(value, list) else [value]


def anchors(page):
    """The anchors that mkdocs gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def commands(page):
    """The command lines of a page's bash blocks, continuation lines joined, comments dropped."""
    for _, block in code_blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.split(" #")[0].split()


def without_launcher(words):
    """Our part of a command that torchrun or docker runs."""
    if words[:1] == ["torchrun"] and "mion_plugin" in words:
        return ["mion", *words[words.index("mion_plugin") + 1 :]]
    if words[:1] == ["docker"]:
        return words[words.index("mion") :] if words[1] == "run" else []
    return words


CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def test_every_page_of_the_navigation_exists_and_every_page_of_ours_is_in_it():
    listed = list(nav_pages(CONFIG["nav"]))
    assert [name for name in listed if not (DOCS / name).is_file()] == []
    assert {str(page.relative_to(DOCS)) for page in [*PAGES, *API_PAGES]} <= set(listed)
    assert len(listed) == len(set(listed))


def test_the_site_asks_no_other_host():
    assert CONFIG["theme"]["font"] is False
    assert re.findall(r"https?://", (ROOT / "mkdocs.yml").read_text()) == []


@pytest.mark.parametrize("page", [*PAGES, *API_PAGES], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        assert not target.startswith("http"), f"{page.name}: {target}: our pages name no hosts"
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.is_file(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(linked), f"{page.name}: {target}"


def test_pictures_are_small_and_all_shown():
    pictures = sorted((DOCS / "images").iterdir())
    shown = (DOCS / "concepts.md").read_text()
    assert [picture.name for picture in pictures if f"images/{picture.name}" not in shown] == []
    sizes = [picture.stat().st_size for picture in pictures]
    assert max(sizes) < MAX_PICTURE
    assert sum(sizes) < MAX_PICTURES
    for picture in pictures:
        assert min(Image.open(picture).size) > 400


OF_THE_MODEL = ["demo.jpg", *(f"images/{path.name}" for path in sorted((DOCS / "images").iterdir()))]


def test_the_pictures_are_what_the_code_makes(tmp_path):
    """Those that the model's weights are in; synthetic people and the page take minutes."""
    assert make_figures.main(["--out", str(tmp_path), "--only", *OF_THE_MODEL]) == 0
    for name in OF_THE_MODEL:
        new, shown = (np.asarray(Image.open(folder / name), dtype=np.int16) for folder in (tmp_path, DOCS))
        assert new.shape == shown.shape
        assert abs(new - shown).mean() < 2, f"{name}: run tools/make_figures.py again"


def test_the_numbers_in_the_pictures_are_those_of_the_code():
    """Found by the Python interface, not by the tool."""
    shown = json.loads((DOCS / "figures.json").read_text())
    ((person,),) = MIONInferencer(device="cpu")(PHOTO, keypoints2d=KEYPOINTS)["predictions"]
    told = [float(score.removesuffix(" mm")) for score in shown["demo.jpg"]["scores"]]
    scores = person.selection_scores * person.score_unit
    np.testing.assert_allclose(told, scores, atol=1.0, err_msg="run tools/make_figures.py again")
    assert shown["demo.jpg"]["reason"] == person.reason
    assert f"path {person.selected + 1} is chosen" in person.reason
    config = load_model_config()
    config.model.update(fit=None, selection="cen")
    ((person,),) = MIONInferencer(config, device="cpu")(PHOTO, keypoints2d=KEYPOINTS)["predictions"]
    told = [float(score.removesuffix(" mm")) for score in shown["images/stage3_scores.jpg"]["scores"]]
    np.testing.assert_allclose(told, person.expected_error, atol=1.0, err_msg="run tools/make_figures.py again")
    assert shown["images/stage3_scores.jpg"]["lowest"] == person.selected


def test_the_worst_people_are_the_worst():
    """Errors by the regressor of Human3.6M's joints on the vertices that are drawn."""
    worst = the_worst()
    shown = json.loads((DOCS / "figures.json").read_text())["images/worst.jpg"]["errors"]
    told = np.array([float(error.removesuffix(" mm")) for error in shown])
    np.testing.assert_allclose(told, np.sort(worst.errors)[::-1][: len(told)], atol=1.0)
    regressor = torch.from_numpy(worst.model.body.arrays.regressor_h36m).float()
    for person, error in zip(worst.people, told, strict=True):
        joints, truth = (evaluation_joints((regressor @ vertices)[None])[0] for vertices in (person.body, person.truth))
        assert 1000 * (joints - truth).norm(dim=-1).mean() == pytest.approx(error, abs=1.0)


def test_every_picture_of_the_pages_is_made_by_the_command():
    pages = [ROOT / "README.md", *DOCS.glob("*.md")]
    shown = {
        (page.parent / name).resolve().relative_to(DOCS.resolve()).as_posix()
        for page in pages
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+\.(?:jpg|png|svg))\)", page.read_text())
        if "://" not in name
    }
    measured = {"growth.svg", "candidates.svg"}  # by tools/benchmark.py growth and methods
    assert shown - measured == set(FIGURES)


def test_an_unknown_picture(tmp_path, capsys):
    assert make_figures.main(["--out", str(tmp_path), "--only", "cat.jpg"]) == 2
    assert "--only cat.jpg: expected some of demo.jpg, " in capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page):
    run_page(page)


def test_the_figures_of_the_questions_are_those_measured():
    measured = "".join((DOCS / name).read_text() for name in ("results.md", "tables.md"))
    sections = re.split(r"^## ", (DOCS / "faq.md").read_text(), flags=re.M)
    told = "".join(section for section in sections if section.startswith(("Reproduction", "Speed")))
    figures = re.findall(r"\d+ %|\d+\.\d\d\b", told)
    assert len(figures) >= 7
    assert [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}", measured)] == []


def test_a_page_whose_code_is_wrong_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```python\nassert 1 + 1 == 3\n```\n")
    with pytest.raises(AssertionError) as caught:
        run_page(page)
    assert caught.traceback[-1].lineno + 1 == 4  # the line of the page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_name_tools_and_options_that_exist(page):
    sources = [*(ROOT / "tools").rglob("*.py"), *(ROOT / "tools").glob("*.sh")]
    options = " ".join(path.read_text() for path in sources)
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.M)
    for words in map(without_launcher, commands(page)):
        if words and words[0] == "make":
            assert words[1] in targets
        if words and words[0] == "mion":
            assert words[1] in {*console.offered(), "configs"}, f"{page.name}: {words}"
        if words[:2] in (["mion", "train"], ["mion", "test"]):
            assert find_config(words[2]).is_file()
        for word in words[1:] if words and words[0].endswith("python") else words:
            if any(part in word for part in PLACEHOLDERS):
                continue
            if word.startswith(("tools/", "configs/")):
                assert (ROOT / word).is_file(), f"{page.name}: {word}"
            elif word.startswith("--") and "MMHUMAN3D/" not in " ".join(words):
                assert f'"{word}"' in options, f"{page.name}: {word}"


@pytest.mark.parametrize("page", API_PAGES, ids=lambda page: page.stem)
def test_the_api_pages_name_documented_objects(page):
    for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M):
        module, _, attribute = name.rpartition(".")
        owner = importlib.import_module(module)
        documented = getattr(owner, attribute, None) or importlib.import_module(name)
        assert documented.__doc__, name


def test_every_public_component_of_the_stages_has_a_place_in_the_api():
    listed = " ".join(page.read_text() for page in API_PAGES)
    for package in ("candidates", "refinement", "consistency", "evaluation", "datasets", "body"):
        module = importlib.import_module(f"mion_plugin.{package}")
        for name in set(module.__all__) - {"transforms", "BodyArrays"}:
            assert f"mion_plugin.{package}.{name}\n" in listed + "\n", f"{package}.{name}"


def test_the_computed_costs_are_those_of_the_tool():
    table = (DOCS / "training.md").read_text()
    kinds = {"mrt": "mion.RefinementNetwork", "cen": "mion.CEN", "reader": "mion.DepthConsistency"}
    for name in ("mrt_tiny_synthetic", "cen_tiny_synthetic", "mrt_tiny_lifting", "reader_tiny_synthetic"):
        kind = kinds[name.partition("_")[0]]
        network = cost_of_models.build_networks(ROOT / "configs" / "mion" / f"{name}.py")[kind]
        cost = cost_of_models.measure(network)
        row = f"| {cost.parameters / 1e6:.2f} | {cost.image_flops / 1e9:.2f} + {cost.path_flops / 1e9:.2f} |"
        kept = f" {cost.image_bytes / 1e6:.0f} + {cost.path_bytes / 1e6:.0f} |"
        assert f"| {name} | {kind} {row}{kept}" in table
    for name in ("cen_r34_224", "cen_vit-small_224", "cen_hrnet-w32_224"):  # the paper's size is counted alone
        network = cost_of_models.build_networks(ROOT / "configs" / "mion" / f"{name}.py")["mion.CEN"]
        parameters = sum(parameter.numel() for parameter in network.parameters())
        assert f"| {name} | mion.CEN | {parameters / 1e6:.2f} | " in table


def test_the_cost_of_a_linear_layer_is_counted_right():
    """The counter that the tool relies on: a multiplication with its addition is two operations."""
    config = ROOT / "configs" / "mion" / "mrt_tiny_synthetic.py"
    network = cost_of_models.build_networks(config)["mion.RefinementNetwork"]
    encoder = network.transformer.encoder[0]
    tokens, width, hidden = 49, 144, 512
    expected = 2 * (4 * tokens * width**2 + 2 * tokens * width * hidden + 2 * tokens**2 * width)
    with cost_of_models.FlopCounterMode(
        display=False, custom_mapping={cost_of_models._CPU_ATTENTION: cost_of_models._attention_flops}
    ) as counter:
        encoder(cost_of_models.torch.zeros(1, tokens, width, requires_grad=True))
    assert counter.get_total_flops() == expected


def test_model_cost_refuses_a_config_without_networks(tmp_path, capsys):
    config = tmp_path / "other.py"
    config.write_text("model = dict(type='Other')\n")
    assert model_cost.main([str(config)]) == 2
    assert "holds none of mion.RefinementNetwork, mion.CEN" in capsys.readouterr().err
    assert model_cost.main([str(tmp_path / "absent.py")]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    mkdocs = shutil.which("mkdocs", path=Path(sys.executable).parent)
    if mkdocs is None:
        pytest.skip("mkdocs is not installed: make docs builds the site, and fails at a warning")
    result = subprocess.run(
        [mkdocs, "build", "--strict", "--site-dir", tmp_path / "site"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "site" / "api" / "candidates.html").is_file()
