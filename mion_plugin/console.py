"""The command ``mion``: the tools of a clone under one name, from any folder.

    mion demo photo.jpg
    mion train mrt_tiny_synthetic
    mion configs

``python -m mion_plugin`` is the same. A tool is imported when its command is given, so that help and mistakes come at
once.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path

import mion_plugin
from mion_plugin.near_names import did_you_mean
from mion_plugin.shipped import shipped_folder

# Command -> module in tools/, by which it is offered if it is there.
COMMANDS = {
    "demo": "demo",
    "app": "app",
    "predict": "predict",
    "score": "score",
    "train": "train",
    "test": "test",
    "synthesize": "synthesize",
    "pool": "build_candidate_pool",
    "convert": "convert_dataset",
    "cache": "cache_crops",
    "detect": "detect_keypoints",
    "export": "export",
    "calibrate": "calibrate",
    "publish": "publish_model",
}
_CONFIGS = "configs"
_BAD_INPUT = 2


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the tool's exit code, 2 on bad input."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command in ("-h", "--help"):
        print(_help())
        return 0
    if command == "--version":
        print(f"mion-plugin {mion_plugin.__version__}")
        return 0
    if command == _CONFIGS:
        try:
            code = _print_configs(rest)
            sys.stdout.flush()
            return code
        except BrokenPipeError:  # of `mion configs | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains as it ends
            return 0
    if command not in offered():
        known = [*offered(), _CONFIGS]
        hint = did_you_mean(command, known, f"; expected one of {', '.join(known)}")
        told = " ".join(command.split())  # on one line, whatever was typed or pasted
        print(f"mion: error: no such command: {told}{hint} (see --help)", file=sys.stderr)
        return _BAD_INPUT
    return run_tool(command, rest)


def offered() -> dict[str, Path]:
    """Command -> the file of its tool."""
    files = {command: shipped_folder("tools") / f"{module}.py" for command, module in COMMANDS.items()}
    return {command: file for command, file in files.items() if file.is_file()}


def run_tool(command: str, arguments: list[str]) -> int:
    """``main`` of a tool, which finds its neighbours as when it is run as a file."""
    folder = str(shipped_folder("tools"))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.argv[0] = f"mion {command}"  # what argparse calls the program, and the tools in their errors
    code: int = importlib.import_module(COMMANDS[command]).main(arguments)
    return code


def _help() -> str:
    """What ``--help`` prints; a command is described by the first line of its tool."""
    described = {
        **{command: _first_line(file) for command, file in offered().items()},
        _CONFIGS: "List the configs that come with the package; with a name, print its path.",
    }
    width = max(map(len, described))
    lines = [f"  {command:<{width}}  {text}" for command, text in described.items()]
    usage = "usage: mion COMMAND ...\n\nMulti-hypothesis human mesh recovery. `mion COMMAND --help` lists options."
    return "\n".join([usage, "", "commands:", *lines])


def _first_line(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _print_configs(names: list[str]) -> int:
    """List the configs, or print the paths of those named; 2 if there is none of a name."""
    from mion_plugin.files.configs import describe_config, find_config, shipped_configs

    if any(name.startswith("-") for name in names):
        print("usage: mion configs [NAME ...]")
        return 0 if names in (["-h"], ["--help"]) else _BAD_INPUT
    if not names:
        for name, file in shipped_configs().items():
            print(f"{name}: {describe_config(file)}")
    for name in names:
        try:
            print(find_config(name))
        except FileNotFoundError as error:
            print(f"mion configs: error: {error}", file=sys.stderr)
            return _BAD_INPUT
    return 0
