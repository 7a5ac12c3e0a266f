"""One resolver of import strings, which finds the user's code and ours whatever it is called."""

import subprocess
import sys

import pytest

from tests.tune_select.command_line import ROOT
from tune_select.imports import import_string, is_import_string, module_of


@pytest.mark.parametrize("path", ["collections.OrderedDict", "collections:OrderedDict",
                                  "collections:OrderedDict.fromkeys", "os.path.join"])  # fmt: skip
def test_dots_and_colons_lead_to_the_same(path):
    assert callable(import_string(path, "space"))
    assert is_import_string(path)
    assert module_of(path) in ("collections", "os")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("full", "space must be an import string"),
        ("a..b", "space must be an import string"),
        (3, "space must be an import string"),
        ("no_such_module.Name", "no module 'no_such_module'"),
        ("collections.OrderedDic", "has no 'OrderedDic'; did you mean OrderedDict"),
        ("trainables.ImageClassifcation", "did you mean ImageClassification"),  # imported lazily
    ],
)
def test_what_is_not_there_is_said(path, message):
    with pytest.raises(ValueError, match=message):
        import_string(path, "space")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_dependency", "needs 'no_such_dependency', which is not installed"),
        ("raise RuntimeError('broken')", "importing 'own_code' raised RuntimeError: broken"),
        ("import sys; sys.exit(0)", "importing 'own_code' raised SystemExit"),
        ("def", "importing 'own_code' raised SyntaxError"),
    ],
)
def test_code_of_ones_own_may_do_what_it_likes(tmp_path, monkeypatch, code, message):
    (tmp_path / "own_code.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_code", raising=False)
    with pytest.raises(ValueError, match=message):
        import_string("own_code.space", "space")


def test_code_beside_the_sweep_is_found_and_files_named_like_ours_are_in_nobodys_way(tmp_path):
    beside = tmp_path / "sweeps"
    beside.mkdir()
    (beside / "my_space.py").write_text("def space(): return {'learning_rate': [0.1, 0.2]}")
    for name in ("analysis", "trainables", "search_spaces"):
        (beside / f"{name}.py").write_text("raise RuntimeError('the file of the user')")
    (beside / "sweep.yaml").write_text(
        "{name: s, space: 'my_space:space', arms: [full], train: {model: small_cnn, "
        "learning_rate: 0.1}, promote: 0}"
    )
    program = (
        "import sys; sys.argv = ['tune-select', 'validate', sys.argv[1]]\n"
        "from tune_select.cli import main; main()"
    )
    for cwd, file in ((beside, "sweep.yaml"), (tmp_path, "sweeps/sweep.yaml")):
        done = subprocess.run(
            [sys.executable, "-c", program, file],
            cwd=cwd, env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
