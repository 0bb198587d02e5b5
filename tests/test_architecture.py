"""The rules of CONTRIBUTING.md that a program can check."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("engines", "export", "server")
#: Package -> the other packages that it may import.
ALLOWED = {"engines": set(), "export": {"engines"}, "server": {"engines"}}
MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
ENGINES = [path for path in MODULES if path.parts[0] == "engines"]
#: The one module of the server that knows `export`: the command line is where the two meet.
EXPORT_COMMAND = Path("server/cli/commands/export.py")
MAX_LINES = 400
MAX_MODULES = 12


def tree_of(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"), str(path))


def imported(tree: ast.Module, package: tuple[str, ...]) -> Iterator[str]:
    """Absolute names of all modules that a module of `package` imports, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join([*above, *([node.module] if node.module else [])])


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """(dotted name, node) of every call of a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_the_rules_are_applied_to_something() -> None:
    assert Path("engines/errors.py") in ENGINES
    assert Path("server/cli/main.py") in MODULES


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import server.cli", ["server.cli"]),
        ("def f():\n    from engines.errors import ConfigError", ["engines.errors"]),
        ("from . import errors", ["engines.models"]),
        ("from ..errors import ConfigError", ["engines.errors"]),
        ("from ... import server", [""]),
    ],
)
def test_imports_are_found_wherever_they_hide(source: str, found: list[str]) -> None:
    assert list(imported(ast.parse(source), ("engines", "models"))) == found


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_dependencies_point_one_way(path: Path) -> None:
    own = path.parts[0]
    used = {name.partition(".")[0] for name in imported(tree_of(path), path.parent.parts)}
    assert used & set(PACKAGES) <= ALLOWED[own] | {own} | ({"export"} if path == EXPORT_COMMAND else set())
    assert "tests" not in used
    assert "" not in used, "a relative import leaves its package"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_can_be_read_in_a_sitting(path: Path) -> None:
    assert len((ROOT / path).read_text("utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), "the module has no docstring"


@pytest.mark.parametrize("path", ENGINES, ids=str)
def test_what_is_public_has_a_docstring(path: Path) -> None:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [node for node in tree_of(path).body if isinstance(node, definitions) and node.name[0] != "_"]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", ENGINES, ids=str)
def test_the_engines_never_print(path: Path) -> None:
    assert [node.lineno for name, node in calls(tree_of(path)) if name == "print"] == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nothing_is_unpickled(path: Path) -> None:
    tree = tree_of(path)
    unsafe = [
        node.lineno
        for name, node in calls(tree)
        if name == "torch.load"
        and not any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
    ]
    assert unsafe == []
    assert not {"pickle", "dill", "joblib"} & set(imported(tree, path.parent.parts))


WEIGHTS = sorted((ROOT / "engines/weights").glob("*.safetensors"))


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_shipped_weights_are_small_and_have_a_model_card(path: Path) -> None:
    assert path.stat().st_size <= 12_000_000
    card = path.with_suffix(".md").read_text("utf-8")
    for part in ("Data", "Recipe", "Command", "Figures", "Limits", "Licence"):
        assert f"**{part}.**" in card
    assert f"python -m engines.training.{path.stem}" in card
    assert (ROOT / f"engines/training/{path.stem}.py").exists()


def test_there_are_shipped_weights() -> None:
    assert [path.stem for path in WEIGHTS] == ["encoder", "makeup_clip", "preview"]


# --- rooms --------------------------------------------------------------------------------------------

#: Public names that the modules of a folder may share: entries of commands, recipes and runtimes.
SHARED_NAMES = {"main", "run", "add", "Pool", "loss_of", "runtime"}
#: Import name -> the distribution that brings it, where several do.
OPTIONAL = {"tensorrt": "tensorrt", "tensorrt_rtx": "tensorrt-rtx", "onnxruntime": "onnxruntime"}


def engines_of(path: Path) -> set[str]:
    """The modules of `engines` that a module imports."""
    return {name for name in imported(tree_of(path), path.parent.parts) if name.startswith("engines")}


@pytest.mark.parametrize("path", [p for p in ENGINES if p.parts[1] == "networks"], ids=str)
def test_networks_stand_on_the_ground(path: Path) -> None:
    assert {name for name in engines_of(path) if not name.startswith("engines.networks")} == set()


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.parts[:2] in {("server", "service"), ("server", "study")}], ids=str
)
def test_the_service_and_the_study_know_nothing_of_the_command_line(path: Path) -> None:
    used = imported(tree_of(path), path.parent.parts)
    assert [name for name in used if name.startswith("server.cli")] == []


PROGRAMS = sorted(
    path.relative_to(ROOT)
    for folder in ("benchmarks", "extension/scripts")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", [*MODULES, *PROGRAMS], ids=str)
def test_nothing_outside_the_tests_imports_tests(path: Path) -> None:
    assert [n for n in imported(tree_of(path), path.parent.parts) if n.partition(".")[0] == "tests"] == []


def test_a_folder_has_few_modules() -> None:
    modules = Counter(path.parent for path in MODULES if path.stem not in {"__init__", "__main__"})
    assert {str(folder): n for folder, n in modules.items() if n > MAX_MODULES} == {}


def test_no_public_name_is_in_two_modules_of_a_folder() -> None:
    homes = defaultdict(list)
    for path in MODULES:
        for node in tree_of(path).body:
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and node.name[0] != "_"
            ):
                homes[path.parent, node.name].append(path.name)
    twice = {(str(room), name): files for (room, name), files in homes.items() if len(files) > 1}
    assert {key: files for key, files in twice.items() if key[1] not in SHARED_NAMES} == {}


def test_the_rooms_of_the_engines_form_no_circle() -> None:
    """A module at the root of `engines` is a room by itself."""

    def room(name: str) -> str:
        parts = name.split(".")
        return ".".join(parts[:2])

    rooms = defaultdict(set)
    for path in ENGINES:
        own = room(".".join(path.with_suffix("").parts))
        rooms[own] |= {room(name) for name in engines_of(path)} - {own, "engines"}
    assert list(TopologicalSorter(rooms).static_order())


def declared() -> set[str]:
    """The names of all distributions in pyproject.toml, normalised."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.split(r"[^\w.-]", text)[0].lower().replace("_", "-") for entries in lists for text in entries}


