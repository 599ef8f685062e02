"""What is masked and what is not, in texts short and long."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import TESTS, StudyMaker
from phasetune.store.masking import masked, masked_arguments, masked_content
from phasetune.study.dump import study_yaml

SECRETS = {
    "a password in a URL": ("postgres://ann:hunter2@db/x", "postgres://ann:***@db/x"),
    "a password with an @": ("ftp://ann:p@ss:w@host/x", "ftp://ann:***@host/x"),
    "a password without a user": ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
    "a token before a host": ("git+https://ghp_x1@github.com/a", "git+https://***@github.com/a"),
    "a signature in a query": ("https://h/x?sv=1&sig=ab%2Fc&se=2", "https://h/x?sv=1&sig=***&se=2"),
    "a signed URL": ("https://h/x?X-Amz-Signature=0f1e", "https://h/x?X-Amz-Signature=***"),
    "a key of an account": ("AccountName=a;AccountKey=hunter2==", "AccountName=a;AccountKey=***"),
    "a token in a query": ("http://h/a?token=abc&page=2", "http://h/a?token=***&page=2"),
    "two URLs": ("a://b:c@d, e://f:g@h", "a://b:***@d, e://f:***@h"),
    "a token": ("token=abc", "token=***"),
    "a token with a prefix": ("MLFLOW_TRACKING_TOKEN=abc x", "MLFLOW_TRACKING_TOKEN=*** x"),
    "a long number as token": ("token=1234567890", "token=***"),
    "a password": ("password: hunter2", "password: ***"),
    "a number as password": ("password=1234", "password=***"),
    "a key": ("api_key=k1, then", "api_key=***, then"),
    "a key in capitals": ("API-KEY = k1", "API-KEY = ***"),
    "a cloud's key": ("aws_secret_access_key=a/b+c", "aws_secret_access_key=***"),
    "in brackets": ("login(token=abc) failed", "login(token=***) failed"),
    "a bracket inside": ("password=a)b next", "password=*** next"),
    "in quotes": ("password='two words, \"one\"'", "password='***'"),
    "an escaped quote": (r'{"password": "a\"b c"}', '{"password": "***"}'),
    "in a dictionary": ("{'token': 'abc', 'page': 2}", "{'token': '***', 'page': 2}"),
    "in JSON in text": (r"{\"api_key\": \"abc d\"}", r"{\"api_key\": \"***\"}"),
    "a quote that was cut off": ('token="abc de', 'token="***'),
    "an option": ("run --api-token abc --next", "run --api-token *** --next"),
    "a header": ("Authorization: Bearer abc", "Authorization: Bearer ***"),
    "a header in a dictionary": (
        "{'authorization': 'Basic YTpi'}",
        "{'authorization': 'Basic ***'}",
    ),
    "a header without a scheme": ("Authorization: abc", "Authorization: ***"),
    "a bearer alone": ("sent Bearer eyJhbGciOiJIUzI1NiJ9", "sent Bearer ***"),
}

ORDINARY = [
    "train.sig=0.1 sig: 3 design=round X&sigma=2",
    "tokens=5 key: 3 keys=a,b",
    "mask_token=3, pad_token: 0 and val/token=0.93, token=1e-3.",
    "num_tokens=128 token_accuracy=0.5 secret_santa=yes tokenizer: bpe",
    "next-token accuracy 0.5; the password must be longer",
    "/home/ann/token/password.txt holds results/a:b",
    "http://host:8080/path and s3://bucket/key@2, git@github.com:a/b.git, https://h/@ann",
    "must have at least 2 time steps, but have 1: X is float64 (see `api_keys`)",
    "Secret::new(token == expected) and password",
    "bearer of news: authorization is needed",
    "",
]


@pytest.fixture(autouse=True)
def _no_secrets_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"HOME": "/home/ann", "TOKENIZERS_PARALLELISM": "disabled"})


@pytest.mark.parametrize("case", SECRETS)
def test_a_secret_is_masked_where_its_place_gives_it_away(case: str) -> None:
    text, expected = SECRETS[case]
    assert masked(text) == expected
    assert masked(f"before\n{text}\nafter") == f"before\n{expected}\nafter"


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("name", "value", "text", "expected"),
    [
        ("GITHUB_TOKEN", "abcdefgh", "fetch abcdefgh failed", "fetch *** failed"),
        ("DB_PASSWORD", "abcd efgh", "xabcd efghx", "x***x"),
        ("OPENAI_API_KEY", "abcdefgh", "abcdefgh.abcdefgh", "***.***"),
        ("my_credentials", "abcdefgh", "abcdefgh", "***"),
        ("DEPLOY_SECRET", "line one\nline two\nend", "line one line two end", "*** *** end"),
        ("SHORT_TOKEN", "abcdefg", "abcdefg", "abcdefg"),
        ("HOME", "abcdefgh", "abcdefgh", "abcdefgh"),
        ("TOKENIZERS_MODE", "abcdefgh", "abcdefgh", "abcdefgh"),
        ("RAY_AUTH_TOKEN_PATH", "/home/ann/token", "/home/ann/token/x", "/home/ann/token/x"),
        ("SECRET_FILE", "/run/secrets", "/run/secrets", "/run/secrets"),
    ],
)  # fmt: skip
def test_values_of_the_environment_are_masked_where_the_name_says_secret(
    name: str, value: str, text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", {name: value})
    assert masked(text) == expected


def test_of_two_secrets_of_which_one_begins_the_other_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.environ", {"A_TOKEN": "abcdefgh", "B_TOKEN": "abcdefgh-more"})
    assert masked("abcdefgh-more and abcdefgh") == "*** and ***"


WORDS = ("token", "password", "api_key", "secret", "Authorization", "Bearer ", "a" * 20)
PIECES = st.sampled_from([*"abc5:=@/ \"'\\\n,&)-*", "://", "https://", "--", "***", *WORDS])


@given(st.lists(PIECES, max_size=40).map("".join))
def test_masking_twice_is_masking_once(text: str) -> None:
    once = masked(text)
    assert masked(once) == once


NAMED = ("token", "token=", 'token="', "token='\\", "Authorization: ", "bearer ", "password=)")


@pytest.mark.parametrize(
    "piece", [*"a1 :=-'\"\\", "://", "://a:", "http://a:b", "--a-", "\n@", *NAMED]
)
def test_a_long_text_is_masked_to_its_end(piece: str) -> None:
    """What grows with the square of a text takes minutes for this one."""
    long = piece * ((1 << 20) // len(piece))
    assert masked(f"{long}\n token=canary").endswith("***")


CONTENT: list[tuple[Any, Any]] = [
    ({"url": "a://b:c@d", "n": 3}, {"url": "a://b:***@d", "n": 3}),
    ({"password": "two words", "other": "two words"}, {"password": "***", "other": "two words"}),
    ({"db.password": 1234, "mask_token": 3}, {"db.password": "***", "mask_token": 3}),
    ({"token": "5", "api_key": None}, {"token": "***", "api_key": None}),
    ({"secret": True}, {"secret": True}),
    ({"password": ""}, {"password": ""}),
    ({"a": [{"token": "x"}, "token=x", 1.5]}, {"a": [{"token": "***"}, "token=***", 1.5]}),
    ({"tokens": "many", "password_length": "8"}, {"tokens": "many", "password_length": "8"}),
]  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), CONTENT)
def test_content_is_masked_by_its_names_too(content: Any, expected: Any) -> None:
    assert masked_content(content) == expected
    assert masked_content(expected) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "a.yaml", "data.password=two words"], ["run", "a.yaml", "data.password=***"]),
        (["run", "--api-token", "two words", "seed=2"], ["run", "--api-token", "***", "seed=2"]),
        (["data.url=a://b:c@d e", "x.token=3"], ["data.url=a://b:***@d e", "x.token=3"]),
        (["token", "count", "--token-count", "word"], ["token", "count", "--token-count", "word"]),
        ([], []),
    ],
)  # fmt: skip
def test_a_command_is_masked_argument_by_argument(
    arguments: list[str], expected: list[str]
) -> None:
    assert masked_arguments(arguments) == expected
    assert masked_arguments(expected) == expected


LEAKING = """
import os
from scripted import Data, Script, STAGES as THEIRS
from phasetune import Stage

