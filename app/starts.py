"""Where networks begin that shall not begin at random: weights that ship with the program, see ``data/README.md``."""

import io
import zipfile
from pathlib import Path

import numpy as np

from app.files import replace_file
from app.history import digest
from models.nn import Parameters
from models.recipe import Recipe

FOLDER = Path(__file__).parent.parent / "data"


def start_name(recipe: Recipe) -> str:
    """Name the file with the weights for networks of this kind."""
    return f"start-{recipe.cell}-{recipe.hidden}.npz"


def start_for(recipe: Recipe, folder: Path = FOLDER) -> list[Parameters]:
    """Return parameters for each member; none where the recipe wants none, or there are none for its networks."""
    file = folder / start_name(recipe)
    if recipe.start == "random" or recipe.layers > 1 or not file.exists():
        return []
    try:
        members = _read(file)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} does not hold weights to begin with: {error}; restore it, or make it anew") from None
    return [members[member % len(members)] for member in range(recipe.members)]


def start_digest(recipe: Recipe, folder: Path = FOLDER) -> str | None:
    """Return the digest of the file that `start_for` reads; None where it reads none."""
    return digest((folder / start_name(recipe)).read_bytes()) if start_for(recipe, folder) else None


def _read(file: Path) -> list[Parameters]:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        n = 1 + max(int(name.partition(".")[0].removeprefix("member")) for name in arrays.files)
        return [
            {name.removeprefix(f"member{m}."): arrays[name] for name in arrays.files if name.startswith(f"member{m}.")}
            for m in range(n)
        ]


def write_start(file: Path, weights: Parameters) -> None:
    """Write the parameters of all members, "member0.layer0.W" and so on, as float32."""
    content = io.BytesIO()
    arrays = {name: value.astype(np.float32) for name, value in weights.items()}
    np.savez(content, allow_pickle=False, **arrays)
    replace_file(file, content.getvalue())
