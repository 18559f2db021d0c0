"""Imports point one way, and serving never pays for training."""

import ast
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# A package, and what of the project it may import besides itself.
MAY_IMPORT = {
    "models.nn": set(),
    "models": {"models"},
    "app": {"app", "models"},
    "scripts": {"app", "models", "scripts"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package):
    own = {"app", "models", "scripts", "tests"}
    files = sorted((ROOT / package.replace(".", "/")).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            top = name.split(".")[0]
            allowed = top in MAY_IMPORT[package] or name.startswith(package)
            assert top not in own or allowed, f"{path}: {name}"


def test_the_network_needs_numpy_alone():
    for path in (ROOT / "models" / "nn").glob("*.py"):
        tops = {name.split(".")[0] for name in imported(path)}
        assert tops <= {"numpy", "models"} | set(sys.stdlib_module_names), path


def test_the_web_knows_nothing_of_training():
    for path in (ROOT / "app" / "web").glob("*.py"):
        assert not {n for n in imported(path) if n.startswith(("app.training", "app.readers", "app.retrain"))}, path


def test_serving_imports_neither_scikit_learn_nor_pandas(store, body):
    """A forecast is served from a model file that holds a StandardScaler, in a process that never saw scikit-learn."""
    code = f"""
import sys
from pathlib import Path
from app.settings import Settings
from app.web import create_app
client = create_app(Settings(store=Path({str(store.root)!r}))).test_client()
answer = client.post("/predict", json={body!r})
assert answer.status_code == 200, answer.data
print(sorted({{name.split(".")[0] for name in sys.modules}} & {{"sklearn", "pandas", "scipy", "rich"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
