"""How often a run is tried, by cause; on plain files, without a cluster."""

from pathlib import Path

import pytest

from phasetune.plan.trial import Run
from phasetune.run.ray.places import Place
from phasetune.run.ray.tries import (
    NODE_RETRIES,
    Cause,
    Mark,
    Tries,
    actor_told,
    cause_told,
    give_worker_up,
    most_deaths,
    run_that_died,
    verdict,
)
from phasetune.run.request import RunRequest, WorkloadRequest
from phasetune.store.failures import Failure, FailureStore
from phasetune.study.schema import Numerics

DIED, MEMORY, NODE, STALLED = (
    Cause.WORKER_DIED,
    Cause.OUT_OF_MEMORY,
    Cause.NODE_LOST,
    Cause.STALLED,
)
ACTOR = "2fdf8500b60179f1718c604c01000000"
HERE = Place(node="1f", address="10.0.0.1", host="a", actor="a1")
THERE = Place(node="2e", address="10.0.0.2", host="b", actor="b1")


def request(root: Path, key: str = "k") -> RunRequest:
    workload = WorkloadRequest(
        path="w", sources=(), folders=(), code="", data={}, numerics=Numerics(),
        working_directory=str(root),
    )  # fmt: skip
    run = Run(key=key, stage="s", function="w:s", params={}, seed=0, fold=None, parent=None)
    return RunRequest(
        run=run, parent_stage=None, label=f"run {key}", point={}, workload=workload, results=root,
        study="one", attempt=root / "one" / "attempt", stall_timeout_seconds=2.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("deaths", "max_failures", "tried", "allowed"),
    [
        ([DIED], 2, 1, 3),
        ([DIED, DIED, DIED], 2, 3, 3),
        ([DIED], 0, 1, 1),
        ([DIED, DIED, MEMORY], 2, 3, 3),
        ([DIED, NODE, MEMORY], 2, 2, 3),
        ([NODE], 0, 1, 11),
        ([DIED, NODE, STALLED, NODE], 0, 2, 11),
        ([NODE] * 11, 0, 11, 11),
        ([STALLED], 0, 1, 2),
        ([STALLED, STALLED], 5, 2, 2),
        ([DIED, DIED, STALLED], 2, 1, 2),
        ([STALLED, DIED, DIED], 2, 2, 3),
        ([DIED, DIED, DIED], 1, 2, 2),
    ],
    ids=str,
)
def test_workers_may_die_so_often_runs_may_hang_once_and_nodes_are_lost(
    deaths: list[Cause], max_failures: int, tried: int, allowed: int
) -> None:
    found = verdict(deaths, max_failures=max_failures)
    assert (found.cause, found.tried, found.allowed) == (deaths[-1], tried, allowed)
    assert found.is_tried_again is (tried < allowed)


@pytest.mark.parametrize("max_failures", [0, 2, 7])
def test_tune_tries_often_enough_for_every_run_of_a_job(max_failures: int) -> None:
    worst = [DIED] * max_failures + [STALLED] + [NODE] * (NODE_RETRIES + 1)
    assert most_deaths(runs=1, max_failures=max_failures) >= len(worst)
    assert most_deaths(runs=3, max_failures=max_failures) >= 3 * len(worst)


@pytest.mark.parametrize(
    ("words", "actor"),
    [
        (
            f"unexpectedly before finishing this task.\n\tclass_name: F\n\tactor_id: {ACTOR}\n",
            ACTOR,
        ),
        (f"The actor {ACTOR} is unavailable: The actor is temporarily unavailable: Rpc", ACTOR),
        ("The actor died because its node has died. Node Id: 1f", None),
    ],
    ids=["died", "unavailable", "unnamed"],
)
def test_ray_says_which_worker_it_means(words: str, actor: str | None) -> None:
    assert actor_told(words) == actor


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("1 worker(s) were killed due to the node running low on memory. Memory on", MEMORY),
        ("The actor died because its node has died. Node Id: 1f", NODE),
        ("The actor is temporarily unavailable: RpcError: Socket closed", DIED),
        ("", DIED),
    ],
)
def test_ray_says_what_ended_a_worker(words: str, cause: Cause) -> None:
    assert cause_told(words) is cause


def test_a_run_is_given_up_when_it_died_too_often(tmp_path: Path) -> None:
    tries = Tries(request(tmp_path), max_failures=1)
    assert tries.begin(HERE)
    assert tries.note_death(DIED, "pid 17 on host a").is_tried_again
    assert tries.begin(HERE)
    assert not tries.note_death(MEMORY, "pid 18 on host b").is_tried_again
    assert not tries.begin(HERE)
    failures = FailureStore(request(tmp_path).paths.store)
    assert failures.get("s", "k") == Failure(
        stage="s",
        key="k",
        cause="out_of_memory",
        message="the worker ran out of host memory; let it take less, or fewer runs at once "
        "(max_concurrent_trials); tried 2 times",
    )
    assert failures.traceback("s", "k").read_text() == "pid 18 on host b"


