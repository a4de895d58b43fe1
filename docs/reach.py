"""What a function may come to do, read from its source: the rights it asks for and the errors it may raise.

Follows calls of functions of the product that are named plainly (``f()``, ``module.f()``, ``Class.f()``); what is only
known at run time is not followed.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from plumbline.kernel.errors import PlumblineError


@cache
def reached(function: FunctionType) -> tuple[frozenset[str], frozenset[int]]:
    """Rights and HTTP statuses within reach of ``function``."""
    rights: set[str] = set()
    statuses: set[int] = set()
    seen: set[Any] = set()
    queue = [function]
    while queue:
        one = inspect.unwrap(queue.pop())
        if one in seen:
            continue
        seen.add(one)
        for node, names in _calls(one):
            target = _resolved(node.func, names)
            rights |= _rights(node, target, names)
            if isinstance(target, type) and issubclass(target, PlumblineError):
                statuses.add(target.status)
            elif isinstance(target, type) and target.__module__.startswith("plumbline."):
                queue += [
                    f
                    for f in (getattr(target, n, None) for n in ("__init__", "__enter__"))
                    if isinstance(f, FunctionType)
                ]
            elif inspect.ismethod(target):
                target = target.__func__
            if isinstance(target, FunctionType) and target.__module__.startswith("plumbline."):
                queue.append(target)
    return frozenset(rights), frozenset(statuses)


def _calls(function: Any) -> Iterator[tuple[ast.Call, dict[str, Any]]]:
    if not isinstance(function, FunctionType):
        return
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # made at run time: dataclasses' own methods
        return
    names = dict(function.__globals__)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("plumbline") and not node.level:
            names |= {alias.asname or alias.name: _member(node.module, alias.name) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, names


def _member(module: str, name: str) -> Any:
    found = getattr(import_module(module), name, None)
    return import_module(f"{module}.{name}") if found is None else found


def _resolved(node: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, names)
        if isinstance(owner, ModuleType | type):
            return getattr(owner, node.attr, None)
    return None


def _rights(node: ast.Call, target: Any, names: dict[str, Any]) -> set[str]:
    """``Act(…, right="x")`` and ``context.require("x")``; the name may be a constant of the module, or one of two."""
    found = [k.value for k in node.keywords if k.arg == "right"]
    if isinstance(node.func, ast.Attribute) and node.func.attr == "require" and target is None:
        found += node.args[:1]
    found += [branch for value in found if isinstance(value, ast.IfExp) for branch in (value.body, value.orelse)]
    values = [value.value if isinstance(value, ast.Constant) else _resolved(value, names) for value in found]
    return {value for value in values if isinstance(value, str)}
