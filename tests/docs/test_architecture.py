"""docs/architecture.md: files, names and tests of its tables exist, and imports go the way that it says."""

import ast
import re
from pathlib import Path

import pytest

from mion_plugin import components, registry

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mion_plugin"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
assert components  # imported, so that the registries hold everything
REGISTRIES = [value for value in vars(registry).values() if isinstance(value, registry.Registry)]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = (part for part in section if part.startswith(heading))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def codes(cell: str) -> list[str]:
    """What a cell has in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


FROM_PAPER = rows("From the paper to the code")
ORDER = [
    room.removesuffix("/").removesuffix(".py") for cells in rows("What may import what") for room in codes(cells[0])
]


@pytest.mark.parametrize("cells", FROM_PAPER, ids=[cells[0] for cells in FROM_PAPER])
def test_the_table_from_paper_to_code_is_true(cells):
    _, file, names, test = cells
    for path in codes(file) + codes(test):
        assert (ROOT / path).is_file(), path
    source = (ROOT / codes(file)[0]).read_text()
    for name in codes(names):
        found = [own.get(name) for own in REGISTRIES if name.partition(".")[2] in own.module_dict]
        assert found, name
        assert f"class {found[0].__name__}(" in source, f"{name} is not in {file}"


def test_the_file_roles_are_those_of_both_stages():
    for file, _, *names in rows("File roles"):
        for stage, told in zip(("refinement", "consistency"), names, strict=True):
            source = (PACKAGE / stage / codes(file)[0]).read_text()
            for name in codes(told):
                if name.startswith("mion."):
                    (found,) = {own.get(name) for own in REGISTRIES if name.partition(".")[2] in own.module_dict}
                    name = found.__name__
                assert f"class {name}" in source, f"{name} is not in {stage}/{codes(file)[0]}"


def test_every_module_has_a_place_in_the_order():
    modules = {path.stem for path in PACKAGE.glob("*") if path.suffix == ".py" or path.is_dir()}
    assert modules - {"__init__", "__pycache__", "demo_data", ".mim"} == set(ORDER)


def test_imports_go_one_way():
    """Those at first use, too: a room imports itself and what stands before it."""
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room in ("__init__", "demo_data"):
            continue
        for imported in imported_rooms(path):
            if imported in ORDER and ORDER.index(imported) > ORDER.index(room):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {imported}")
    assert not wrong


def imported_rooms(path: Path) -> set[str]:
    """The rooms of the package that a file names in imports."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "mion_plugin":
            rooms |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mion_plugin."):
            rooms.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            rooms |= {name.name.split(".")[1] for name in node.names if name.name.startswith("mion_plugin.")}
    return rooms


def test_the_five_lines_are_those_of_the_code():
    source = (PACKAGE / "mion.py").read_text()
    block = re.search(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    for line in block.splitlines():
        call = re.search(r"self\.\w+\([^)]*", line)[0]
        assert call in source, line
