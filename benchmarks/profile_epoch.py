"""Where the time of one epoch of pre-training goes, by torch's own profiler.

The share of operators is the time that they take themselves; the rest is Python, in which the fit
loop and the workload are, and the profiler's own cost.

    python benchmarks/profile_epoch.py [HIDDEN BATCH]
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from fit_epoch import context, new_task, our_epoch
from measuring import timed
from phasetune.workloads.windows import Pretrain

TOP = 12


def profiled(hidden: int, batch: int, folder: Path) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ctx, params = context(folder, device), Pretrain(hidden_size=hidden, batch_size=batch, epochs=1)
    epoch = our_epoch(ctx, params, new_task(ctx, params))
    epoch()  # warms up
    plain = timed(epoch)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        seconds = timed(epoch)
    rows = sorted(found.key_averages(), key=lambda row: row.self_cpu_time_total, reverse=True)
    shares = [row.self_cpu_time_total / 1e6 / seconds for row in rows]
    what = f"{device}, hidden {hidden}, batch {batch}"
    print(f"{what}: an epoch {plain:.2f} s, profiled {seconds:.2f} s")
    for row, share in zip(rows[:TOP], shares, strict=False):
        print(f"  {share:6.1%}  {row.count:6}x  {row.key}")
    print(f"  {sum(shares[TOP:]):6.1%}           {len(rows) - TOP} other operators")
    print(f"  {1 - sum(shares):6.1%}           Python: the loop, the workload, the profiler")


def main(sizes: list[tuple[int, int]]) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for hidden, batch in sizes:
            profiled(hidden, batch, Path(folder))


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    main([(given[0], given[1])] if given else [(16, 64), (64, 128)])
