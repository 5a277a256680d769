"""The Python of the documentation compiles, and its loaders know the arguments that they are given."""

import ast
import inspect
import textwrap
from pathlib import Path

import pytest

import simsiam

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "python/README.md", ROOT / "zoo/README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks():
    """The blocks of Python of every page, each with its place."""
    for page in PAGES:
        block, start = None, 0
        for number, line in enumerate(page.read_text().splitlines(), 1):
            if block is None and line.strip() == "```python":
                block, start = [], number
            elif block is not None and line.strip() == "```":
                yield pytest.param(textwrap.dedent("\n".join(block)), id=f"{page.relative_to(ROOT)}:{start}")
                block = None
            elif block is not None:
                block.append(line)


@pytest.mark.parametrize("block", list(blocks()))
def test_a_block_compiles_and_its_loaders_know_their_arguments(block):
    known = inspect.signature(simsiam.Loader).parameters
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "simsiam.Loader":
            unknown = {argument.arg for argument in node.keywords} - {None} - set(known)
            assert not unknown, f"{ast.unparse(node)}: no such arguments: {unknown}"


def test_blocks_are_found():
    assert len(list(blocks())) >= 5
