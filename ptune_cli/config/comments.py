"""The comment beside a dataclass field is its help: written once, read by people in the source and in `--help`."""

import ast
import inspect
import io
import textwrap
import tokenize


def of_fields(cls: type) -> dict[str, str]:
    """Field name -> the comment at the end of its line, or else the comment lines just above it. No source, no help."""
    found: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        try:
            source = textwrap.dedent(inspect.getsource(ancestor))
        except (OSError, TypeError):
            continue
        comments = _comments(source)
        body = ast.parse(source).body[0]
        for node in body.body if isinstance(body, ast.ClassDef) else ():
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = _beside(node, comments) or _above(node, comments) or found.get(node.target.id, "")
    return found


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    """Line number -> (comment, True if nothing else is on the line)."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: (token.string.lstrip("# "), not token.line[: token.start[1]].strip())
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _beside(node: ast.AnnAssign, comments: dict[int, tuple[str, bool]]) -> str:
    lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    return " ".join(comments[line][0] for line in lines if line in comments)


def _above(node: ast.AnnAssign, comments: dict[int, tuple[str, bool]]) -> str:
    lines: list[str] = []
    line = node.lineno - 1
    while line in comments and comments[line][1]:
        lines.insert(0, comments[line][0])
        line -= 1
    return " ".join(lines)
