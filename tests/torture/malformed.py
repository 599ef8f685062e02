"""Words, names, sentences and files that a study must not choke on, written by hand."""

from typing import Any

from conftest import TESTS

VALUES = (
    *("null", "true", "false", "yes", "no", "0", "-1", "-0.0", "3", "0.5", "1e-3", "'1e-3'"),
    *("1e400", "-1e400", ".nan", ".inf", "-.inf", "1e-400", "0o17", "0x1f", "0b11", "017"),
    *("190:20:30", "2001-12-14", "2001-12-14t21:59:43.10-05:00", "1_000", "+12", "1.", ".5"),
    *("[]", "{}", "[[]]", "[null]", "[1, two, [3]]", "{a: 1}", "{a: {b: {c: [1]}}}", '""'),
    *("' '", "'a b'", "text", "'ü'", r'"\e[31mred"', r'"two\nlines"', r'"a\0b"', "'../..'"),
    *("0x" + "f" * 5000, "1" + "0" * 400, "0b" + "1" * 1000, "-0x" + "f" * 300, "1e308", "' 1'"),
    *("9" * 25, "9" * 5000, "-" + "9" * 30, "0." + "1" * 500, "1e" + "9" * 30, "x" * 5000),
    *("18446744073709551616", "9223372036854775808", "1" + "0" * 308 + ".0", "{float: inf}"),
    *("'=1+1'", "'${HOME}'", "'{x}'", "'%s%n'", "!!str 3", "&a 3", "*a", "!!binary aGk=", "~"),
)

NAMES = (
    *("", " ", ".", "..", "...", "../up", "/abs", "a/b", "a\\b", "store", "final", "-dash", "~"),
    *("a\nb", "a\tb", "a\0b", "\x1b[31mred", "a b", "name ", "name.", "a" * 101, "a" * 10_000),
    *(
        "naïve",
        "\uff46ull",
        "\u0440",
        "\u202eevil",
        "\u200b",
        "a\u2028b",
        "😀",
        "CON",
        "nul.txt",
        "COM1",
    ),
    *("$(id)", "`id`", "a;b", "a|b", "*", "?", "[a]", "{a}", "a..b", "a:b", "#a", "%00", "a=b"),
)

TEMPLATES = (
    *("{", "}", "{}", "{0}", "{{}}", "{{{train.value}", "{train.value", "{train.value!z}"),
    *("{train.value:x}", "{train.value:999999999}", "{train.value:>99999999999999999999}"),
    *("{train.value:.999999999f}", "{train.value:.99999999999f}", "{train.value:{train.steps}}"),
    *("{train.value.__class__}", "{train.value[0]}", "{train.__init__.__globals__}", "{train}"),
    *("{train.value!r:>300}", "{train.fault:>999999999}", "{train.value:,}", "{nothing.here}"),
    *("/{train.value}", "../{train.value}", "{train.value}\n", "{train.value} ", "same", "a" * 300),
    *("a" * 301, "{train.value:\0>9}", "{train.value:é<9}", "{train.value()}", "{train.value:d}"),
    *("{train.value:%Y}", "{train.value!a}", "{train.value!}", "{train.value:.2f}{", "{:}", "{!r}"),
    *("{train.value:09999999}", "{train.value:e>99999999}", "{" * 300, "{train.value:_>300}"),
)

CONSTRAINTS = (
    *("", " ", "score", "score >", "score > 1", "score == 1", "1 <= score", "score >= high"),
    *("score >= nan", "score >= inf", "score >= 1e999", "score >= 1,0", "score => 1", "score ≥ 1"),
    *("score >= 0.9 * base", "score >= baseline * 0.9", "score >= 0.9 * baseline * 2"),
    *("score >= baseline + 1e999", "score >= 1e999 * baseline", "score >= baseline - -1"),
    *("score >= 1; import os", "__import__('os')", "score >= 1 and other >= 2", "a" * 100_000),
    *("score >= " + "1" * 10_000, " " * 50_000 + "x", "score" + " " * 50_000 + "!", ">= 1", "\n"),
    *("score >= 1\n", "score >= 1 \0", "a" * 5000 + " >= " + "1" * 5000 + "e", "-score >= 1"),
    *("score >= " + "9" * 4000 + " * baseline", "score >= baseline + " + "9" * 400, "s" * 900),
)

