"""Public functions of three parameters or more say what each is, in whole phrases."""

from __future__ import annotations

import ast
import re
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


# "Of the axis." leaves out what a thing is; "where" and "what" begin a clause, which does not.
_PREPOSITIONS = (
    "After|Among|As|At|Before|Beside|Between|By|For|From|In|Into|Of|On|Over|Per|Than|That|To|"
    "Under|Until|With"
)
_SECTION = re.compile(r"(?:Args|Attributes):\n((?:(?: {4}.*)?\n?)+)")
_FRAGMENT = re.compile(rf"^    \*{{0,2}}(\w+): (?:{_PREPOSITIONS})\b(?!-)", re.MULTILINE)


def _fragments(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            text = ast.get_docstring(node) or ""
            for section in _SECTION.findall(text):
                for name in _FRAGMENT.findall(section):
                    yield f"{path.relative_to(ROOT)}:{node.lineno} {name}"


def test_what_a_parameter_is_is_said_in_a_whole_phrase() -> None:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert [found for path in files for found in _fragments(path)] == []