def test_every_package_that_is_imported_is_declared() -> None:
    ours, brought = set(PACKAGES) | {"tests"}, packages_distributions()
    used = {name.partition(".")[0] for path in MODULES for name in imported(tree_of(path), path.parent.parts)}
    undeclared = {}
    for name in used - ours - set(sys.stdlib_module_names) - {""}:
        bringers = {d.lower().replace("_", "-") for d in brought.get(name, [OPTIONAL.get(name, name)])}
        if not bringers & declared():
            undeclared[name] = bringers
    assert undeclared == {}


#: Modules without a test of their name -> the test that covers them, by what it calls.
COVERED = {
    "engines/errors.py": "server/cli/commands/test_protect.py",  # every error is one line there
    "engines/report.py": "engines/test_pipeline.py",  # the whole report, key by key
    "engines/stack.py": "engines/test_load.py",  # data only
    "engines/backends/loading.py": "engines/backends/test_attach.py",
    "engines/backends/manifest.py": "export/test_build.py",
    "engines/backends/ort.py": "export/test_onnx.py",
    "engines/backends/trt.py": "export/test_tensorrt.py",
    "engines/latent/choose.py": "engines/test_pipeline.py",
    "engines/latent/target.py": "engines/test_pipeline.py",
    # The published networks are compared in one table.
    "engines/networks/dlib_resnet.py": "engines/networks/test_parity.py",
    "engines/networks/landmarks.py": "engines/networks/test_parity.py",
    "engines/networks/mtcnn.py": "engines/networks/test_parity.py",
    "engines/networks/generator.py": "engines/networks/test_mobilestylegan.py",  # a protocol
    "engines/networks/makeup_clip.py": "engines/makeup/test_prompter.py",
    "engines/networks/makeup_tower.py": "engines/training/test_makeup_clip.py",
    "engines/photo/colour.py": "engines/makeup/test_palette.py",
    "engines/training/augment.py": "engines/training/test_encoder.py",
    "engines/training/faces.py": "engines/training/test_preview.py",
    "engines/training/loop.py": "engines/training/test_preview.py",
    "engines/training/words.py": "engines/training/test_vocabulary.py",
}


@pytest.mark.parametrize("path", [p for p in ENGINES if p.stem[0] != "_"], ids=str)
def test_a_module_has_a_test_of_its_name(path: Path) -> None:
    test = COVERED.get(str(path), str(path.parent / f"test_{path.stem}.py"))
    assert (ROOT / "tests" / test).exists()
