"""Small faults in a Python source, each a change of one node of its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.mutation.equivalent import without_effect

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
}  # fmt: skip

_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        line: Where it is, from 1.
        before: The expression or statement as it is written.
        after: The same with the fault in it.
        source: The whole module with the fault.
        lines: Of the statement that it is in; of a compound one, of its head alone. None of what
            runs as the module is imported: whatever runs any of its lines can miss that.
        function: The qualified name of the outermost function in whose body it is, if any.
    """

    line: int
    before: str
    after: str
    source: str
    lines: range
    function: str | None


def mutants(source: str) -> Iterator[Mutant]:
    """Every fault that is known of in a module."""
    return (mutant(source, site) for site in sites(source))


def sites(source: str) -> list[tuple[int, int]]:
    """Where faults may be, for ``mutant``.

    A comparison that takes in its limit or leaves it out, another operation, a condition turned
    around or joined otherwise, a number one further, a statement left out, a value not returned.
    What nothing can hang on is left alone; see ``tests.mutation.equivalent``.
    """
    tree = ast.parse(source)
    idle = without_effect(tree)
    nodes = [(i, node) for i, node in enumerate(ast.walk(tree)) if id(node) not in idle]
    return [(number, kind) for number, node in nodes for kind in range(len(_changes(node)))]


def mutant(source: str, site: tuple[int, int]) -> Mutant:
    """The fault at one of a module's sites."""
    number, kind = site
    changed = ast.parse(source)
    node = next(found for i, found in enumerate(ast.walk(changed)) if i == number)
    before, lines, function = ast.unparse(node), *_around(changed, node)
    new = _changes(node)[kind]
    _Replaced(node, new).visit(changed)
    faulty = ast.unparse(ast.fix_missing_locations(changed))
    line: int = node.lineno  # type: ignore[attr-defined]
    return Mutant(line, before, ast.unparse(new), faulty, lines, function)


def _around(tree: ast.Module, node: ast.AST) -> tuple[range, str | None]:
    """Lines of the innermost statement, and the outermost function that has it in its body.

    What stands in a function's head runs as the module is imported, and is missed only as the
    function is called: its lines are those of the body.
    """
    around = [
        one for one in ast.walk(tree)
        if isinstance(one, ast.stmt) and any(inner is node for inner in ast.walk(one))
    ]  # fmt: skip
    names: list[str] = []
    function = None
    for outer, inner in pairwise(around):  # ast.walk goes from the outside in
        if isinstance(outer, ast.ClassDef | _FUNCTION):
            names.append(outer.name)
        if isinstance(outer, _FUNCTION) and inner in outer.body and function is None:
            function = ".".join(names)
    statement = around[-1]
    assert statement.end_lineno is not None
    match statement:
        case ast.FunctionDef(body=[first, *_]) | ast.AsyncFunctionDef(body=[first, *_]):
            return range(first.lineno, statement.end_lineno + 1), function
        case _ if function is None:
            return range(0), None
        case ast.ClassDef() | ast.If() | ast.For() | ast.While() | ast.With():
            return range(statement.lineno, statement.body[0].lineno), function
    return range(statement.lineno, statement.end_lineno + 1), function


class _Replaced(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._old:
            return ast.copy_location(self._new, node)
        return super().visit(node)  # type: ignore[no-any-return]


def _changes(node: ast.AST) -> list[ast.AST]:
    """What might stand in a node's place."""
    match node:
        case ast.Compare(left, [op], [right]) if type(op) in _COMPARED:
            return [ast.Compare(left, [_COMPARED[type(op)]()], [right])]
        case ast.BinOp(left, op, right) if type(op) in _CALCULATED:
            return [ast.BinOp(left, _CALCULATED[type(op)](), right)]
        case ast.BoolOp(ast.And(), values):
            return [ast.BoolOp(ast.Or(), values)]
        case ast.BoolOp(ast.Or(), values):
            return [ast.BoolOp(ast.And(), values)]
        case ast.UnaryOp(ast.Not(), operand):
            return [operand]
        case ast.UnaryOp(ast.USub(), operand) if not isinstance(operand, ast.Constant):
            return [operand]  # of a number, one further is fault enough
        case ast.IfExp(test, body, orelse):
            return [ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)]
        case ast.Constant(value) if isinstance(value, bool):
            return [ast.Constant(not value)]
        case ast.Constant(value) if isinstance(value, int | float):
            return [ast.Constant(value + 1)]
        case ast.Return(value) if value is not None and not isinstance(value, ast.Constant):
            return [ast.Return(ast.Constant(None))]
        case ast.Expr(ast.Call()) | ast.AugAssign():
            return [ast.Pass()]
    return []
