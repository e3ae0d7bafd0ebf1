"""The command for several GPUs in the configs' headers: what mmhuman3d's ``tools/train.py`` gets from it on torch 2.

That tool takes ``--launcher pytorch`` and ``--local_rank``, and reads the rest from the environment.
"""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.mmhuman3d_host import CONFIGS

SCRIPT = """
import json, os, sys
from pathlib import Path
known = {name: os.environ[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
Path(__file__).with_name(known["RANK"] + ".json").write_text(json.dumps({**known, "arguments": sys.argv[1:]}))
"""


def launch(module: str, folder: Path) -> list[dict]:
    """What two processes of a launcher of torch are told."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", module, "--nproc_per_node=2", f"--master_port={port}", str(script)]
    done = subprocess.run([*command, "--launcher", "pytorch"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_torchrun_adds_no_option(tmp_path):
    for rank, told in enumerate(launch("torch.distributed.run", tmp_path)):
        expected = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        assert told == {**expected, "arguments": ["--launcher", "pytorch"]}


def test_mmhuman3ds_launcher_still_adds_one_that_its_tool_does_not_know(tmp_path):
    """By ``torch.distributed.launch``; when this fails, its tools/dist_train.sh will do again."""
    told = launch("torch.distributed.launch", tmp_path)
    assert [each["arguments"][0] for each in told] == ["--local-rank=0", "--local-rank=1"]


@pytest.mark.parametrize(
    "path", [*CONFIGS.glob("*.py"), CONFIGS.parents[1] / "docs" / "mmhuman3d.md"], ids=lambda path: path.stem
)
def test_the_commands_use_torchrun(path):
    text = re.sub(r"\\\n#?", " ", path.read_text())
    assert not re.search(r"\bsh tools/dist_\w+\.sh", text)
    several = re.findall(r"^.*nproc_per_node.*$", text, re.M)
    assert all(
        re.search(r"torchrun --nproc_per_node=\d+ tools/train\.py .*--launcher pytorch", line) for line in several
    )
    assert len(several) == ("mixed" in path.name or path.suffix == ".md")
