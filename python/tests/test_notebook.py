"""The notebook's cells run, and say what they should."""

import pathlib

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")


def test_the_cells_run():
    path = pathlib.Path(__file__).parents[1] / "example.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": path.parent}}).execute()
    shown = {cell.id: cell.outputs[-1]["data"]["text/plain"] for cell in notebook.cells if cell.get("outputs")}
    assert "safe" in shown["cell-4"]
    assert float(shown["cell-7"]) > 0.9
    assert eval(shown["cell-9"])[0] > 0.9 and len(eval(shown["cell-9"])[1]) == 5
    assert eval(shown["cell-12"]) == (True, {"pass"})
