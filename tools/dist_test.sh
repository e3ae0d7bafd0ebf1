#!/usr/bin/env bash
# tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS [options of test.py]: one process per GPU through torchrun.
# NNODES, NODE_RANK, MASTER_ADDR and PORT as in every OpenMMLab project.
set -euo pipefail
config=$1 checkpoint=$2 gpus=$3
shift 3
python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" --nproc_per_node="$gpus" \
    "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
