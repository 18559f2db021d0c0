"""gunicorn as users start it: framing, silent clients, several workers, new models while requests come in."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.settings import Settings
from app.store import Store
from app.web import create_app
from tests.damage import flip_a_byte, model_file
from tests.processes import Server
from tests.stations import ROOT

LARGE = 10 * 1024 * 1024
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory, trained):
    store = Store(tmp_path_factory.mktemp("served") / "store")
    trained.promote_in(store, "test")
    return store


@pytest.fixture(scope="module")
def server(served):
    running = Server(served.root)
    yield running
    running.stop()


def in_pieces(content, size=65536):
    """An iterator, which http.client sends chunked."""
    return iter([content[i : i + size] for i in range(0, len(content), size)])


def post(server, path, content, media="application/json"):
    """Send a body on a new connection; return the status, the headers and the bytes of the answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("POST", path, content, {"Content-Type": media}, encode_chunked=True)
        with connection.getresponse() as response:
            return response.status, response.headers, response.read()


def raw(server, content):
    """Send bytes as they are; return the status of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(content)
        return int(connection.makefile("rb").readline().split()[1])


def test_every_worker_gives_the_bytes_of_another_process(server, served, body):
    """Alone and in a batch."""
    assert server.get("/livez") == {"status": "alive"}
    assert server.get("/readyz") == {"status": "ready", "stations": 1, "degraded": {}}
    client = create_app(Settings(store=served.root)).test_client()
    for path, asked in (("/predict", body), ("/predict/batch", {"sequences": [body, body | {"levels": [0.5]}]})):
        content = json.dumps(asked)
        expected = client.post(path, data=content, content_type="application/json")
        found = [post(server, path, content) for _ in range(15)]
        assert {(status, answer) for status, _, answer in found} == {(200, expected.data)}
        assert {headers["Content-Type"] for _, headers, _ in found} == {"application/json"}
        assert len({headers["X-Request-ID"] for _, headers, _ in found}) == 15


def test_clients_that_send_large_bodies_get_their_answer(server, body):
    """However the body is framed, and whatever it is refused for."""
    content = json.dumps(body).encode().ljust(LARGE)  # JSON, if it were read to its end
    for _ in range(3):
        for status, path, media, sent in (
            (413, "/predict", "application/json", content),
            (413, "/predict", "application/json", in_pieces(content)),
            (415, "/predict", "text/html", content),
            (404, "/nowhere", "text/plain", content),
        ):
            found, headers, answer = post(server, path, sent, media)
            assert (found, headers["Content-Type"]) == (status, "application/problem+json")
            assert json.loads(answer)["status"] == status
    assert server.call("/predict", body)[0] == 200


def test_chunked_bodies_are_read_whole_and_broken_framing_is_refused(server, body):
    content, chunked = json.dumps(body).encode(), b"Transfer-Encoding: chunked\r\n\r\n"
    assert post(server, "/predict", in_pieces(content, 100))[::2] == post(server, "/predict", content)[::2]
    assert raw(server, HEAD + b"Content-Length: nonsense\r\n\r\n") == 400
    assert raw(server, HEAD + chunked + b"zz\r\n{}\r\n0\r\n\r\n") == 400
    assert raw(server, HEAD + b"\r\n") == 400  # no body at all
    assert raw(server, b"GARBAGE\r\n\r\n") == 400
    assert server.call("/predict", body)[0] == 200


def test_silent_clients_keep_no_other_waiting(server, body):
    """One that stalls within its request gets 408; a worker that waited for it, or for others, would take 5 s."""
    clients = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(21)]
    clients[0].sendall(HEAD + b"Content-Length: 9\r\n\r\n{")
    began = time.monotonic()
    for _ in range(5):
        assert server.call("/predict", body)[0] == 200
    assert time.monotonic() - began < 4.9
    assert clients[0].recv(100).startswith(b"HTTP/1.1 408")
    for client in clients:
        client.close()
    assert server.call("/predict", body)[0] == 200


def test_no_request_fails_while_champions_change(server, served, body, trained, retrained):
    """Promotions and rollbacks in a row; at last a damaged champion, which no worker serves."""
    answers, over, station = [], threading.Event(), served.station("hill")

    def ask():
        while not over.is_set():
            answers.append(server.call("/predict", body))

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        for _ in range(20):
            retrained.promote_in(served, "newer")
            station.rollback("test")
        last = trained.promote_in(served, "the last")
        flip_a_byte(model_file(served, retrained.promote_in(served, "damaged at once")))
    finally:
        over.set()
        for client in clients:
            client.join()
    assert {status for status, _, _ in answers} == {200}
    assert len({answer["model"]["version"] for _, _, answer in answers}) >= 2
    os.utime(station.champion_file)  # a worker that loaded it before the damage loads it again
    for _ in range(10):
        assert server.call("/predict", body)[2]["model"]["version"] == last
        assert "hill" in server.get("/readyz")["degraded"]
    station.promote(last, "for the other tests")


def test_invalid_setting_is_reported_in_one_line():
    done = subprocess.run(
        [Path(sys.executable).with_name("gunicorn"), "app.web:create_app()"],
        cwd=ROOT,
        env=os.environ | {"TMAX_WORKERS": "many"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.strip() == "TMAX_WORKERS must be a whole number of at least 1, not 'many'"
