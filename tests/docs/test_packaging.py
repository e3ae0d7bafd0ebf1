"""Files around the package: the citation, the Dockerfile."""

import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
import tomllib
import yaml

import mion_plugin

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


class TestCitation:
    CFF = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    def test_it_has_what_the_format_asks_for(self):
        assert self.CFF["cff-version"] == "1.2.0"
        assert {"message", "title", "authors"} <= self.CFF.keys()
        assert self.CFF["version"] == PROJECT["version"] == mion_plugin.__version__
        assert self.CFF["license"] == PROJECT["license"]

    def test_the_paper_is_that_of_the_page(self):
        paper = self.CFF["preferred-citation"]
        assert PROJECT["urls"]["Paper"].endswith(paper["doi"])
        bibtex = " ".join((ROOT / "docs" / "index.md").read_text(encoding="utf-8").split())
        assert paper["title"] in bibtex
        assert str(paper["year"]) in bibtex
        authors = [f"{author['family-names']}, {author['given-names']}" for author in paper["authors"]]
        assert re.search(r"author = \{(.*?)\}", bibtex)[1] == " and ".join(authors)


class TestLongDescription:
    """What a package index shows: the README, whose relative links lead nowhere there."""

    RELATIVE = re.compile(r"\]\((?![a-z]+:|#)([^)]*)\)")

    def build(self, root):
        """The README of the metadata that hatchling makes."""
        pytest.importorskip("hatchling", reason="the build backend")
        from hatchling.metadata.core import ProjectMetadata
        from hatchling.plugin.manager import PluginManager

        core = ProjectMetadata(str(root), PluginManager()).core
        assert core.readme_content_type == "text/markdown"
        return core.readme

    def copy(self, folder, repository):
        """A project of ours with another README and an address."""
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        text = re.sub(r"^\[project\.urls\].*$", f'[project.urls]\nRepository = "{repository}"', text, flags=re.M)
        (folder / "pyproject.toml").write_text(text, encoding="utf-8")
        for name in ("hatch_build.py", "LICENSE", "NOTICE"):
            (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / "README.md").write_text(
            "![A skier](docs/demo.jpg)\n[concepts](docs/concepts.md#stage-1), [NOTICE](NOTICE), [here](#below), "
            "[mmpose](https://example.org/mmpose)\n",
            encoding="utf-8",
        )
        return folder

    def test_nothing_leads_nowhere_and_no_word_is_lost(self):
        source, built = (ROOT / "README.md").read_text(encoding="utf-8"), self.build(ROOT)
        assert len(self.RELATIVE.findall(source)) > 10  # in the repository they stay
        assert self.RELATIVE.findall(built) == []
        assert built.count("](https://") >= source.count("](https://") > 0
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", lambda link: "" if link[0][0] == "!" else link[1], source)
        assert re.sub(r"\[([^\]]*)\]\(http[^)]*\)", r"\1", re.sub(r"!\[.*?\]\(.*?\)", "", built)) == plain

    def test_with_an_address_links_lead_there(self, tmp_path):
        built = self.build(self.copy(tmp_path, "https://example.org/mion/"))
        assert built == (
            "![A skier](https://example.org/mion/raw/HEAD/docs/demo.jpg)\n"
            "[concepts](https://example.org/mion/blob/HEAD/docs/concepts.md#stage-1), "
            "[NOTICE](https://example.org/mion/blob/HEAD/NOTICE), [here](#below), [mmpose](https://example.org/mmpose)\n"
        )


class TestDockerfile:
    def instructions(self):
        """(NAME, rest) of each, continuation lines joined, comments left out."""
        lines = (ROOT / "Dockerfile").read_text().splitlines()
        text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
        return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]

    def test_stages_are_built_on_those_before_them(self):
        stages = []
        for name, rest in self.instructions():
            if name == "FROM":
                image, _, stage = rest.partition(" AS ")
                assert image in stages or image == "python:${PYTHON}-slim-bookworm"
                stages.append(stage)
            elif name == "COPY" and "--from=" in rest:
                assert re.search(r"--from=(\S+)", rest)[1] in stages
        assert {"cpu", "cuda"} <= set(stages)
        python = dict(self.instructions())["ARG"].partition("=")[2]
        assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]

    def test_what_it_copies_is_there_and_not_ignored(self):
        ignored = (ROOT / ".dockerignore").read_text().split("\n")
        kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
        copied = set()
        for name, rest in self.instructions():
            if name == "COPY" and "--from=" not in rest:
                copied |= set(shlex.split(rest)[:-1])
        assert copied == kept
        for path in copied:
            assert (ROOT / path).exists(), path

    def test_the_wheel_can_be_built_of_what_it_copies(self):
        """What pyproject.toml names lies in what is copied."""
        wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
        named = [*wheel["only-include"], *wheel["sources"], "hatch_build.py", "README.md"]
        copied = [word for name, rest in self.instructions() if name == "COPY" for word in shlex.split(rest)[:-1]]
        for path in [*named, *PROJECT["license-files"]]:
            assert any(path == word or fnmatch(path, f"{word}/*") for word in copied), path

    def test_the_extras_exist(self):
        extras = re.search(r"EXTRAS=(\S+)", (ROOT / "Dockerfile").read_text())[1].split(",")
        assert set(extras) <= set(PROJECT["optional-dependencies"])

    @pytest.mark.parametrize("name", ["cpu", "cuda"])
    def test_no_stage_runs_as_root(self, name):
        text = (ROOT / "Dockerfile").read_text()
        (stage,) = re.findall(rf"^FROM base AS {name}\n(.*?)(?=^FROM|\Z)", text, re.M | re.S)
        assert "USER 1000" in stage


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_the_makefile_installs_in_a_folder_with_a_space(tmp_path):
    """By what it would run."""
    folder = tmp_path / "my projects"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-mmcv2.lock"):
        shutil.copy(ROOT / name, folder)
    planned = subprocess.run(
        ["make", "--dry-run", "install", "test-mmcv2", "body"], cwd=folder, capture_output=True, text=True, check=True
    )
    commands = [shlex.split(line) for line in planned.stdout.splitlines() if "VIRTUAL_ENV=" in line]
    assert len(commands) == 5
    assert {words[0] for words in commands} == {f"VIRTUAL_ENV={folder}/{name}" for name in (".venv", ".venv-mmcv2")}
