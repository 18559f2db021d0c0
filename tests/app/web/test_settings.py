"""The settings of the service, read from the environment."""

from pathlib import Path

import pytest

from app.settings import Settings, SettingsError


def test_settings_are_read_from_the_environment():
    assert Settings.from_env({}) == Settings()
    given = {"TMAX_WORKERS": "3", "TMAX_STORE": "/srv/store", "TMAX_MAX_BODY_BYTES": ""}
    assert Settings.from_env(given) == Settings(Path("/srv/store"), 3)
    for value in ("none", "0", "-2", "1.5"):
        with pytest.raises(SettingsError, match=f"TMAX_WORKERS must be a whole number of at least 1, not '{value}'"):
            Settings.from_env({"TMAX_WORKERS": value})
