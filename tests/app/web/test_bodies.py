"""Request bodies: limited in size, and refused where they are cut short."""

import json

from app.settings import Settings
from app.web import create_app


def test_size_is_limited(unchanged_store, body):
    """A question to 2 MiB by default, a file or a batch to 32 MiB; the limit itself is allowed."""
    question, batch = json.dumps(body), json.dumps({"sequences": [body]})
    file = "\n".join(["date,tmax", *(f"{day['date']},{day['tmax']}" for day in body["observations"]), ""])
    small = {"max_body_bytes": 5000, "max_upload_bytes": 6000}
    for given, limit, larger in (({}, 2 * 1024 * 1024, 32 * 1024 * 1024), (small, 5000, 6000)):
        client = create_app(Settings(store=unchanged_store.root, **given)).test_client()
        for path, media, content, its_limit in (
            ("/predict", "application/json", question, limit),
            ("/predict/batch", "application/json", batch, larger),
            ("/predict", "text/csv", file, larger),
        ):
            sent = (content + "\n" * (its_limit + more - len(content)) for more in (0, 1))
            found = [client.post(path, data=one, content_type=media) for one in sent]
            assert [response.status_code for response in found] == [200, 413]
            assert found[1].headers["Connection"] == "close"
            assert found[1].json["detail"] == f"the body is larger than {its_limit} bytes"


def test_media_types_that_are_not_accepted_are_answered_with_those_that_are(reader):
    for path, media, accepted in (
        ("/predict", "application/x-www-form-urlencoded", "application/json, or text/csv for a file, not {}"),
        ("/predict/batch", "text/csv", "application/json, not {}"),
        ("/predict", "", "application/json, or text/csv for a file, and none was given"),
    ):
        found = reader.post(path, data=b"date,tmax\n", headers={"Content-Type": media} if media else {})
        assert (found.status_code, found.json["detail"]) == (415, f"Content-Type must be {accepted.format(media)}")
    for media in ("application/json", "text/csv"):
        found = reader.post("/predict", data=b"{}", headers={"Content-Type": media, "Content-Encoding": "gzip"})
        assert (found.status_code, found.json["detail"]) == (
            415,
            "Content-Encoding is not supported: send the body unencoded",
        )


def test_body_shorter_than_stated_is_refused(reader, body):
    content = json.dumps(body).encode()
    environ = {"CONTENT_LENGTH": str(len(content) + 50)}
    response = reader.post("/predict", data=content, content_type="application/json", environ_overrides=environ)
    assert response.status_code == 400
    assert response.json["detail"] == f"the body ended after {len(content)} of {len(content) + 50} bytes"
