"""The command ``mion``, its configs by name, and the layout in which the wheel carries them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

import mion_plugin
from mion_plugin import console
from mion_plugin.files.checkpoints import load_local_checkpoint
from mion_plugin.files.configs import describe_config, find_config, full_names, read_config, shipped_configs
from mion_plugin.shipped import packaged_file
from mion_plugin.weights import trained_body

ROOT = Path(__file__).parents[1]
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
PACKAGED_WEIGHTS = "mion_plugin/models/mion_tiny/mrt.pth"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A folder with the package as pyproject.toml lays it out in the wheel: links, but for .mim."""
    site = tmp_path_factory.mktemp("site")
    package = site / "mion_plugin"
    package.mkdir()
    for entry in {*(ROOT / "mion_plugin").iterdir()} - {ROOT / "mion_plugin" / ".mim"}:
        (package / entry.name).symlink_to(entry)
    (package / "shipped.py").unlink()  # by the place of its own file it finds the others
    shutil.copy(ROOT / "mion_plugin" / "shipped.py", package)
    shutil.copytree(ROOT / "mion_plugin" / ".mim", package / ".mim")
    left_out = {path for pattern in WHEEL["exclude"] for path in ROOT.glob(pattern)}
    for source, target in WHEEL["sources"].items():
        shutil.copytree(
            ROOT / source, site / target, ignore=lambda d, names: {n for n in names if Path(d, n) in left_out}
        )
    return site


