#!/usr/bin/env bash
# Train a network from a fresh clone: environment, CIFAR-10, training, evaluation, TensorBoard.
# CNNLAB_STEPS is the number of steps (default: 400 of 500 images). With more steps, the next call
# continues the run.
set -euo pipefail

# shellcheck source=scripts/venv.sh
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"
make_venv .

steps=${CNNLAB_STEPS:-400}
save_dir=./save/quickstart
recipe=(--config=cifar_cnn)
notice=

fetch_log=$(mktemp)
trap 'rm -f "$fetch_log"' EXIT
if ! "$VENV_PYTHON" -m cnnlab.data fetch --dataset=cifar10 2>&1 | tee "$fetch_log"; then
    reason=$(sed -n 's/^error: //p' "$fetch_log" | tail -n 1)
    notice="This trains on 'shapes', images that cnnlab draws, and NOT on CIFAR-10, because:
    ${reason:-the fetch failed, see above}"
    echo "$notice"
    save_dir=./save/quickstart_shapes
    steps=${CNNLAB_STEPS:-500}
    recipe+=(--dataset=shapes --batch_size=100)
fi

"$VENV_PYTHON" -m cnnlab.train "${recipe[@]}" --steps="$steps" --save_dir="$save_dir"
echo
"$VENV_PYTHON" -m cnnlab.evaluate --save_dir="$save_dir"
echo
if [[ -n $notice ]]; then
    echo "$notice"
fi
echo "To look at the run in TensorBoard:"
printf '    cd %q && .venv/bin/tensorboard --logdir=%s\n' "$PWD" "$save_dir"
