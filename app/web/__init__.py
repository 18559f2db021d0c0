"""The service: ``gunicorn 'app.web:create_app()'``."""

from flask import Flask

from app.settings import Settings
from app.store import Store
from app.web import bodies, errors, operations, predict, request_ids
from app.web.shelf import Shelf


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
    request_ids.register(app)
    bodies.register(app)
    errors.register(app)
    return app
