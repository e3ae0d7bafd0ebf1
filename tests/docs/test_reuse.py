"""The code of docs/reuse.md runs, and its trailing comments tell the shapes."""

import ast
import re
from pathlib import Path

import pytest
from mmengine.registry import MODELS, init_default_scope
from support.mmpose_networks import import_mmcv_ops

PAGE = Path(__file__).parents[2] / "docs" / "reuse.md"
SECTIONS = re.split(r"^#+ (?=[A-Z])", PAGE.read_text(), flags=re.MULTILINE)[1:]
CODE = {section.splitlines()[0]: re.findall(r"^```python\n(.*?)^```", section, re.M | re.S) for section in SECTIONS}
OWN_CLASSES = ("PNCCGuidedNeck", "MyBackbone")  # what the page registers
MMPOSE_1 = "# mmpose 1.x\n"


@pytest.fixture(autouse=True)
def clean_registry():
    yield
    for name in OWN_CLASSES:
        MODELS.module_dict.pop(name, None)
    init_default_scope("mmengine")


def run(code, namespace):
    """Run a block; returns how many shapes were told and checked."""
    lines, checked = code.splitlines(), 0
    for statement in ast.parse(code).body:
        told = re.search(r"  # (\(.*\))$", lines[statement.end_lineno - 1])
        if not isinstance(statement, ast.Expr) or told is None:
            exec(compile(ast.Module([statement], []), str(PAGE), "exec"), namespace)
            continue
        value = eval(compile(ast.Expression(statement.value), str(PAGE), "eval"), namespace)
        shapes = [tuple(one.shape) for one in (value if isinstance(value, tuple) else (value,))]
        assert shapes == list(ast.literal_eval(f"[{told[1]}]")), lines[statement.end_lineno - 1]
        checked += len(shapes)
    return checked


@pytest.mark.parametrize("section", CODE)
def test_section(section):
    blocks = CODE[section]
    if blocks[0].startswith(MMPOSE_1):
        pytest.importorskip("mmpose", minversion="1.0", reason="for mmpose 1.x: make test-mmcv2")
        import_mmcv_ops()
    namespace = {"__name__": f"reuse_{len(section)}"}
    checked = sum(run(code, namespace) for code in blocks)
    assert checked >= (0 if section == SECTIONS[0].splitlines()[0] else 1)


def test_the_whole_page_is_tested():
    assert sum(len(blocks) for blocks in CODE.values()) == PAGE.read_text().count("```python") >= 9


def test_a_wrong_shape_is_noticed():
    with pytest.raises(AssertionError, match=r"x, x"):
        run("import torch\nx = torch.ones(2)\nx, x  # (2,), (3,)\n", {})
