"""Every public function of three parameters or more says what each of them is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("tune_select", "trainables", "analysis", "search_spaces")


def _functions(node: ast.AST, *, in_class: bool = False) -> Iterator[tuple[ast.FunctionDef, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            # What a class overrides is explained where it is declared.
            yield from _functions(child, in_class=bool(child.bases))
        elif isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            yield child, in_class


def _unexplained() -> list[str]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name == "cli.py":  # its options carry their help
                continue
            for function, overrides in _functions(ast.parse(path.read_text("utf-8"))):
                arguments = function.args
                names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                count = sum(argument.arg not in ("self", "cls") for argument in names)
                text = ast.get_docstring(function) or ""
                explained = (
                    "Args:" in text or "rgs and errors as" in text or "rguments as in" in text
                )
                if count >= 3 and not overrides and not explained:
                    found.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}")
    return found


def test_public_functions_explain_their_parameters() -> None:
    assert _unexplained() == []
