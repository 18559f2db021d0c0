"""Damage to a store, done on purpose: changed bytes, and models put in place of others."""

import msgspec

from app.store import history


def model_file(store, version=None, station="hill"):
    """Return the path of a model file, by default the champion's."""
    station = store.station(station)
    return station.folder / "versions" / (version or station.champion()) / "model.joblib"


def flip_a_byte(path):
    """Change one bit in the middle of a file; a second call restores it."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_model(store, blob, station="hill"):
    """Make any bytes the champion, with a matching manifest and name, as an attacker with write access could."""
    station = store.station(station)
    sha256 = history.digest(blob)
    folder = station.folder / "versions" / f"20300101T000000Z-{sha256.removeprefix('sha256:')[:8]}"
    folder.mkdir()
    manifest = msgspec.structs.replace(station.manifest(station.champion()), sha256=sha256)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    (folder / "model.joblib").write_bytes(blob)
    station.champion_file.write_text(f"{folder.name}\n")
    return folder.name
