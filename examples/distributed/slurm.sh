#!/bin/bash
# sbatch examples/distributed/slurm.sh
#SBATCH --job-name=simsiam
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120        # two minutes before the end: every process saves
#SBATCH --requeue
#SBATCH --open-mode=append         # of the output, when the job is queued again

run=runs/photos
shards=/shared/photos             # the same images on every node

# A job that is queued again goes on with its run.
if [ -e "$run/config.toml" ]; then
    set -- --resume "$run"
else
    set -- --shards "$shards" --preset imagenet --batch-size 512 --run-dir "$run"
fi

# The exit code of one process ends all; Open MPI's processes find each other by PMIx.
code=0
srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" simsiam train "$@" || code=$?

# Out of time, and saved: queue the rest.
if [ "$code" = 130 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