def leak(ctx, params):
    raise RuntimeError(f"the service refused {os.environ['SERVICE_TOKEN']}, {ctx.data.content}")

STAGES = (Stage(name="train", params=Script, function="leaking:leak", reads=("train",)),)
"""

CANARIES = ("canary-of-the-environment", "canary-of-the-url", "canary-of-the-override")


def test_no_secret_is_left_where_others_look(tmp_path: Path, scripted_study: StudyMaker) -> None:
    """The study and the best settings say all that is needed to run them again; nothing else."""
    (tmp_path / "leaking.py").write_text(LEAKING)
    study = scripted_study(
        workload="leaking",
        import_from=[str(tmp_path), str(TESTS)],
        data={"content": f"sql://ann:{CANARIES[1]}@db"},
        phases=[{"name": "one", "points": [{}]}],
        constraints=[],
    )
    (tmp_path / "study.yaml").write_text(study_yaml(study, beside=None))
    arguments = ["run", "study.yaml", f"data.missing=password={CANARIES[2]}", "--in-process"]
    said = [run_with_secret([*arguments, *more], tmp_path) for more in ([], ["--debug"])]
    for text in said:
        assert "RuntimeError: the service refused ***, sql://ann:***@db" in text
    found = {path for path in (tmp_path / "results").rglob("*") if path.is_file()}
    holding = {path.name for path in found if any(c in path.read_text("latin1") for c in CANARIES)}
    assert {path.name for path in found} > {"study.yaml", "report.json", "provenance.json"}
    assert holding <= {"study.yaml", "best.yaml"}
    assert not [canary for canary in CANARIES if any(canary in text for text in said)]


def run_with_secret(arguments: list[str], folder: Path) -> str:
    """What the command says, having failed as it should."""
    done = subprocess.run(
        [sys.executable, "-m", "phasetune", *arguments],
        cwd=folder,
        env={**os.environ, "SERVICE_TOKEN": CANARIES[0]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_variables_may_come_and_go_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "a-secret-value")
    is_over = threading.Event()

    def flip() -> None:
        while not is_over.is_set():
            os.environ["OMP_NUM_THREADS"] = "1"
            os.environ.pop("OMP_NUM_THREADS")

    flipping = threading.Thread(target=flip)
    flipping.start()
    try:
        found = {masked("it is a-secret-value") for _ in range(20_000)}
    finally:
        is_over.set()
        flipping.join()
    assert found == {"it is ***"}
