"""The stubs say what the module says: an editor shows theirs, `help()` the module's."""

import ast
import inspect
from pathlib import Path

import pytest

import simsiam

STUBS = ast.parse((Path(simsiam.__file__).parent / "_simsiam.pyi").read_text())


def documented():
    """Every public name of the stubs, with its place in the module and its text."""
    for node in STUBS.body:
        if isinstance(node, ast.ClassDef) and hasattr(simsiam, node.name):
            kind = getattr(simsiam, node.name)
            yield node.name, kind, ast.get_docstring(node)
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                    yield f"{node.name}.{member.name}", getattr(kind, member.name), ast.get_docstring(member)


@pytest.mark.parametrize("name, value, text", list(documented()), ids=lambda value: value if isinstance(value, str) else "")
def test_stubs_have_the_modules_docstrings(name, value, text):
    assert text and text == inspect.getdoc(value), name
