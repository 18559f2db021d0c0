"""The documents say what the program does: blocks are executed, tables compared with their source."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import msgspec
import pytest

from app.settings import markdown_table
from models.recipe import Recipe
from tests.conftest import ROOT, synthetic_days, write_csv

README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
LISTED = subprocess.check_output(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
).splitlines()
FILES = [ROOT / name for name in LISTED if (ROOT / name).exists()]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def checkout(tmp_path):
    """The project as a clone has it, with this environment as its own."""
    folder = tmp_path / "checkout"
    for path in FILES:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def shell(command, folder):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TMAX_")}
    return subprocess.run(
        ["bash", "-euc", command], cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_readme_works_as_printed(checkout):
    serve, ask, train, more, retrain = blocks(README, "sh")
    assert serve == "make serve\n"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TMAX_")}
    server = subprocess.Popen(
        ["bash", "-c", serve], cwd=checkout, env=environ | {"PORT": port}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_until_ready(port, server)
        answered = shell(ask.replace("8000", port), checkout)
        assert answered.returncode == 0, answered.stderr
        assert_alike(json.loads(answered.stdout), json.loads(*blocks(README, "json")))
        write_csv(checkout / "my-station.csv", synthetic_days(500))
        trained = shell(train, checkout)
        assert trained.returncode == 0, trained.stderr
        assert "persistence" in trained.stdout
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/models", timeout=10) as models:
            assert [m["station"] for m in json.load(models)["models"]] == ["my-station", "seattle"]
        done = shell(more, checkout)
        assert done.returncode == 0, done.stderr
        assert "issued,date,tmax" in done.stdout
        assert "promote" in done.stdout
        (checkout / "folder-of-records").mkdir()
        shutil.copy(checkout / "my-station.csv", checkout / "folder-of-records")
        retrained = shell(retrain, checkout)
        assert retrained.returncode == 0, retrained.stderr
        assert "my-station: kept: too few days that the champion has not seen: 0" in retrained.stderr
    finally:
        printed = stop(server)
    assert f"http://127.0.0.1:{port}" in printed


def stop(server):
    """End a server and the processes it started; return what it printed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    return server.communicate(timeout=30)[0]


def wait_until_ready(port, server):
    for _ in range(1200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            assert server.poll() is None, server.communicate()
            time.sleep(0.1)
    raise AssertionError("make serve did not become ready")


def assert_alike(answer, printed):
    """Same shape and same words; numbers near, since other machines round differently."""
    assert list(answer) == list(printed)
    assert answer["tmax"] == pytest.approx(printed["tmax"], abs=0.5)
    for name in ("intervals", "exceedance"):
        for ours, theirs in zip(answer[name], printed[name], strict=True):
            assert ours == pytest.approx(theirs, abs=0.5)
    for name in ("station", "issued", "date", "units", "flags", "input_digest"):
        assert answer[name] == printed[name]
    assert answer["model"]["trained_through"] == printed["model"]["trained_through"]


def test_the_table_of_settings_is_the_program_s():
    assert markdown_table() in OPERATIONS


def test_the_printed_recipe_is_the_default():
    (recipe,) = blocks(OPERATIONS, "toml")
    assert tomllib.loads(recipe) == msgspec.to_builtins(Recipe())


def test_every_route_is_in_the_documents(client):
    for rule in client.application.url_map.iter_rules():
        assert rule.rule in OPERATIONS


def test_links_lead_somewhere():
    for path in FILES:
        if path.suffix == ".md":
            for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
                assert link.startswith("https://") or (path.parent / link).exists(), f"{path}: {link}"


def test_no_file_that_installs_names_an_address():
    for path in FILES:
        if path.name.startswith("requirements") or path.name in {"Makefile", "Dockerfile", "pyproject.toml"}:
            assert not re.search(r"https?://(?!127\.0\.0\.1)|index-url|find-links", path.read_text()), path


def test_every_requirement_has_a_hash():
    for path in FILES:
        if path.name.startswith("requirements"):
            pinned = re.findall(r"^[a-z0-9_.-]+==.*\\\n +--hash=sha256:", path.read_text(), re.MULTILINE)
            assert pinned
            assert len(pinned) == len(re.findall(r"^\S", path.read_text(), re.MULTILINE)), path


class TestImage:
    """No container engine is needed to see that what the image holds is enough: its steps are followed here."""

    DOCKERFILE = (ROOT / "Dockerfile").read_text()

    @pytest.fixture
    def image(self, tmp_path):
        """A folder with what the last stage copies, and nothing else."""
        folder = tmp_path / "image"
        folder.mkdir()
        last_stage = self.DOCKERFILE.split("\nFROM ")[-1]
        for line in re.findall(r"^COPY (?!--from)(.*)", last_stage, re.MULTILINE):
            *sources, target = line.split()
            for source in sources:
                place = folder / target / source if target.endswith("/") else folder / target
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy2(ROOT / source, place)
        return folder

    def test_it_trains_serves_and_finds_itself_healthy(self, image, tmp_path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        environ = os.environ | {
            "TMAX_STORE": str(tmp_path / "volume"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        subprocess.run(
            ["python", "-m", "scripts.train", "--quick"], cwd=image, env=environ, check=True, capture_output=True
        )
        (command,) = re.findall(r"^CMD (\[.*\])", self.DOCKERFILE, re.MULTILINE)
        (check,) = re.findall(r"HEALTHCHECK .*\\\n +CMD (\[.*\])", self.DOCKERFILE)
        serve = [part.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for part in json.loads(command)]
        healthy = [part.replace("8000", port) for part in json.loads(check)]
        server = subprocess.Popen(
            serve, cwd=image, env=environ, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            wait_until_ready(port, server)
            assert subprocess.run(healthy, env=environ, check=False).returncode == 0
            shutil.rmtree(tmp_path / "volume" / "seattle")
            unhealthy = subprocess.run(healthy, env=environ, capture_output=True, check=False)
            assert unhealthy.returncode != 0
        finally:
            stop(server)

    def test_what_it_copies_is_not_ignored(self):
        kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
        copied = {
            source.replace("$EXTRA", "*")
            for line in re.findall(r"^COPY (?!--from)(.*)", self.DOCKERFILE, re.MULTILINE)
            for source in line.split()[:-1]
        }
        assert copied == kept
