"""What each file of a results root is to other machines, by its name relative to the root."""

import re
from fnmatch import fnmatchcase

_OF_THIS_MACHINE = (
    "mlflow.db*",
    "mlflow-artifacts/*",
    "store/digests.json",
    "store/in-use.lock",
    "*/driver.lock",
    "*/workers.lock",
    "*/tracking/*",
    "*/logs/driver.log",
)
_BULK = re.compile(
    r"store/[^/]+/[^/]+/files/"
    r"|store/set-aside/"
    r"|store/[^/]+/[^/]+/checkpoints/(?![^/]+/meta\.json\Z)"
    r"|[^/]+/phases/[^/]+/attempts/(?!.*/phasetune-checkpoint\.json\Z)"
    r"|[^/]+/logs/runs/"
)
_OF_ATTEMPT = re.compile(r"[^/]+/phases/[^/]+/attempts/")
_OF_ARTIFACT = re.compile(r"store/(?!failed-runs/)[^/]+/[^/]+/")
_LOG = re.compile(r"[^/]+/logs/")
_LAST = ("manifest.json", "phasetune-checkpoint.json")


def is_of_this_machine(name: str) -> bool:
    """Whether it is never shared: locks, databases, and what was remembered of local files."""
    hidden = any(part.startswith(".") for part in name.split("/"))
    return hidden or any(fnmatchcase(name, pattern) for pattern in _OF_THIS_MACHINE)


def is_bulk(name: str) -> bool:
    """Whether it is brought only when somebody asks for it: files of artifacts and of attempts, and
    logs of runs; not what tells of them, such as manifests and seals.
    """
    return _BULK.match(name) is not None


def is_of_artifact(name: str) -> bool:
    """Whether it is a file of an artifact, none of which changes once its manifest is there."""
    return _OF_ARTIFACT.match(name) is not None


def is_of_attempt(name: str) -> bool:
    """Whether it lies in the folder of an attempt, where workers write."""
    return _OF_ATTEMPT.match(name) is not None


def grows(name: str) -> bool:
    """Whether it is a log: the longer one is the newer, and it is shared now and then only."""
    return _LOG.match(name) is not None


def last_seals(names: list[str]) -> list[str]:
    """In the order of writing: what makes a folder whole comes last."""
    return sorted(names, key=lambda name: (is_seal(name), name))


def is_seal(name: str) -> bool:
    """Whether it makes a folder whole: the manifest of an artifact, the seal of a checkpoint."""
    return name.rpartition("/")[2] in _LAST