def run_wheel(site: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-W", "ignore", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={"PYTHONPATH": str(site)})


def test_every_tool_for_users_has_a_command():
    shared = {"cli", "launching", "speed"}  # of the tools
    development = {"audit", "benchmark", "build_body_model", "make_figures", "model_cost"}
    tools = {path.stem for path in (ROOT / "tools").glob("*.py")}
    assert tools - shared - development == {path.stem for path in console.offered().values()}


def test_a_command_is_offered_when_its_tool_is_there(monkeypatch, capsys):
    monkeypatch.setitem(console.COMMANDS, "dance", "no_such_tool")
    assert "dance" not in console.offered()
    assert console.main(["dance"]) == 2
    assert "no such command: dance" in capsys.readouterr().err
    monkeypatch.setitem(console.COMMANDS, "dance", "train")
    assert console.offered()["dance"] == ROOT / "tools" / "train.py"


def test_help_describes_every_command(capsys):
    assert console.main(["--help"]) == console.main([]) == 0
    printed = capsys.readouterr().out
    for command in [*console.offered(), "configs"]:
        (line, *_) = [line for line in printed.splitlines() if line.startswith(f"  {command} ")]
        assert len(line.split()) > 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "mion: error: no such command: trian; did you mean train? (see --help)"),
        (["train", "mrt_tiny_sythetic"], "mion train: error: config mrt_tiny_sythetic does not exist; did you mean "),
        (["train", "nothing"], "`mion configs` lists those that come with the package"),
        (["train", "."], "mion train: error: config . is a folder, expected a file"),
        (["train", "/"], "mion train: error: config / is a folder, expected a file"),
        (["configs", "nothing"], "mion configs: error: config nothing does not exist"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mion", *arguments])
    assert console.main() == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_the_program_of_a_tool_is_its_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mion", "pool", "--hepl"])
    with pytest.raises(SystemExit) as caught:
        console.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("mion pool: error: ")


class TestConfigs:
    NAMES = ("mrt_tiny_lifting", "mion/mrt_tiny_lifting", "mrt_tiny_lifting.py", "configs/mion/mrt_tiny_lifting.py")

    @pytest.mark.parametrize("name", NAMES)
    def test_are_found_by_name_from_any_folder(self, name, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert find_config(name) == ROOT / "configs" / "mion" / "mrt_tiny_lifting.py"

    def test_a_file_comes_first(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("mrt_tiny_lifting").write_text("")
        assert find_config("mrt_tiny_lifting") == Path("mrt_tiny_lifting")

    def test_names_are_unique_and_described(self):
        files = [path for path in (ROOT / "configs").glob("*/*.py") if path.parent.name != "_base_"]
        assert sorted(shipped_configs().values()) == sorted(files)
        assert len(full_names(shipped_configs())) == len(files)
        for file in files:
            assert len(describe_config(file).split()) > 2, file

    def test_an_equation_ends_no_sentence(self):
        told = describe_config(ROOT / "configs" / "mion" / "mrt_r50_56x56_mixed_frequency-2pi.py")
        assert told.startswith("The ablation of eq. 5 with PNCC times 2 pi")
        assert told.endswith("along the body.")

    def test_the_list_names_each(self, capsys):
        assert console.main(["configs"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.partition(": ")[0] for line in lines] == list(shipped_configs())

    def test_paths_are_printed_for_other_runners(self, capsys):
        assert console.main(["configs", "mmhuman3d/mion_tiny_synthetic", "mion_tiny_synthetic"]) == 0
        printed = capsys.readouterr().out.split()
        assert printed == [str(ROOT / "configs" / kind / "mion_tiny_synthetic.py") for kind in ("mmhuman3d", "mion")]


class TestPackagedFiles:
    def test_are_found_from_any_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        content = load_local_checkpoint(PACKAGED_WEIGHTS)
        assert trained_body(content, PACKAGED_WEIGHTS) is not None
        with pytest.raises(FileNotFoundError, match=r"checkpoint mion_plugin/none\.pth does not exist"):
            load_local_checkpoint("mion_plugin/none.pth")

    def test_a_file_of_ones_own_comes_first(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = Path(PACKAGED_WEIGHTS)
        assert packaged_file(path) == ROOT / path
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        assert packaged_file(path) == path
        assert packaged_file(tmp_path / path) == tmp_path / path


class TestTheWheelsLayout:
    def test_it_has_the_same_commands_and_configs(self, wheel, tmp_path):
        """Each config, as the wheel has it, is what the clone's is: its bases are where it looks for them."""
        done = run_wheel(wheel, tmp_path, "-m", "mion_plugin", "--help")
        assert done.stderr == ""
        assert all(f"  {command} " in done.stdout for command in console.offered())
        dump = """
import json, sys
from mion_plugin.files.configs import read_config, shipped_configs
found = {}
for name, file in shipped_configs().items():
    assert "/.mim/configs/" in str(file)
    if file.parent.name not in ("mmpose", "mmhuman3d"):  # which are read by, or inherit from, these
        found[name] = repr(read_config(name).to_dict())
json.dump(found, sys.stdout)
"""
        done = run_wheel(wheel, tmp_path, "-c", dump)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert len(found) > 25
        for name, text in found.items():
            assert text == repr(read_config(name).to_dict()), name

    def test_a_tool_runs_from_it(self, wheel, tmp_path):
        done = run_wheel(
            wheel, tmp_path, "-m", "mion_plugin", "train", "mrt_tiny_synthetic", "--cfg-options", "modle=3"
        )
        assert done.returncode == 2
        assert done.stderr == "mion train: error: --cfg-options modle: the config has no modle; did you mean model?\n"

    def test_it_leaves_the_projects_own_tools_out(self, wheel):
        tools = {path.name for path in (wheel / "mion_plugin" / ".mim" / "tools").iterdir()}
        assert not {"benchmark.py", "benchmarks", "audit.py", "check_wheel.sh"} & tools


def test_the_inferencer_is_an_attribute_of_the_package():
    from mion_plugin.inference import MIONInferencer

    assert mion_plugin.MIONInferencer is MIONInferencer
    assert (Path(mion_plugin.__file__).parent / "py.typed").is_file()


def test_a_list_of_configs_that_nobody_reads_to_the_end():
    """As in `mion configs | head -1`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mion_plugin", "configs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
