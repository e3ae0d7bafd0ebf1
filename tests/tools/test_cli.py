"""What the command line tools share: numbers, configs and errors of any kind end in one line."""

import argparse

import pytest
from cli import OneLineParser, report_errors
from launching import check_logs, load_config

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
