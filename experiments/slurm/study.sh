#!/usr/bin/env bash
# One study as one SLURM job: a Ray cluster on the job's nodes, which ends with the job.
#
#   sbatch [OPTIONS OF SBATCH] experiments/slurm/study.sh STUDY [KEY.PATH=VALUE ...] [OPTIONS]
#
# What the lines below mean, and what to change: README.md.
# shellcheck disable=SC2329 # traps call functions, too
#SBATCH --job-name=phasetune
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail

# This script runs on the first of the job's nodes, so the head does too. Two jobs may share a node:
# each has a port and a folder of its own. A longer folder would be too long for Ray's sockets.
read -r host _ < <(hostname -I)
port=$((20000 + SLURM_JOB_ID % 10000))
temporary=/tmp/ray-$SLURM_JOB_ID
read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
study='' was_signalled=false is_time_up=false

start_ray() { # how srun finds the nodes, how many, how Ray on them finds its head
  local where=$1 count=$2
  shift 2
  srun "$where" --nodes="$count" --ntasks="$count" --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    --kill-on-bad-exit=0 ray start --block --num-cpus="$SLURM_CPUS_PER_TASK" \
    --temp-dir="$temporary" "$@" >>"$private/ray.log" 2>&1 &
}

wait_for_nodes() { # in the background, where it is the process that a signal ends
  exec python - "$host:$port" "$SLURM_JOB_NUM_NODES" <<'PYTHON'
import sys
import time

import ray

deadline = time.monotonic() + 300


def there() -> int:
    try:
        if not ray.is_initialized():
            ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError):
        return 0
    return sum(node["Alive"] for node in ray.nodes())


while (found := there()) < int(sys.argv[2]):
    if time.monotonic() > deadline:
        sys.exit(f"{found} of {sys.argv[2]} nodes joined the cluster at {sys.argv[1]} in 300 s")
    time.sleep(1)
PYTHON
}

ask_for_an_end() { # the study's last checkpoint takes a moment; its exit code tells how it ended
  was_signalled=true
  [ -n "$study" ] || { echo "asked for an end before the study began" >&2; exit 143; }
  kill -TERM "$study" 2>/dev/null || true
}

run_study() { # gives the study's exit code, whatever signals come meanwhile
  phasetune run "$@" --address "$host:$port" &
  study=$!
  local code
  while was_signalled=false code=0; wait "$study" || code=$?; $was_signalled; do :; done
  return "$code"
}

end_ray() {
  trap '' TERM USR1
  local steps
  mapfile -t steps < <(jobs -p)
  kill -TERM "${steps[@]}" 2>/dev/null || true
  wait
  srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 rm -rf "$temporary" || true
  rm -rf "$private"
}

# A folder that all nodes see and nobody else may read, for the token and Ray's own words.
private=$(mktemp -d "$SLURM_SUBMIT_DIR/.phasetune-job-$SLURM_JOB_ID.XXXXXX")
trap end_ray EXIT
trap ask_for_an_end TERM
trap 'is_time_up=true; ask_for_an_end' USR1
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$private/token" RAY_USAGE_STATS_ENABLED=0
export MALLOC_ARENA_MAX=1 # for workers: docs/ray.md
(umask 077 && od -An -v -N 32 -tx1 /dev/urandom | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")

start_ray --nodelist="$first" 1 --head --node-ip-address="$host" --port="$port" \
  --include-dashboard=false
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  start_ray --exclude="$first" "$((SLURM_JOB_NUM_NODES - 1))" --address="$host:$port"
fi
wait_for_nodes &
wait $! || { cat "$private/ray.log"; exit 1; }

code=0
run_study "$@" || code=$?
trap - EXIT
end_ray
if $is_time_up && [ "$code" = 143 ]; then
  scontrol requeue "$SLURM_JOB_ID" # ends this job at once, so it comes last
fi
exit "$code"
