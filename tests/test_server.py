"""gunicorn as it is run: framing, several workers, new models while requests come in."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_store import flip_a_byte, model_file

LARGE = 10 * 1024 * 1024


def raw(server, *pieces):
    """Send bytes as they are; return the status line and the body of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.fixture
def server(serve, store):
    return serve(store.root)


def test_the_front_door(server, body):
    assert server.get("/livez") == {"status": "alive"}
    assert server.get("/readyz") == {"status": "ready", "stations": 1, "degraded": {}}
    status, headers, answer = server.call("/predict", body)
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Request-ID"]
    assert answer["date"] == "2018-04-15"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_ten_megabytes_are_refused_however_they_are_framed(server, body, framing):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    content = json.dumps(body).encode().ljust(LARGE)  # white space after it: JSON, were it read to its end
    pieces = iter([content[i : i + 65536] for i in range(0, LARGE, 65536)])
    connection.request(
        "POST",
        "/predict",
        content if framing == "length" else pieces,
        {"Content-Type": "application/json"},
        encode_chunked=framing == "chunked",
    )
    with connection.getresponse() as response:
        assert response.status == 413
        assert response.headers["Content-Type"] == "application/problem+json"
        assert json.load(response)["status"] == 413
    connection.close()
    assert server.call("/predict", body)[0] == 200


@pytest.mark.parametrize(
    ("path", "media", "status"), [("/predict", "text/plain", 415), ("/nowhere", "text/plain", 404)]
)
def test_a_large_body_that_is_refused_for_another_reason_gets_its_answer(server, path, media, status):
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("POST", path, b" " * LARGE, {"Content-Type": media})
        assert connection.getresponse().status == status
        connection.close()


def test_silent_clients_keep_nobody_waiting(server, body):
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    began = time.monotonic()
    for _ in range(5):
        assert server.call("/predict", body)[0] == 200
    assert time.monotonic() - began < 4  # a worker gives up on a client that has begun after 5 s or more
    slow = socket.create_connection(("127.0.0.1", server.port))
    slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    assert slow.recv(100).startswith(b"HTTP/1.1 408")
    for connection in [*silent, slow]:
        connection.close()
    assert server.call("/predict", body)[0] == 200


def test_a_chunked_body_is_read_whole(server, body):
    content = json.dumps(body).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (content[:100], content[100:101], content[101:]))
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    status, answer = raw(server, head + b"Transfer-Encoding: chunked\r\n\r\n", chunks, b"0\r\n\r\n")
    assert status == 200
    assert json.loads(answer) == server.call("/predict", body)[2]


def test_broken_framing_is_no_failure_of_ours(server, body):
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    assert raw(server, head + b"Content-Length: nonsense\r\n\r\n")[0] == 400
    assert raw(server, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")[0] in {400, 413}
    assert raw(server, head + b"\r\n")[0] == 400  # no body at all
    assert raw(server, b"GARBAGE\r\n\r\n")[0] == 400
    assert server.call("/predict", body)[0] == 200


def test_the_same_bytes_in_every_worker_and_after_a_restart(serve, store, body):
    def answers(server):
        bodies = set()
        for _ in range(30):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            connection.request("POST", "/predict", json.dumps(body), {"Content-Type": "application/json"})
            bodies.add(connection.getresponse().read())
            connection.close()
        return bodies

    first = serve(store.root, TMAX_WORKERS="3")
    before = answers(first)
    first.stop()
    assert len(before | answers(serve(store.root))) == 1


def test_new_champions_while_requests_come_in(server, store, body, trained, retrained):
    """Promotions and rollbacks in a row: not one request fails, and the last champion is what is served."""
    answers, over = [], threading.Event()

    def ask():
        while not over.is_set():
            answers.append(server.call("/predict", body))

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        for _ in range(20):
            retrained.publish_and_promote(store, "newer")
            store.rollback("hill", "test")
        last = trained.publish_and_promote(store, "the last")
    finally:
        over.set()
        for client in clients:
            client.join()
    assert {status for status, _, _ in answers} == {200}
    assert len({answer["model"]["version"] for _, _, answer in answers}) >= 2
    for _ in range(10):
        assert server.call("/predict", body)[2]["model"]["version"] == last


def test_a_damaged_champion_is_refused_and_the_one_before_it_keeps_serving(server, serve, store, body, retrained):
    _, _, before = server.call("/predict", body)
    retrained.publish_and_promote(store, "newer")
    flip_a_byte(model_file(store))
    for running in (server, serve(store.root)):  # one that served it before, one that starts now
        for _ in range(6):
            assert running.call("/predict", body)[2] == before
        assert "hill" in running.get("/readyz")["degraded"]


def test_a_setting_that_cannot_be_is_one_line():
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
