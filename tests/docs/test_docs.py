"""The documents agree with the program: their commands run, their tables and examples are the program's own."""

import contextlib
import json
import os
import re
import shlex
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

from app.serving.files import Query, asked
from app.serving.question import Request
from app.settings import markdown_table
from models.recipe import Recipe
from tests.stations import ROOT, synthetic_days, write_csv

README, API, OPERATIONS = ((ROOT / name).read_text() for name in ("README.md", "docs/api.md", "docs/operations.md"))
LISTED = subprocess.check_output(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
).splitlines()
FILES = [ROOT / name for name in LISTED if (ROOT / name).exists()]
REQUIREMENTS = sorted((ROOT / "requirements").iterdir())


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def without_settings():
    return {name: value for name, value in os.environ.items() if not name.startswith("TMAX_")}


@pytest.fixture
def record(tmp_path, days):
    return write_csv(tmp_path / "my-station.csv", days)


@pytest.fixture
def checkout(tmp_path):
    """A fresh clone, with this environment as its own."""
    folder = tmp_path / "checkout"
    for path in FILES:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def start():
    """Start servers in the background; they are stopped when the test ends."""
    servers = []

    def started(command, folder, port, environ):
        server = subprocess.Popen(
            command, cwd=folder, env=environ, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        servers.append(server)
        for _ in range(1200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
                return server
            assert server.poll() is None, server.communicate()
            time.sleep(0.1)
        raise AssertionError("the server did not become ready")

    yield started
    for server in servers:
        stop(server)


def stop(server):
    """Stop a server and its processes; return what it printed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    return server.communicate(timeout=30)[0] if not server.stdout.closed else b""


def test_the_readme_works_as_printed(checkout, start):
    serve, ask, train, more, retrain = blocks(README, "sh")
    assert serve == "make serve\n"
    port = free_port()
    server = start(["bash", "-c", serve], checkout, port, without_settings() | {"PORT": port})

    def shell(command):
        done = subprocess.run(
            ["bash", "-euc", command], cwd=checkout, env=without_settings(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    assert_alike(json.loads(shell(ask.replace("8000", port)).stdout), json.loads(*blocks(README, "json")))
    write_csv(checkout / "my-station.csv", synthetic_days(500))
    assert "persistence" in shell(train).stdout
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/models", timeout=10) as models:
        assert [m["station"] for m in json.load(models)["models"]] == ["my-station", "seattle"]
    printed = shell(more).stdout
    assert "issued,date,tmax" in printed
    assert "promote" in printed
    (checkout / "folder-of-records").mkdir()
    shutil.copy(checkout / "my-station.csv", checkout / "folder-of-records")
    assert "my-station: kept: too few days are new to the champion: 0" in shell(retrain).stderr
    assert f"http://127.0.0.1:{port}".encode() in stop(server)


def assert_alike(answer, printed):
    """The same fields and words; numbers near, as other processors round differently."""
    assert list(answer) == list(printed)
    assert answer["tmax"] == pytest.approx(printed["tmax"], abs=0.5)
    for name in ("intervals", "exceedance"):
        for ours, theirs in zip(answer[name], printed[name], strict=True):
            assert ours == pytest.approx(theirs, abs=0.5)
    for name in ("station", "issued", "date", "units", "flags", "input_digest"):
        assert answer[name] == printed[name]
    assert answer["model"]["trained_through"] == printed["model"]["trained_through"]


def test_tables_and_examples_are_those_of_the_program(client):
    assert markdown_table() in OPERATIONS
    (recipe,) = blocks(OPERATIONS, "toml")
    assert tomllib.loads(recipe) == msgspec.to_builtins(Recipe())
    for rule in client.application.url_map.iter_rules():
        assert rule.rule in API
    for field in msgspec.structs.fields(Request):
        assert f"`{field.name}`" in API
    for question in blocks(API, "json"):
        asked(question.encode(), Request)
    for name in Query.__struct_encode_fields__:
        assert f"`{name}`" in API


def test_files_and_pasted_answers_are_answered_as_printed(client, record):
    (command,) = blocks(API, "sh")
    curl, *options, url = shlex.split(command)
    assert (curl, options[0], options[2], options[1][0]) == ("curl", "--data-binary", "-H", "@")
    headers = dict([options[3].split(": ")])
    address = url.removeprefix("http://127.0.0.1:8000")
    answer = client.post(address, data=record.read_bytes(), headers=headers)
    assert answer.status_code == 200, answer.json
    assert [one["level"] for one in answer.json["intervals"]] == [0.8, 0.95]
    (pasted,) = (question for question in blocks(API, "json") if '"daily"' in question)
    answer = client.post("/predict", data=pasted.encode(), content_type="application/json")
    assert (answer.status_code, answer.json["issued"]) == (200, "2017-12-31"), answer.json


def test_links_lead_somewhere():
    for path in FILES:
        if path.suffix == ".md":
            for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
                assert link.startswith("https://") or (path.parent / link).exists(), f"{path}: {link}"


def test_paths_in_the_documents_exist():
    path_of_ours = re.compile(r"`((?:app|models|scripts|tests|data|docs|requirements)/[\w./-]*)`")
    for path in FILES:
        if path.suffix == ".md" and path.name != "CHANGELOG.md":
            for name in set(path_of_ours.findall(path.read_text())) - {"models/nn/steps.so"}:
                assert (ROOT / name).exists(), f"{path}: {name}"


def test_installed_files_name_no_address_and_every_requirement_has_a_hash():
    for path in (*REQUIREMENTS, *(ROOT / name for name in ("Makefile", "Dockerfile", "pyproject.toml", ".ci/run"))):
        assert not re.search(r"https?://(?!127\.0\.0\.1)|index-url|find-links", path.read_text()), path
    for path in REQUIREMENTS:
        pinned = re.findall(r"^[a-z0-9_.-]+==.*\\\n +--hash=sha256:", path.read_text(), re.MULTILINE)
        assert pinned
        assert len(pinned) == len(re.findall(r"^\S", path.read_text(), re.MULTILINE)), path


class TestImage:
    """The steps of the Dockerfile, followed without a container engine."""

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

    def test_it_trains_and_serves_and_its_health_check_sees_a_missing_model(self, image, tmp_path, start):
        port = free_port()
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
        healthy = [part.replace("8000", port) for part in json.loads(check)]
        start([part.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for part in json.loads(command)], image, port, environ)
        assert subprocess.run(healthy, env=environ, check=False).returncode == 0
        shutil.rmtree(tmp_path / "volume" / "seattle")
        assert subprocess.run(healthy, env=environ, capture_output=True, check=False).returncode != 0

    def test_what_it_copies_is_not_ignored(self):
        ignore = (ROOT / ".dockerignore").read_text().splitlines()
        kept = {line.removeprefix("!") for line in ignore if line[0] == "!"}
        copied = {
            source.split("/")[0]
            for line in re.findall(r"^COPY (?!--from)(.*)", self.DOCKERFILE, re.MULTILINE)
            for source in line.split()[:-1]
        }
        assert copied == kept
