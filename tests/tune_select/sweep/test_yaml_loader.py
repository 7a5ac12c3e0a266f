"""A sweep file is read in bounded time, and never as another value than the one written."""

import pytest
import yaml

from tune_select.sweep.config import SweepError
from tune_select.sweep.yaml_file import load_sweep, parse_sweep
from tune_select.sweep.yaml_loader import MAX_DEPTH, YamlError, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1E+2", 100.0), ("-.5e1", -5.0), ("2024-01-02", "2024-01-02"), ("07", 7),
        ("0", 0), ("0.30", 0.3), ("1_000", 1000), ("'030'", "030"), ("'1:30'", "1:30"),
        ("off", False), ("'off'", "off"), ("{a: [1, null]}", {"a": [1, None]}), ("a:b", "a:b"),
        ("{a: &x {b: 1}, c: {<<: *x, b: 2}}", {"a": {"b": 1}, "c": {"b": 2}}),
    ],
)  # fmt: skip
def test_what_is_written_is_what_is_read(text, value):
    assert read_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 030", r"030 in line 1 is 24 in YAML 1\.1: write 30"),
        ("x: 1\na: -0_17", r"-0_17 in line 2 is -15 in YAML 1\.1: write -17"),
        ("a: 1:30", r"1:30 in line 1 is 90 in YAML 1\.1: quote it for a text, or write 90"),
        ("a: 1\nb: 2\na: 3", "'a' stands twice, in line 1 and in line 3"),
        ("a: {b: 1, b: 1}", "'b' stands twice"),
        ("{on: 1}", "key on in line 1 means true or false in YAML: quote it"),
        ("{[1]: 2}", "is a list or a mapping"),
        ("a: &x [*x]", "holds itself"),
        ("[" * 100 + "]" * 100, f"nested more than {MAX_DEPTH} deep"),
        ("[" * 5000, f"nested more than {MAX_DEPTH} deep"),
        ("a: &a [1]\n" + "\n".join(f"b{i}: &b{i} [*{'a' if i == 0 else f'b{i - 1}'}]"
                                   for i in range(60)), f"nested more than {MAX_DEPTH} deep"),
        ("a: &a [1, 1]\n" + "\n".join(f"b{i}: &b{i} [*{'a' if i == 0 else f'b{i - 1}'},"
                                      f" *{'a' if i == 0 else f'b{i - 1}'}]" for i in range(30)),
         "more than 100000 values"),
        ("9" * 30, "too large"), ("9" * 6000, "cannot be read"), ("!!int ''", "cannot be read"),
        ("!!bool x", "cannot be read"), ("!!timestamp x", "cannot be read"),
        ("!!set {a}", "is a set"), ("!!binary aaaa", "is a bytes"), ('"\\ud800"', "characters"),
        ("a" * 1_000_001, "characters"), ("a: [", "expected"), ("!!python/object:os.x {}", "could"),
    ],
)  # fmt: skip
def test_what_cannot_be_trusted_is_refused(text, message):
    with pytest.raises(YamlError, match=message):
        read_yaml(text)


def test_a_file_in_another_encoding_is_named_and_a_byte_order_mark_is_none_of_its_text(tmp_path):
    sweep = "name: a\nspace: {learning_rate: [0.1, 0.2]}\n"
    file = tmp_path / "sweep.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + sweep.encode())
    assert load_sweep(file).name == "a"
    file.write_bytes(sweep.encode().replace(b"a\n", b"\xe4\n", 1))
    with pytest.raises(SweepError, match=r"sweep\.yaml is not UTF-8: byte 6 is 0xe4"):
        load_sweep(file)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"selection": {"fraction": "0.1"}},
         r"selection\.fraction must be a number in \(0, 1\], got '0\.1' \(a text: write"),
        ({"selection": {"select_every": True}}, r"select_every must be an integer of at least 1"),
        ({"selection": {"align": "progres"}}, r"selection\.align must be epoch or progress, got"),
        ({"name": False}, r"name must be a text .*, got False \(YAML reads yes, no, on and off"),
        ({"selction": {}}, r"selction=\{\} is an unknown key; did you mean selection\?"),
        ({"tune": {"num_sample": 3}}, r"tune\.num_sample=3 is an unknown key; did you mean num_s"),
        ({"arms": [{"name": "x", "selectr": "full"}]},
         r"arms\.x\.selector is missing; is it meant by selectr='full'\?"),
        ({"arms": [{"name": "x", "selector": "full", "fraction": 7}]},
         r"^arms\.x\.fraction must be a number in \(0, 1\] or null, got 7$"),
        ({"space": None}, r"space must be a text or a mapping or a list"),
        ({"train": {"x": [{"y": float("nan")}]}}, r"train\.x\[0\]\.y is nan, which the results"),
        ({"space": {"a": {"uniform": [0, float("inf")]}}}, r"space\.a\.uniform\[1\] is inf"),
        ({"tune": {"searcher": "optuma"}}, None),
    ],
)  # fmt: skip
def test_one_voice_names_field_value_and_remedy(wrong, message):
    raw = {"name": "a", "space": {"learning_rate": [0.1, 0.2]}, **wrong}
    if message is None:
        parse_sweep(raw)
        return
    with pytest.raises(SweepError, match=message):
        parse_sweep(raw)


def test_an_override_is_read_as_the_file_is():
    raw = yaml.safe_load("{name: a, space: {learning_rate: [0.1]}}")
    assert parse_sweep(raw, ["train.x=1e-3"]).train == {"x": 1e-3}
    for override in ("train.x=030", "a..b=1", ".".join("a" * 100) + "=1", "x={a: 1, a: 2}"):
        with pytest.raises(SweepError, match="-o"):
            parse_sweep(raw, [override])
