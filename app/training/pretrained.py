"""Pretrained initial weights, trained on many stations; see ``data/README.md``."""

import io
import zipfile
from pathlib import Path

import numpy as np

from app.store.files import replace_file
from app.store.history import digest
from models.forecast.features import N_FEATURES
from models.forecast.networks import check_shapes, parameters_of, station_network
from models.nn import Parameters
from models.recipe import Recipe

FOLDER = Path(__file__).parents[2] / "data"


def pretrained_file(recipe: Recipe, folder: Path = FOLDER) -> Path:
    """Return the path of the pretrained weights for a recipe; the file may not exist."""
    return folder / f"pretrained-{recipe.cell}-{recipe.hidden}.npz"


def pretrained_weights(recipe: Recipe, folder: Path = FOLDER) -> tuple[list[Parameters], str | None]:
    """Return the initial weights of each member and the file's digest, or ([], None) where random ones are used."""
    file = pretrained_file(recipe, folder)
    if recipe.initial_weights == "random" or not file.exists():
        return [], None
    try:
        content = file.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            weights = dict(arrays)
        n = 1 + max(int(name.partition(".")[0].removeprefix("member")) for name in weights)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} holds no pretrained weights: {error}; restore it or run scripts.pretrain") from None
    members = [parameters_of(weights, f"member{member}.") for member in range(n)]
    try:
        check_shapes(station_network(recipe, N_FEATURES), members, n)
    except ValueError:
        return [], None  # trained for other layers or columns
    return [members[member % n] for member in range(recipe.members)], digest(content)


def write_weights(file: Path, weights: Parameters) -> None:
    """Write the weights of all members ("member0.layer0.W" and so on) as float32."""
    content = io.BytesIO()
    arrays = {name: value.astype(np.float32) for name, value in weights.items()}
    np.savez(content, allow_pickle=False, **arrays)
    replace_file(file, content.getvalue())
