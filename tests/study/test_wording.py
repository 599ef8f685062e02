import pytest

from phasetune.study.wording import first_of, listed, one_line, shown, shown_key


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 20, repr("x" * 20)),
        ("x" * 200, "'" + "x" * 78 + "…"),
        ("a\nb", r"'a\nb'"),
    ],
)
def test_values_are_written_on_one_line_and_cut(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_number_that_python_does_not_write_has_a_type() -> None:
    assert shown(10**5000) == "a number too long to show"
    assert shown([10**5000]) == "a list too long to show"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("fit.rate", "fit.rate"),
        (3, "3"),
        ("", "''"),
        ("a b", "'a b'"),
        ("a\nb", r"'a\nb'"),
        ("\x1b[31m", r"'\x1b[31m'"),
        ("\u202e", r"'\u202e'"),
        ("x" * 200, "'" + "x" * 78 + "…"),
    ],
)
def test_keys_are_quoted_where_they_need_it(key: str | int, text: str) -> None:
    assert shown_key(key) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("must be 3", "must be 3"),
        ("first\n  second\tthird\n", "first second third"),
        ("red \x1b[31m \u202e \udcff ö", r"red \x1b[31m \u202e \udcff ö"),
        ("x" * 10**6, "x" * 399 + "…"),
    ],
)
def test_foreign_text_fits_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_long_list_is_cut_between_names() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(["name"] * 100) == ", ".join(["name"] * 33) + ", … (100 in all)"


def test_a_flood_of_problems_is_cut() -> None:
    assert first_of(["p"] * 40) == ["p"] * 40
    assert first_of(["p"] * 42) == ["p"] * 40 + ["and 2 more problems, shown when these are mended"]
