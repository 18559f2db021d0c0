"""The house of the modules: which room may import which, and which libraries."""

import ast
import json
import subprocess
import sys

from tests.stations import ROOT

MODELS = "models.nn models.record models.forecast models.verification"

# The rooms from the bottom up: the rooms and the libraries that each may import.
ROOMS = {
    "models.nn": ("", "numpy"),
    "models.regressor": ("models.nn", "numpy sklearn"),
    "models.recipe": ("", "msgspec"),
    "models.record": ("models.nn", "numpy"),
    "models.forecast": ("models.nn models.record", "numpy msgspec sklearn scipy"),
    "models.verification": ("models.nn models.record models.forecast", "numpy scipy"),
    "app.settings": ("", ""),
    "app.text": ("", ""),
    "app.store": (MODELS, "numpy msgspec joblib"),
    "app.readers": ("models.nn models.record", "numpy msgspec pandas"),
    "app.training": (f"{MODELS} app.store app.readers", "numpy msgspec joblib threadpoolctl dask distributed"),
    "app.serving": (f"{MODELS} app.store app.readers", "numpy msgspec"),
    "app.report": (f"{MODELS} app.training", "numpy msgspec scipy plotly jinja2 markupsafe prometheus_client"),
    "app.web": (f"{MODELS} app.store app.serving", "msgspec flask werkzeug"),
    "scripts.cli": (f"{MODELS} app.store app.readers app.training", "msgspec click rich"),
    "scripts": (
        f"{MODELS} app.store app.readers app.training app.serving app.report scripts.cli",
        "numpy msgspec click rich",
    ),
    "scripts.bench": (
        f"{MODELS} app.readers app.training scripts.cli",
        "numpy msgspec pandas sklearn click rich onnx onnxruntime torch distributed",
    ),
}
# Except that models know no environment, and networks no recipe.
EVERYWHERE = {"models.recipe", "app.settings", "app.text"}

# All that models may use of the standard library: nothing with a disk, a clock, a network, an environment or chance.
PURE = {
    "collections",
    "contextlib",
    "dataclasses",
    "functools",
    "math",
    "numbers",
    "re",
    "statistics",
    "types",
    "typing",
}
COMPILED = {"ctypes", "hashlib", "pathlib"}  # models/nn/compiled.py finds and loads the C code

OWN = {"app", "models", "scripts", "tests"}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
    for top in ("app", "models", "scripts")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def room_of(module):
    return max((room for room in ROOMS if f"{module}.".startswith(f"{room}.")), key=len, default=None)


def imported(tree):
    """Return all modules that a module imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in names)


def test_rooms_import_only_rooms_below_them_and_their_libraries():
    """Flask in the web alone, pandas in the readers alone, NumPy alone in the network; no command imports another."""
    bottom_up = list(ROOMS)
    for room, (others, _) in ROOMS.items():
        assert all(bottom_up.index(other) < bottom_up.index(room) for other in others.split()), room
    assert [module for module in MODULES if room_of(module) is None] == ["app", "models"]
    assert {room_of(module) for module in MODULES} == {*ROOMS, None}
    for module, tree in MODULES.items():
        room = room_of(module)
        rooms, libraries = map(str.split, ROOMS.get(room, ("", "")))
        if not module.startswith("models"):
            rooms += EVERYWHERE
        elif room not in {"models.nn", "models.regressor"}:
            rooms += ["models.recipe"]
        for name in imported(tree):
            top = name.split(".")[0]
            if top not in OWN:
                assert top in sys.stdlib_module_names or top in libraries, f"{module} imports {name}"
            else:
                assert room_of(name) in rooms or (room_of(name) == room != "scripts"), f"{module} imports {name}"


def test_models_are_free_of_disk_clock_network_environment_and_global_randomness():
    for module, tree in MODULES.items():
        if module.startswith("models"):
            names = {name.split(".")[0] for name in imported(tree)} & sys.stdlib_module_names
            assert names <= PURE | (COMPILED if module == "models.nn.compiled" else set()), module
            for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
                called = ast.unparse(call.func)
                assert called not in {"open", "input", "print", "__import__"}, module
                assert not called.startswith("np.random.") or called == "np.random.default_rng", f"{module}: {called}"
                assert call.args or not called.endswith("default_rng"), f"{module}: a generator without a seed"


def test_serving_loads_no_training_library(store, body):
    """A forecast comes from a model file that holds a StandardScaler, without scikit-learn; nor do commands wait.

    Only a file is read by pandas, which is then imported.
    """
    code = f"""
import json, sys
from pathlib import Path
from app.settings import Settings
from app.web import create_app
client = create_app(Settings(store=Path({str(store.root)!r}))).test_client()
answer = client.post("/predict", json={body!r})
assert answer.status_code == 200, answer.data
assert client.get("/readyz").status_code == client.get("/models/hill").status_code == 200
serving = list(sys.modules)
import scripts.store
looking = list(sys.modules)
wrong = client.post("/predict", data="date,tmax", content_type="text/csv")
assert wrong.status_code == 422, wrong.data
print(json.dumps([serving, looking, list(sys.modules)]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.stderr
    serving, looking, reading = map(set, json.loads(done.stdout))
    slow = {"sklearn", "pandas", "scipy", "plotly", "app.readers", "app.report", "models.regressor"}
    assert not serving & {*slow, "rich", "app.training", "scripts"}
    assert not looking & slow
    assert reading & slow == {"pandas", "app.readers"}
