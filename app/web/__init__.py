"""The service: ``gunicorn 'app.web:create_app()'``."""

import re
import uuid

from flask import Flask, Response, g, request

from app.settings import Settings
from app.store import Store
from app.web import errors, operations, predict
from app.web.shelf import Shelf

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application: the champions of the store are loaded and warmed before the first request.

    Parameters
    ----------
    settings : those of the environment where they are not given
    """
    settings = settings or Settings.from_env()
    app = Flask(__name__, static_folder=None)
    shelf = Shelf(Store(settings.store))
    shelf.load_all()
    app.register_blueprint(predict.blueprint(shelf, settings.max_body_bytes))
    app.register_blueprint(operations.blueprint(shelf))
    errors.register(app)

    @app.after_request
    def name_the_request(response: Response) -> Response:
        given = request.headers.get("X-Request-ID", "")
        response.headers["X-Request-ID"] = given if SANE_REQUEST_ID.fullmatch(given) else request_id()
        return response

    return app


def request_id() -> str:
    """Return the name of a request that came without a sane one; the same throughout the request."""
    if "request_id" not in g:
        g.request_id = uuid.uuid4().hex
    return str(g.request_id)
