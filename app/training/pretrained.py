"""Pretrained initial weights, trained on many stations; see ``data/README.md``."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.store.files import replace_file
from app.store.history import digest
from models.forecast.features import N_FIRST
from models.forecast.networks import InitialWeights, check_shapes, parameters_of, station_network
from models.nn import Array, Parameters
from models.recipe import Recipe

KINDS = "kinds"  # the name of the kinds of inputs in the file

FOLDER = Path(__file__).parents[2] / "data"


def pretrained_file(recipe: Recipe, folder: Path = FOLDER) -> Path:
    """Return the path of the pretrained weights for a recipe; the file may not exist."""
    return folder / f"pretrained-{recipe.cell}-{recipe.hidden}.npz"


def pretrained_weights(recipe: Recipe, folder: Path = FOLDER) -> tuple[InitialWeights | None, str | None]:
    """Return the initial weights and the file's digest, or (None, None) where random ones are used."""
    file = pretrained_file(recipe, folder)
    if recipe.initial_weights == "random" or not file.exists():
        return None, None
    try:
        content = file.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            weights = dict(arrays)
        kinds = tuple(weights.pop(KINDS).tolist())
        n = 1 + max(int(name.partition(".")[0].removeprefix("member")) for name in weights)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} holds no pretrained weights: {error}; restore it or run scripts.pretrain") from None
    members = [parameters_of(weights, f"member{member}.") for member in range(n)]
    try:
        check_shapes(station_network(recipe, N_FIRST + len(kinds)), members, n)
    except ValueError:
        return None, None  # trained for other layers
    return InitialWeights([members[member % n] for member in range(recipe.members)], kinds), digest(content)


def write_weights(file: Path, weights: Parameters, kinds: Sequence[str]) -> None:
    """Write the weights of all members ("member0.layer0.W" and so on) as float32, and the kinds of their inputs."""
    content = io.BytesIO()
    arrays: dict[str, Array] = {KINDS: np.array(kinds, "U")}
    arrays |= {name: value.astype(np.float32) for name, value in weights.items()}
    np.savez(content, allow_pickle=False, **arrays)
    replace_file(file, content.getvalue())