EXTENDS: tuple[Any, ...] = (
    *(
        "",
        ".",
        "..",
        "/",
        "absent.yaml",
        "study.yaml",
        "circle_a.yaml",
        "deep_0.yaml",
        "empty.yaml",
    ),
    *("list.yaml", "word.yaml", "pipe.yaml", "zero.yaml", "/dev/zero", "/dev/stdin", "loop.yaml"),
    *("gone.yaml", "folder.yaml", "raises.py", "/etc/passwd", "/proc/self/mem", "~/study.yaml"),
    *("a" * 300, "a\0b", "a\nb", "\ud800", "/proc/self/environ", "https://example.com/a.yaml"),
    *("study.yaml/", "./study.yaml", "../../../../../../../../etc/hostname", "x/" * 3000),
)

WORKLOADS = (
    *("", " ", "absent", "absent.inner", "raises", "exits", "exits_quietly", "interrupts_nothing"),
    *("no_stages", "no_data", "odd_stages", "syntax", "needs_absent", "empty", "bytes_of"),
    *("sys", "builtins", "__main__", "json", "json.tool", "zipimport", "_imp", "phasetune"),
    *("phasetune.errors", "phasetune.workloads", "os.path", "a..b", ".a", "a.", "a b", "a-b"),
    *("a/b", "../raises", "raises.py", "raises:run", "a\0b", "a\n", "ünbekannt", "a" * 5000, "1a"),
    *("class", "import", "x." * 3000 + "x", "encodings.rot_13", "deep_recursion", "multi_line"),
)

MODULES = {
    "raises": "raise RuntimeError('first line\\nsecond line')",
    "exits": "import sys\nsys.exit('good bye')",
    "exits_quietly": "raise SystemExit(0)",
    "interrupts_nothing": "raise StopIteration",
    "no_stages": "STAGES = ()",
    "no_data": (
        "from pydantic import BaseModel\nfrom phasetune import Stage\n"
        "class P(BaseModel): pass\n"
        "STAGES = (Stage(name='a', params=P, function='no_data:a', reads=('train',)),)\n"
        "Data = 3\n"
    ),
    "odd_stages": "STAGES = ('stage', None, 3.5, object())\nData = dict",
    "syntax": "def broken(:\n  pass",
    "needs_absent": "import surely_absent_module",
    "empty": "",
    "bytes_of": "x = '\\udcff'\nraise ValueError(x)",
    "deep_recursion": "def f():\n    f()\nf()",
    "multi_line": "raise Exception('x' * 100_000 + '\\n' * 50)",
}

BASES = {
    "circle_a.yaml": "extends: circle_b.yaml\n",
    "circle_b.yaml": "extends: circle_a.yaml\n",
    **{f"deep_{i}.yaml": f"extends: deep_{i + 1}.yaml\n" for i in range(12)},
    "empty.yaml": "",
    "list.yaml": "[1, 2]",
    "word.yaml": "word",
}


def scripted_study() -> dict[str, Any]:
    """Every field of a study, with the scripted workload."""
    return {
        "name": "scripted",
        "description": "Which value, which preparation, how many steps?",
        "workload": "scripted",
        "sources": [],
        "import_from": [str(TESTS)],
        "seed": 11,
        "data": {"content": "v1"},
        "params": {"prepare": {"value": 0.5}, "train": {"steps": 3, "fault": "none"}},
        "numerics": {"threads": 1, "precision": "auto", "tf32": False, "deterministic": True},
        "resources_per_trial": {"cpu": 1, "gpu": 0},
        "max_concurrent_trials": 2,
        "max_failures": 2,
        "stall_timeout_seconds": 60.0,
        "max_checkpoint_gib": 1.0,
        "replicates": {"seeds": 1, "folds": 2},
        "objective": {"metric": "score", "mode": "max", "on": "validation"},
        "constraints": ["other >= 0.3", "score >= 0.5 * baseline"],
        "ties": "report",
        "if_infeasible": "stop",
        "baseline": {"train.value": 0.1},
        "phases": [
            {
                "name": "value",
                "grid": {"train.value": [0.2, 0.6, 0.4]},
                "trial_name": "value={train.value:.2f}",
            },
            {
                "name": "preparation",
                "points": [
                    {"prepare.value": 0.5, "note": "usual", "expect": {"score": [0.1, 0.9]}},
                    {"prepare.value": 0.7},
                ],
            },
            {"name": "steps", "grid": {"train.steps": [3, 4]}},
        ],
        "final": {"refit": True, "test": True},
        "allow_large": False,
    }


