"""The rules of CONTRIBUTING.md that a program can check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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
