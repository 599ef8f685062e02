import math
import os
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasetune.errors import StudyError
from phasetune.study.reading import LARGEST_BYTES, read_value, read_yaml


def problems(tmp_path: Path, text: str | bytes) -> tuple[str, ...]:
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StudyError) as caught:
        read_yaml(path)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100_000.0),
        (".5", 0.5),
        ("3", 3),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("1.2.3", "1.2.3"),
        ("'3'", "3"),
        ('"a\\tb"', "a\tb"),
        ("[1, 2.0, x]", [1, 2.0, "x"]),
        ("{a: {b: [1]}}", {"a": {"b": [1]}}),
        ("{1: x, true: y}", {"1": "x", "true": "y"}),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = read_value(text, source="x")
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(read_value(".nan", source="x"))


def test_a_file_keeps_the_place_of_each_value(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("a: 1\nb:\n  c: [x,\n    y]\n")
    document = read_yaml(path)
    assert document.content == {"a": 1, "b": {"c": ["x", "y"]}}
    assert document.place(("b", "c", 1)) == "s.yaml:4"
    assert document.place(("b", "c", 0)) == "s.yaml:3"
    assert document.place(("b", "absent", "below")) == "s.yaml:2"
    assert document.place(("absent",)) is None


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(path).content == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "s.yaml:3: a is given twice; keep one"),
        ("p:\n- {x: 1, x: 2}\n", "s.yaml:2: p.0.x is given twice; keep one"),
        ("1: a\n'1': b\n", "s.yaml:2: 1 is given twice; keep one"),
        ("a: &x 1\nb: *x\n", "s.yaml:2: aliases (*x) are refused; write the value"),
        ("<<: {b: 1}\n", "s.yaml:1: keys must be plain text; use `extends:` to merge"),
        ("? [a]\n: 1\n", "s.yaml:1: keys must be plain text"),
        ("a: =\n", "s.yaml:1: '=' must be quoted to be text"),
        ("\na: !!python/object:os.system x\n", "s.yaml:2: the tag 'tag:yaml.org,2002:python/obj"),
        ("a: !!python/object/apply:os.system [x]\n", "s.yaml:1: the tag 'tag:yaml.org,2002:pyth"),
        ("a: !!set {b}\n", "s.yaml:1: the tag 'tag:yaml.org,2002:set' is refused"),
        ("a: !!bool perhaps\n", "s.yaml:1: the tag 'tag:yaml.org,2002:bool' is refused"),
        ("a: !!int ''\n", "s.yaml:1: the tag 'tag:yaml.org,2002:int' is refused"),
        ("!mine\na: 1\n", "s.yaml:1: the tag '!mine' is refused; write the plain value"),
        ("%YAML 1.1\n---\na: yes\n", "s.yaml:2: directives (%) are refused; remove the line"),
        ('a: "\\ud800"\n', "s.yaml:1: the text '\\ud800' has half a surrogate pair"),
        (
            "a: 1\n---\nb: 2\n",
            "s.yaml:2: not valid YAML: expected a single document in the",
        ),
        ("", "s.yaml: must be a mapping of settings, but is None"),
        ("# nothing\n", "s.yaml: must be a mapping of settings, but is None"),
        ("- a\n- b\n", "s.yaml: must be a mapping of settings, but is ['a', 'b']"),
        ("text", "s.yaml: must be a mapping of settings, but is 'text'"),
        ("a:\n\tb: 1\n", "s.yaml:2: not valid YAML: found character '\\t' that cannot start"),
        ("a: [1, 2\nb: 3\n", "s.yaml:2: not valid YAML: "),
        ("a: 1\n b: 2\n", "s.yaml:2: not valid YAML: mapping values are not allowed here"),
        ("a: \0\n", "s.yaml: not valid YAML: unacceptable character #x0000"),
        ("[" * 10_000, "s.yaml:1: nested deeper than 20 levels"),
        ("{a: " * 10_000, "s.yaml:1: nested deeper than 20 levels"),
        ("- " * 10_000, "s.yaml:1: nested deeper than 20 levels"),
        ("\na: " + "9" * 5000, f"s.yaml:2: '{'9' * 78}… is too long for a number; write a shorter"),
        ("a: 0x" + "f" * 500, f"s.yaml:1: '0x{'f' * 76}… is too long for a number; write a shor"),
        ("[" + "a," * 30_000, "s.yaml:1: too many values; build so large a study in Python"),
        ('a: "x', "s.yaml:1: not valid YAML: found unexpected end of stream while scanning a quo"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_many_aliases_are_never_expanded(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    found = problems(tmp_path, "\n".join(lines))
    assert len(found) == 41
    assert found[-1] == f"and {11 * 9 - 40} more problems, shown when these are mended"


def test_problems_are_reported_together(tmp_path: Path) -> None:
    assert problems(tmp_path, "a: 1\na: 2\nb: {<<: 1, c: 1, c: 2}\nd: =\n") == (
        "s.yaml:2: a is given twice; keep one",
        "s.yaml:3: keys must be plain text; use `extends:` to merge",
        "s.yaml:3: b.c is given twice; keep one",
        "s.yaml:4: '=' must be quoted to be text",
    )


def test_tags_and_aliases_are_reported_together(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "a: &x !!str 1\nb: *x\nc: !t {}\n")) == 3


def test_invalid_text(tmp_path: Path) -> None:
    assert problems(tmp_path, b"a: 1\nb: \xff\n") == (
        f"{tmp_path / 's.yaml'}: must be UTF-8 text, but byte 8 is not; save it as UTF-8",
    )


def test_an_oversized_file_is_not_read(tmp_path: Path) -> None:
    largest = b"#" * LARGEST_BYTES
    assert problems(tmp_path, largest + b"#") == (
        f"{tmp_path / 's.yaml'}: a study file must be at most 300000 bytes",
    )
    assert "must be a mapping" in problems(tmp_path, largest)[0]


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"^there is no study file .*absent\.yaml$"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(StudyError, match="can't be read: Is a directory"):
        read_yaml(tmp_path)


def test_what_only_looks_like_a_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name in ("pipe.yaml", "zero.yaml"):
        with pytest.raises(StudyError, match=f"{name}: must be a regular file, not a pipe or a"):
            read_yaml(tmp_path / name)


PIECES = [*"{}[],:?-!&*|>%@`'\"#\n\t =<~", "<<", "a", "1", "!!int ", "!!bool ", "- ", ": ", "&a "]
YAML_LIKE = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@settings(max_examples=400, deadline=None)
@given(YAML_LIKE | st.text(max_size=40) | st.text(string.printable, max_size=40))
def test_random_text_is_a_value_or_a_problem(text: str) -> None:
    try:
        value = read_value(text, source="x")
    except StudyError as error:
        assert error.problems  # noqa: PT017
        assert all(problem.startswith("x") for problem in error.problems)  # noqa: PT017
    else:
        assert value is None or isinstance(value, bool | int | float | str | list | dict)


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=60) | YAML_LIKE.map(str.encode))
def test_random_files_are_a_mapping_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_bytes(content)
    try:
        document = read_yaml(path)
    except StudyError:
        return
    assert isinstance(document.content, dict)
