"""The smallest edits that change what code means: one number, or one text, inside a function."""

import ast


def edited(source: str) -> str:
    """Source code with the first number inside a function raised by 1; without one, a text changed.

    Comments and layout stay as they are.
    """
    constants = [
        node
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef)
        for statement in function.body
        if not _is_text_alone(statement)
        for node in _constants(statement)
    ]
    numbers = [node for node in constants if type(node.value) in (int, float)]
    texts = [node for node in constants if isinstance(node.value, str)]
    node = (numbers or texts)[0]
    value = node.value + 1 if numbers else f"{node.value} edited"
    lines = source.splitlines(keepends=True)
    first, last = node.lineno - 1, node.end_lineno - 1
    start = lines[first].encode()[: node.col_offset].decode()
    rest = lines[last].encode()[node.end_col_offset :].decode()
    return "".join([*lines[:first], f"{start}{value!r}{rest}", *lines[last + 1 :]])


def _constants(statement: ast.stmt) -> list[ast.Constant]:
    """Constants of a statement in their order, without annotations and pieces of f-strings."""
    found, waiting = [], [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant):
            found.append(node)
        elif not isinstance(node, ast.JoinedStr) and not _is_text_alone(node):
            waiting.extend(
                child
                for name, field in ast.iter_fields(node)
                if name not in ("annotation", "returns")
                for child in (field if isinstance(field, list) else [field])
                if isinstance(child, ast.AST)
            )
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _is_text_alone(node: ast.AST) -> bool:
    """Whether a statement is a docstring, whose edit means nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
