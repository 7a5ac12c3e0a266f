"""Places of a module where a fault would be none: decided by its syntax alone, and narrowly."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_CLOCKS = {"time", "monotonic", "perf_counter", "process_time"}
_SECONDS = re.compile(r"(^|_)(s|j|seconds|joules|now|deadline|give_up)$")
_PACE = re.compile(r"_?[A-Z][A-Z_]*_S")
_SEEDS = {"seed", "random_state"}
_LOGS = {"logger", "_logger", "log", "_log", "logging"}
_SHOWN = {"__repr__", "__str__"}
_FREE_KEYWORDS = {
    "frozen", "slots", "strict", "non_blocking", "copy", "stacklevel", "indent", "sort_keys",
}  # fmt: skip
_LARGE = 1000
"""A number of this size is a limit on memory or time, which one more does not change."""


def without_effect(tree: ast.Module) -> set[int]:
    """Ids of the nodes of a syntax tree that no behaviour hangs on.

    Annotations, docstrings and ``__all__``; messages (of what is raised, formatted strings, log
    lines, ``__repr__``); assertions, which are for what cannot happen; keywords that make a
    mistake fail earlier or a thing faster; limits of memory; a constant number of seconds, which
    sets a pace that no result hangs on; the number of a fixed seed, of which any is as good; and
    comparisons with ``<`` for ``<=`` where the two are never equal: of a clock, and with a share of
    something real (``schur <= DEPENDENT * norm``).
    """
    return {id(inner) for node in _wholes(tree) for inner in ast.walk(node)} | {
        id(node) for node in ast.walk(tree) if _is_alone_without_effect(node)
    }


def _wholes(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that count for nothing with everything inside them."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) if name in _SHOWN:
                yield node
            case ast.FunctionDef(returns=returns) | ast.AsyncFunctionDef(returns=returns):
                found = [returns, *(one.annotation for one in _arguments(node.args))]
                yield from (one for one in found if one is not None)
            case ast.AnnAssign(annotation=annotation):
                yield annotation
            case ast.Raise(exc=ast.AST() as exc):
                yield exc
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                yield node
            case ast.Expr(ast.Call(ast.Attribute(ast.Name(name)))) if name in _LOGS:
                yield node
            case ast.Assert() | ast.JoinedStr() | ast.ImportFrom():
                yield node
            case ast.keyword(arg=str(name)) if name in _FREE_KEYWORDS:
                yield node
            case ast.keyword(arg=str(name), value=ast.Constant() as value) if name in _SEEDS:
                yield value
            case ast.Assign(targets=[target]) if _sets_a_pace(target):
                yield node
            case ast.BinOp(ast.Constant(), _, ast.Constant()) if _is_large(node):
                yield from (node.left, node.right)


def _is_large(number: ast.expr) -> bool:
    """Whether a number, or one of two such as ``2**20``, is a limit on memory or time."""
    written = ast.Expression(number)
    return bool(eval(compile(ast.fix_missing_locations(written), "number", "eval")) >= _LARGE)


def _sets_a_pace(target: ast.expr) -> bool:
    """Whether a statement names constants, each of them a number of seconds."""
    names = target.elts if isinstance(target, ast.Tuple) else [target]
    return all(isinstance(name, ast.Name) and _PACE.fullmatch(name.id) for name in names)


def _is_alone_without_effect(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left, [ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], [right]):
            inside = [inner for side in (left, right) for inner in ast.walk(side)]
            return any(_is_of_a_clock(inner) or _is_a_share(inner) for inner in inside)
        case ast.Constant(int()):
            return _is_large(node)
    return False


def _is_of_a_clock(node: ast.AST) -> bool:
    match node:
        case ast.Call(ast.Attribute(attr=name) | ast.Name(name)):
            return name in _CLOCKS
        case ast.Attribute(attr=name) | ast.Name(name):
            return _SECONDS.search(name) is not None
    return False


def _is_a_share(node: ast.AST) -> bool:
    """Whether a constant is taken times something."""
    match node:
        case ast.BinOp(ast.Name(name), ast.Mult(), _):
            return name.isupper()
    return False


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [*named, *(a for a in (arguments.vararg, arguments.kwarg) if a is not None)]
