"""Request bodies: limited in size, and refused where they are cut short."""

import json

from app.settings import Settings
from app.web import create_app


def test_size_is_limited(unchanged_store, body):
    """To 2 MiB by default; the limit itself is allowed."""
    content = json.dumps(body)
    for given, limit in (({}, 2 * 1024 * 1024), ({"max_body_bytes": 5000}, 5000)):
        client = create_app(Settings(store=unchanged_store.root, **given)).test_client()
        sent = (content.ljust(limit + more) for more in (0, 1))
        found = [client.post("/predict", data=one, content_type="application/json") for one in sent]
        assert [response.status_code for response in found] == [200, 413]
        assert found[1].headers["Connection"] == "close"
        assert found[1].json["detail"] == f"the body is larger than {limit} bytes"


def test_body_shorter_than_stated_is_refused(reader, body):
    content = json.dumps(body).encode()
    environ = {"CONTENT_LENGTH": str(len(content) + 50)}
    response = reader.post("/predict", data=content, content_type="application/json", environ_overrides=environ)
    assert response.status_code == 400
    assert response.json["detail"] == f"the body ended after {len(content)} of {len(content) + 50} bytes"
