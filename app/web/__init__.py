"""The service: ``gunicorn 'app.web:create_app()'``."""

from flask import Flask

from app.serving.champions import Champions
from app.settings import Settings
from app.store import Store
from app.web import bodies, errors, operations, predict, request_ids


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application, by default with the settings of the environment; load and warm all champions."""
    settings = settings or Settings.from_env()
    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_BODY_BYTES=settings.max_body_bytes, MAX_UPLOAD_BYTES=settings.max_upload_bytes)
    champions = app.extensions["champions"] = Champions(Store(settings.store))
    champions.load_all()
    app.register_blueprint(predict.routes)
    app.register_blueprint(operations.routes)
    request_ids.register(app)
    bodies.register(app)
    errors.register(app)
    return app
