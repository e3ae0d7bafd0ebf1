"""What a bare import and the tools' parsers load: modules are looked at, never the clock."""

import ast
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import benchmark
import pytest

ROOT = Path(__file__).parents[1]
# Tool -> what it needs besides options.
TOOLS = {
    "app": [],
    "audit": ["a.lock"],
    "benchmark": ["selection"],
    "build_body_model": [],
    "build_candidate_pool": ["--source", "a", "--out", "a.npz"],
    "cache_crops": ["a.npz", "--out", "b"],
    "calibrate": ["a.py", "b.pth", "c.pth"],
    "convert_dataset": ["lsp", "--split", "train"],
    "demo": [],
    "detect_keypoints": ["--images", "a", "--out", "a.json"],
    "export": ["--out", "a"],
    "make_figures": [],
    "model_cost": ["a.py"],
    "predict": ["a", "--out", "b"],
    "publish_model": ["a.pth", "b.pth"],
    "score": ["a", "--bodies", "b"],
    "synthesize": ["--out", "a", "--num-images", "1"],
    "test": ["a.py"],
    "train": ["a.py"],
}
# Prints, as JSON, the packages that some code has imported and that neither Python nor the repository brings.
FOREIGN = """
import json, sys
before = set(sys.modules)
{code}
packages = {{name.split(".")[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names)
print(json.dumps(sorted(packages - {{"mion_plugin", "cli", "demos", "benchmarks", "commands"}})), file=sys.stderr)
"""
RUN_TOOL = """
import runpy
sys.argv, sys.path[0] = {argv!r}, {folder!r}
try:
    runpy.run_path({path!r}, run_name="__main__")
except SystemExit as error:
    code = error.code
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )


def run_tool(name: str, *arguments: str, then: str = "") -> tuple[str, list[str], list[str]]:
    """What a tool prints on standard output, the lines of its standard error, and the foreign packages it imports."""
    path = ROOT / "tools" / f"{name}.py"
    code = RUN_TOOL.format(argv=[str(path), *arguments], folder=str(path.parent), path=str(path))
    done = run_python(FOREIGN.format(code=code + then))
    *lines, packages = done.stderr.splitlines()
    return done.stdout, lines, json.loads(packages)


def registered_names() -> dict[str, list[str]]:
    """Registry -> names, by the decorators in the package's sources."""
    found: dict[str, list[str]] = {}
    for path in (ROOT / "mion_plugin").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for decorator in getattr(node, "decorator_list", ()):
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "attr", "") == "register_module":
                    given = [*decorator.args, *(option.value for option in decorator.keywords if option.arg == "name")]
                    name = ast.literal_eval(given[0]) if given else node.name
                    found.setdefault(decorator.func.value.id, []).extend([name] if isinstance(name, str) else name)
    return found


def test_every_tool_is_listed():
    assert {path.stem for path in (ROOT / "tools").glob("*.py")} == {*TOOLS, "cli", "launching", "speed"}


def test_importing_the_package_loads_nothing_but_itself():
    assert run_python(FOREIGN.format(code="import mion_plugin")).stderr.strip() == "[]"


def test_the_commands_help_loads_nothing():
    code = "from mion_plugin.console import main; main(['--help'])"
    done = run_python(FOREIGN.format(code=code))
    assert done.stdout.startswith("usage: mion COMMAND")
    assert done.stderr.strip() == "[]"


def test_a_config_that_names_the_package_loads_no_torch():
    run_python("""
        import sys
        from mmengine.config import Config
        Config.fromstring("custom_imports = dict(imports=['mion_plugin'])", ".py")
        import mion_plugin.registry
        assert not {"torch", "roma", "scipy", "sklearn", "smplx", "PIL"} & set(sys.modules)
    """)


@pytest.mark.parametrize("tool", TOOLS)
def test_help_loads_nothing(tool):
    printed, _, foreign = run_tool(tool, "--help", then="assert code == 0")
    assert printed.startswith("usage: ")
    assert foreign == []


@pytest.mark.parametrize("tool", TOOLS.keys() - {"benchmark"})
def test_a_mistyped_option_loads_nothing(tool):
    _, lines, foreign = run_tool(tool, *TOOLS[tool], "--hepl", then="assert code == 2")
    assert lines == [f"{tool}.py: error: unrecognized arguments: --hepl; did you mean --help? (see --help)"]
    assert foreign == []


def test_a_mistyped_benchmark_loads_nothing():
    _, lines, foreign = run_tool("benchmark", "slection", then="assert code == 2")
    assert "invalid choice: 'slection'" in lines[0]
    assert foreign == []


def test_a_benchmark_is_imported_when_its_options_are_read():
    others = [module for name, (module, _) in benchmark.BENCHMARKS.items() if name != "ablations"]
    loaded = f"assert code == 0 and not sys.modules.keys() & {set(others)!r}"
    printed, _, _ = run_tool("benchmark", "ablations", "--help", then=loaded)
    assert "--variants" in printed


def test_benchmarks_are_described_as_they_describe_themselves():
    for module, description in benchmark.BENCHMARKS.values():
        folder = ROOT / ("tests" if module.startswith("robustness.") else "tools")
        path = folder / module.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree).split("\n")[0] == description


@pytest.mark.slow
@pytest.mark.parametrize("first", ["mion_plugin", "mmengine"])
def test_every_component_is_found_by_the_first_lookup(first):
    """Whichever is imported first. Each registry in a process of its own: one's lookup would fill the others."""
    names = registered_names()
    kinds = {"DATASETS", "DATA_SAMPLERS", "FUNCTIONS", "HOOKS", "INFERENCERS", "METRICS", "MODELS", "TRANSFORMS"}
    assert names.keys() == kinds
    run_python(f"""
        import os, sys
        import {first}
        import mion_plugin
        import mmengine.registry
        import roma, sklearn.cluster, smplx, torchvision, mmengine.hooks  # once for all processes below
        assert "mion_plugin.components" not in sys.modules
        for name, components in {names!r}.items():
            pid = os.fork()
            if pid == 0:
                registry = getattr(mmengine.registry, name)
                missing = [one for one in components if registry.get("mion." + one) is None]
                print(name, missing, file=sys.stderr)
                os._exit(len(missing))
            assert os.waitpid(pid, 0)[1] == 0, name
    """)


def test_a_dependency_that_is_missing_is_an_error_of_the_lookup():
    run_python("""
        import sys
        sys.modules["roma"] = None  # "import roma" now raises ImportError
        import mion_plugin
        from mmengine.registry import MODELS
        for attempt in range(2):
            try:
                MODELS.build(dict(type="mion.SMPLBody"))
            except ImportError as error:
                assert "roma" in str(error)
            else:
                raise AssertionError
    """)


def test_subpackages_are_attributes():
    run_python("""
        import mion_plugin
        assert mion_plugin.mion.MultiInitializationOptimizationNetwork.__module__ == "mion_plugin.mion"
        assert set(mion_plugin.__all__) <= set(dir(mion_plugin))
        assert mion_plugin.__version__
        try:
            mion_plugin.nothing
        except AttributeError as error:
            assert "'mion_plugin' has no attribute 'nothing'" in str(error)
        else:
            raise AssertionError
    """)