def test_a_death_that_nobody_saw_counts(tmp_path: Path) -> None:
    tries = Tries(request(tmp_path), max_failures=1)
    assert [tries.begin(HERE) is None for _ in range(3)] == [False, False, True]
    failure = FailureStore(request(tmp_path).paths.store).get("s", "k")
    assert failure is not None
    assert (failure.cause, failure.message) == ("worker_died", "the worker died; tried 2 times")


def test_a_worker_that_dies_before_it_begins_counts(tmp_path: Path) -> None:
    tries = Tries(request(tmp_path), max_failures=2)
    assert tries.note_death(DIED, "one").tried == 1
    assert tries.note_death(DIED, "two").tried == 2
    assert tries.begin(HERE)
    assert not tries.note_death(DIED, "three").is_tried_again


def test_a_run_that_hangs_has_one_more_try_and_keeps_each_traceback(tmp_path: Path) -> None:
    asked = request(tmp_path)
    tries = Tries(asked, max_failures=0)
    for number, is_last in ((1, False), (2, True)):
        assert tries.begin(HERE)
        asked.stall_file.write_text(f"Thread 0x{number}\n")
        found = tries.note_death(DIED, "The actor died")
        assert (found.cause, found.is_tried_again) == (STALLED, not is_last)
        assert not asked.stall_file.exists()
    assert not tries.begin(HERE)
    failures = FailureStore(asked.paths.store)
    failure = failures.get("s", "k")
    assert failure is not None
    assert failure.message == (
        "nothing was reported for 2 s; let it report, or raise stall_timeout_seconds; tried 2 times"
    )
    assert failures.traceback("s", "k").read_text() == "Thread 0x2"
    kept = sorted(path.read_text() for path in asked.attempt.glob("tries/*/*-stalled.txt"))
    assert kept == ["Thread 0x1\n", "Thread 0x2\n"]


def test_an_empty_traceback_is_of_a_worker_that_was_watched_when_it_died(tmp_path: Path) -> None:
    asked = request(tmp_path)
    tries = Tries(asked, max_failures=0)
    tries.begin(HERE)
    asked.stall_file.touch()
    assert tries.deaths() == [DIED]


def test_the_run_that_died_is_the_first_of_its_job_without_an_end(tmp_path: Path) -> None:
    job = [request(tmp_path, key) for key in ("a", "b", "c")]
    assert run_that_died(job) is job[0]
    for ended, died in (("a", job[1]), ("b", job[2]), ("c", None)):
        failed = Failure(stage="s", key=ended, cause="error", message="no")
        FailureStore(job[0].paths.store).put(failed, "")
        assert run_that_died(job) is died


def test_a_lost_node_is_told_of_and_given_up_after_ten_more(tmp_path: Path) -> None:
    tries = Tries(request(tmp_path), max_failures=0)
    for number in range(1, NODE_RETRIES + 2):
        assert tries.begin(THERE)
        assert tries.place() == THERE
        assert tries.note_death(NODE, "Node Id: 2e").is_tried_again is (number <= NODE_RETRIES)
        assert tries.place() is None
    failure = tries.give_up()
    assert (failure.cause, failure.message) == (
        "node_lost",
        "its node was lost; find out what ends the nodes; tried 11 times",
    )


def test_only_the_newest_try_counts_and_all_agree_which_that_is(tmp_path: Path) -> None:
    cut_off, elsewhere = (Tries(request(tmp_path), max_failures=2) for _ in range(2))
    first = cut_off.begin(HERE)
    assert first is not None
    assert cut_off.is_newest(first)
    elsewhere.note_death(NODE, "Node Id: 1f")
    second = elsewhere.begin(THERE)
    assert second is not None
    assert (first.number, second.number) == (1, 2)
    assert not cut_off.is_newest(first)
    assert elsewhere.is_newest(second)


def test_a_worker_that_was_given_up_begins_nothing_and_holds_nothing_against_the_run(
    tmp_path: Path,
) -> None:
    job = [request(tmp_path, key) for key in ("a", "b")]
    cut_off, elsewhere = (Tries(job[0], max_failures=0) for _ in range(2))
    give_worker_up(job[0], HERE.actor)
    assert cut_off.note_death(NODE, "Node Id: 1f").is_tried_again
    newest = elsewhere.begin(THERE)
    assert newest is not None
    assert cut_off.begin(HERE) is None
    assert Tries(job[1], max_failures=0).begin(HERE) is None
    assert elsewhere.is_newest(newest)
    assert FailureStore(job[0].paths.store).get("s", "a") is None


def test_of_tries_that_begin_at_once_one_counts(tmp_path: Path) -> None:
    tries = Tries(request(tmp_path), max_failures=2)
    first = tries.begin(HERE)
    assert first is not None
    twin = first.path.with_name(first.path.name.replace("-begun-", "-begun-~"))
    twin.write_bytes(first.path.read_bytes())
    assert not tries.is_newest(first)
    assert tries.is_newest(Mark(path=twin))
