#!/usr/bin/env bash
# From a fresh clone to a trained network: environment, CIFAR-10, training, evaluation, TensorBoard.
# CNNLAB_STEPS sets the length (default 400 steps of 500 images); run it again with more to go on.
set -euo pipefail

# shellcheck source=scripts/venv.sh
source "$(dirname "${BASH_SOURCE[0]}")/venv.sh"
make_venv .

steps=${CNNLAB_STEPS:-400}
save_dir=./save/quickstart
log_dir=./logs/quickstart
recipe=(--config=cifar_cnn)
notice=

fetch_log=$(mktemp)
trap 'rm -f "$fetch_log"' EXIT
if ! "$VENV_PYTHON" -m cnnlab.data fetch --dataset=cifar10 2>&1 | tee "$fetch_log"; then
    reason=$(sed -n 's/^error: //p' "$fetch_log" | tail -n 1)
    notice="NOT CIFAR-10 but 'shapes', images that the program draws itself, is what this trains on, because:
    ${reason:-the fetch failed, see above}"
    echo "$notice"
    save_dir=./save/quickstart_shapes
    log_dir=./logs/quickstart_shapes
    steps=${CNNLAB_STEPS:-500}
    recipe+=(--dataset=shapes --batch_size=100)
fi

"$VENV_PYTHON" -m cnnlab.train "${recipe[@]}" --steps="$steps" --save_dir="$save_dir" --log_dir="$log_dir"
echo
"$VENV_PYTHON" -m cnnlab.evaluate --save_dir="$save_dir"
echo
if [[ -n $notice ]]; then
    echo "$notice"
fi
echo "To look at the run in TensorBoard:"
printf '    cd %q && .venv/bin/tensorboard --logdir=%s\n' "$PWD" "$log_dir"
