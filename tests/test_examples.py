"""The notebooks of examples/ run from top to bottom, and show what they would show today; the
program there prints the same figures whoever trains.

``python tests/test_examples.py`` runs them all and writes their outputs into the files.
"""

import subprocess
import sys
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))
LARGEST = 400_000  # bytes
COLOURS = 256  # of a picture
SECONDS = 600  # of a cell, first compilation included
PROGRESS = "application/vnd.jupyter.widget-view+json"  # a bar, where the machine is slow
STDERR = "stderr"  # a bar of text, or what a library says at its first use: warnings are errors
TIMED = "timed"  # the tag of a cell whose outputs differ from run to run
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# The first cell of every run here: a warning is an error, but for those of the kernel itself.
STRICT = """
import warnings

warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")
"""


def run(path):
    """Return the notebook of a file, run in a fresh process and an empty directory."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        # in the current Python, whatever kernel the file names
        NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", resources=resources
        ).execute()
    return tidied(notebook)


def tidied(notebook):
    """Return a notebook that was run, without what tells of the run."""
    del notebook.cells[0]
    notebook.metadata = nbformat.from_dict(METADATA)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(cells, 1):
        cell.execution_count = count
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            if picture := output.get("data", {}).get("image/png"):
                output.data["image/png"] = smaller(picture)
        cell.outputs = [
            o for o in cell.outputs if o.get("name") != STDERR and PROGRESS not in o.get("data", {})
        ]
    return notebook


def smaller(picture):
    """Return a PNG, in base64, with a palette: less than half the size, and it looks the same."""
    small = BytesIO()
    image = Image.open(BytesIO(b64decode(picture))).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return b64encode(small.getvalue()).decode()


def shown(cell):
    """What a code cell shows: its text, and which kinds of pictures."""
    if cell.cell_type != "code" or TIMED in cell.metadata.get("tags", []):
        return []
    return [
        (o.name, o.text)
        if o.output_type == "stream"
        else (o.output_type, sorted(o.data), o.data.get("text/plain"))
        for o in cell.outputs
    ]


def cells_of(path):
    """Return the cells of a file, of Jupyter's format."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook.cells


def test_there_are_examples():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_is_in_its_file(path):
    for now, then in zip(run(path).cells, cells_of(path), strict=True):
        assert shown(now) == shown(then), (
            f"{path.name} is stale: python tests/test_examples.py runs it anew\n\n{now.source}"
        )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_fit_to_be_read(path):
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size <= LARGEST
    assert notebook.metadata == METADATA
    cells = [cell for cell in cells_of(path) if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert set(cell.metadata) <= {"tags"}
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != STDERR, output.text


def test_the_search_prints_the_same_whoever_trains():
    program = str(Path(__file__).parents[1] / "examples" / "scikit_learn_search.py")
    plain, patched = (
        subprocess.run(
            [sys.executable, *how, program], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for how in ([], ["-m", "shoal.sklearn"])
    )
    assert len(plain) == 15 and plain[:-1] == patched[:-1]  # the last one is the time


if __name__ == "__main__":
    for notebook_path in NOTEBOOKS:
        nbformat.write(run(notebook_path), notebook_path)
