"""What the command line tools share: numbers, configs and errors of any kind end in one line."""

import argparse
import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import cli
import pytest
from cli import OneLineParser, report_errors
from launching import check_logs, load_config

from mion_plugin import console
from mion_plugin.constants import SMOOTH_MIN_CUTOFF

CONFIG = "model = dict(type='mion.MION')\n"


def load(tmp_path, text, name="config.py"):
    path = tmp_path / name
    path.write_text(text)
    options = {"cfg_options": None, "launcher": "none", "work_dir": None}
    return load_config(argparse.Namespace(config=str(path), **options))


class TestNumbers:
    @pytest.fixture
    def parser(self):
        parser = OneLineParser(prog="tool")
        parser.add_argument("--count", type=int)
        parser.add_argument("--share", type=float)
        return parser

    def test_sound(self, parser):
        args = parser.parse_args(["--count", "-3", "--share", "1e-3"])
        assert (args.count, args.share) == (-3, 1e-3)

    @pytest.mark.parametrize(
        ("option", "text"),
        [
            ("--count", "9" * 400),
            ("--count", "1.5"),
            ("--count", "nan"),
            *(("--share", t) for t in ("nan", "inf", "1e400", "a")),
        ],
    )
    def test_others_end_with_one_line_that_names_the_option(self, parser, capsys, option, text):
        with pytest.raises(SystemExit, match="2"):
            parser.parse_args([option, text])
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"tool: error: argument {option}: ")


TOOLS = Path(cli.__file__).parent
USERS = [*console.COMMANDS.values()]


def parser_of(tool, monkeypatch):
    """The parser that a tool builds."""
    found = []
    specification = importlib.util.spec_from_file_location(f"{tool}_tool", TOOLS / f"{tool}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    with monkeypatch.context() as patch:
        patch.setattr(OneLineParser, "parse_args", lambda self, *_: found.append(self) or self.exit())
        with pytest.raises(SystemExit):
            module.parse_args([])
    return found[0]


def refusal(parser, arguments, capsys):
    """The line in which a command line is refused."""
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    return line


class TestEveryOptionOfEveryTool:
    """What a user gives in place of a value is told with the option's name and what it should be."""

    @pytest.mark.parametrize("tool", USERS)
    def test_values_that_are_none(self, tool, monkeypatch, capsys):
        parser = parser_of(tool, monkeypatch)
        needed = [action for action in parser._actions if not action.option_strings and action.nargs is None]
        positional = ["x" if action.choices is None else next(iter(action.choices)) for action in needed]
        for action in parser._actions:
            if not action.option_strings or action.nargs == 0:
                continue
            option = action.option_strings[0]
            for given in ([option], [option, "--"], [option, "---"], [f"{option}=--"], [option, ""], [option, " "]):
                if action.nargs == "?" and len(given) == 1 and "=" not in given[0]:
                    continue  # its value may be left out
                line = refusal(parser, [*positional, *given], capsys)
                assert line.startswith(f"{parser.prog}: error: argument {option}"), (given, line)
                assert "expected" in line or "invalid choice" in line, (given, line)

    def test_a_positional_one(self, monkeypatch, capsys):
        line = refusal(parser_of("train", monkeypatch), [""], capsys)
        assert "error: argument config: expected a text, not ''" in line

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (["--max-frames"], "argument --max-frames: expected one argument, a whole number (see"),
            (["--max-frames", "2.5"], "argument --max-frames: expected a whole number, not '2.5' (see"),
            (["--pool", ""], "argument --pool: expected a path, not '' (see"),
            (["x", "--smooth", "--"], "argument --smooth: expected a value, a number after it, not -- (see"),
            (["x", "--turntable", "---"], "argument --turntable: expected nothing after it, not --- (see"),
            (["--overlay-camera"], "expected one argument, one of crop, image (see"),
            (["--smoth", "3"], "unrecognized arguments: --smoth; did you mean --smooth? (see"),
        ],
    )
    def test_the_words(self, given, message, monkeypatch, capsys):
        assert message in refusal(parser_of("demo", monkeypatch), given, capsys)

    def test_dashes_that_end_the_options_stay_legal(self, monkeypatch):
        args = parser_of("demo", monkeypatch).parse_args(["--smooth", "--", "photo.jpg"])
        assert (args.smooth, args.input) == (SMOOTH_MIN_CUTOFF, "photo.jpg")


class TestConfigs:
    def test_sound(self, tmp_path):
        assert load(tmp_path, CONFIG).model.type == "mion.MION"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("raise RuntimeError('no')", "no"),
            ("a = 1 / 0", "division by zero"),
            ("raise RuntimeError", "RuntimeError"),
            ("def f(): return f()\nf()", "maximum recursion depth exceeded"),
            ("_base_ = ['config.py']", ""),
            ("", "has no model"),
            ("model = None", "has no model"),
            ("model = 3", "model is 3, expected a dict"),
            (f"{CONFIG}train_cfg = 3", "train_cfg is 3, expected a dict"),
            (f"{CONFIG}train_cfg = dict(max_epochs='many')", "train_cfg.max_epochs is 'many', expected a number"),
            (f"{CONFIG}train_dataloader = dict(batch_size=0)", "train_dataloader.batch_size is 0, expected"),
            (f"{CONFIG}optim_wrapper = dict(optimizer=dict(lr='fast'))", "optim_wrapper.optimizer.lr is 'fast'"),
            (f"{CONFIG}randomness = dict(seed='a')", "randomness.seed is 'a', expected a number of at least 0"),
        ],
    )
    def test_what_cannot_be_is_told_with_the_file(self, tmp_path, text, message):
        with pytest.raises(ValueError, match=r"config .*config\.py:? ") as caught:
            load(tmp_path, text)
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "text"), [("c.json", "["), ("c.json", "[" * 100_000), ("c.yaml", "a: [1"), ("c.txt", "")]
    )
    def test_other_formats(self, tmp_path, name, text):
        with pytest.raises(ValueError, match=rf"config .*{name}: "):
            load(tmp_path, text, name)


def test_the_name_of_a_file_need_be_no_text(capfdbinary):
    @report_errors("tool")
    def main(arguments=None):
        print("written: \udcff.jpg")
        return 0

    assert main() == 0


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: Path("file").mkdir(), "file is a file, expected a folder"),
        (lambda: Path("file/below").mkdir(), "file/below is below a file, expected a folder there"),
        (lambda: Path("folder").write_text(""), "folder is a folder, expected a file"),
        (lambda: Path("none").read_text(), "none: No such file or directory"),
    ],
)
def test_what_is_in_the_way_is_told(tmp_path, monkeypatch, capsys, work, message):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder").mkdir()
    assert report_errors("tool")(lambda arguments=None: work())() == 2
    assert capsys.readouterr().err == f"tool: error: {message}\n"


def test_ctrl_c_is_told_in_a_line_and_ends_a_shells_loop_too():
    code = (
        "import signal, sys\n"
        "from cli import report_errors\n"
        "sys.exit(report_errors('tool')(lambda arguments=None: signal.raise_signal(signal.SIGINT))())"
    )
    tools = Path(cli.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=tools, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "\ntool: stopped\n")


def test_a_log_that_cannot_be_written_names_the_extra(tmp_path, monkeypatch):
    text = (
        CONFIG + "visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])\n"
    )
    cfg = load(tmp_path, text)
    check_logs(cfg)  # it is installed here
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'mion-plugin\[train\]'"):
        check_logs(cfg)
    check_logs(load(tmp_path, CONFIG))
