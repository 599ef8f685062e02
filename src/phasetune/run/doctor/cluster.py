"""A cluster, as a study would find it: its nodes, what they have, and whether they see the results.

It is joined for that, and a small task goes to each node; nothing stays in the results.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from phasetune.errors import PhasetuneError
from phasetune.run.doctor.part import Part
from phasetune.run.events import NullListener
from phasetune.run.interrupt import StopSwitch
from phasetune.store.paths import ResultsPaths, results_at

VISIT_SECONDS = 60.0


def cluster_part(address: str, results: str | Path) -> Part:
    """The nodes of the cluster at an address, and what keeps them from executing runs."""
    from phasetune.run.ray.session import cluster
    from phasetune.run.ray.watch import watched

    try:
        paths = results_at(results)
        with cluster(address) as warning:
            warnings = () if warning is None else (warning.removeprefix("warning: "),)
            nodes, problems = watched(lambda: _nodes(paths), stop=StopSwitch())
    except PhasetuneError as error:
        return Part(facts={"address": address, "nodes": []}, problems=error.problems)
    facts = {"address": address, "nodes": nodes}
    return Part(facts=facts, problems=tuple(problems), warnings=warnings)


def _nodes(paths: ResultsPaths) -> tuple[list[dict[str, Any]], list[str]]:
    from phasetune.run.ray.nodes import living_nodes, marked, visited
    from phasetune.run.ray.visit import Asked, versions_here

    nodes = living_nodes()
    is_there = paths.root.is_dir()  # else nothing is made for it
    with marked(paths.root, paths) if is_there else nullcontext() as mark:
        asked = Asked(versions=versions_here(), mark=mark)
        found = visited(
            nodes, asked, listener=NullListener(), stop=StopSwitch(), seconds=VISIT_SECONDS
        )
    facts: list[dict[str, Any]] = [
        {
            "name": node.name,
            "cpus": node.has.cpus,
            "gpus": node.has.gpus,
            "labels": dict(node.has.labels),
            "versions": dict(found[node.id].software),
            "lacks": list(found[node.id].lacks),
        }
        for node in nodes
        if node.id in found
    ]
    problems = [
        f"the node {fact['name']} can't execute runs: {'; '.join(fact['lacks'])}"
        for fact in facts
        if fact["lacks"]
    ]
    return facts, problems
