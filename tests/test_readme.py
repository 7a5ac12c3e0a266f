"""What the README prints runs as printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
LOOPS = {
    path.name.removesuffix("_loop.py"): path.read_text()
    for path in sorted((ROOT / "tests" / "examples").glob("*_loop.py"))
    if not path.name.startswith("test_")
}


PRINTED = {"plain", "lightning", "transformers"}


def test_the_training_loops_are_those_that_the_examples_run():
    assert set(LOOPS) >= PRINTED
    assert {LOOPS[name] for name in PRINTED} < set(BLOCKS)
    linked = [name for name in LOOPS if f"tests/examples/{name}_loop.py" in README]
    assert set(linked) >= set(LOOPS) - PRINTED, "a loop that is not printed is linked"


@pytest.mark.parametrize(("loop", "lines"), [("plain", 3), ("lightning", 1), ("transformers", 2)])
def test_few_lines_of_a_loop_change(loop, lines):
    assert len(re.findall(r"# (?:added|changed)", LOOPS[loop])) == lines


OTHERS = [block for block in BLOCKS if block not in LOOPS.values()]


@pytest.mark.parametrize("block", OTHERS, ids=["search", "trainable"])
def test_a_python_block_runs_as_printed(block, tmp_path):
    script = tmp_path / "block.py"
    script.write_text(block)
    run = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_DISABLE_IMPORT_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    assert "ERROR" not in run.stdout


def test_ci_runs_exactly_the_test_command_of_the_readme():
    commands = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    (test_command,) = [line for line in commands if "pytest" in line]
    assert test_command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_file_that_the_readme_links_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