FIELDS: dict[str, tuple[tuple[str | int, ...], tuple[Any, ...]]] = {
    "study_name": (("name",), NAMES),
    "phase_name": (("phases", 0, "name"), NAMES),
    "template": (("phases", 0, "trial_name"), TEMPLATES),
    "constraint": (("constraints", 0), CONSTRAINTS),
    "workload": (("workload",), WORKLOADS),
    "source": (("sources",), tuple([name] for name in WORKLOADS)),
    "folder": (("import_from",), tuple([name] for name in EXTENDS)),
    "metric": (("objective", "metric"), NAMES),
}
_AXIS = {"train.value": [i / 1000 for i in range(1000)]}
_CUBE = {**_AXIS, "train.noise": _AXIS["train.value"], "train.other": _AXIS["train.value"]}
_MANY = [{"name": f"p{i}", "points": [{}]} for i in range(10_000)]

KEYS = ("a\nb", "\x1b[31m", "a\0b", "x" * 5000, "", " ", "a.b", "\u202e", "'", "phases")


def _with_key(key: str) -> tuple[dict[str, Any], ...]:
    """The key at every place where people choose one."""
    return (
        {"params": {"train": {key: 1}}},
        {"params": {key: {}}},
        {"phases": [{"name": "a", "grid": {key: [1]}}]},
        {"phases": [{"name": "a", "points": [{"train." + key: 1}]}]},
        {"data": {key: key}},
        {"baseline": {key: key}},
    )


CHANGES: dict[str, tuple[dict[str, Any], ...]] = {
    "extends": tuple({"extends": name} for name in EXTENDS),
    "grid": (
        {"phases": [{"name": "a", "grid": {}}]},
        {"phases": [{"name": "a", "grid": {"train.value": []}}]},
        {"phases": [{"name": "a", "points": []}]},
        {"phases": [{"name": "a", "points": [{}, {}]}]},
        {"phases": [{"name": "a"}]},
        {"phases": [{"name": "a", "grid": {"train.value": [1, 1.0]}}]},
        {"phases": [{"name": "a", "grid": {"train.value": [[1], {"a": 2}]}}]},
        {"phases": []},
        {"phases": [{"name": "a", "points": [{}]}] * 2},
        {"phases": [{"name": "a", "grid": _CUBE}]},
        {"phases": [{"name": "a", "grid": _CUBE}], "allow_large": True},
        {"phases": [{"name": "a", "grid": _AXIS}] * 3},
        {"phases": [{"name": f"p{i}", "grid": _AXIS} for i in range(9)]},
        {"phases": _MANY},
        {"phases": _MANY[:1500]},
        {"phases": _MANY[:120]},
        {"phases": [{"name": "a", "points": [{}] * 10_000}]},
        {"phases": [{"name": "a", "points": [{"train.valu": 3}] * 5000}]},
        {"replicates": {"seeds": 1000, "folds": 1000}},
        {"replicates": {"seeds": 1000, "folds": 1000}, "allow_large": True},
        {"baseline": {f"train.x{i}": i for i in range(5000)}},
        {"params": {f"stage{i}": {} for i in range(5000)}},
        {f"key{i}": i for i in range(5000)},
        {"constraints": ["score >= 1"] * 5000},
        {"sources": ["json"] * 3000},
        {"import_from": ["x"] * 10_000},
    ),
    "key": tuple(change for key in KEYS for change in _with_key(key)),
    "expect": tuple(
        {"phases": [{"name": "a", "points": [{"expect": expect, "note": note}]}]}
        for expect, note in (
            ({"score": [1, 0]}, None),
            ({"score": [1]}, "x"),
            ({"score": 1}, []),
            ([], {}),
            ({"score": ["a", "b"]}, "x" * 100_000),
            ({"a\nb": [2, 1]}, "\x1b[2J"),
        )
    ),
}
