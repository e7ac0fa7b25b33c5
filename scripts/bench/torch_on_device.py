"""PyTorch's speed on a device, beside cnnlab's: the check `torch` of `on_device.py`."""

import importlib.util

import numpy as np

from scripts.bench.device_checks import Figures, Settings, SkippedError, speed
from scripts.bench.workloads import WORKLOADS


def train(settings: Settings, model: str, precision: str) -> Figures:
    """Train the same network with PyTorch, and measure its speed.

    It is there for comparison only, so that nothing of it is a failure.
    """
    if importlib.util.find_spec("torch") is None:
        raise SkippedError("PyTorch is not installed: pip install 'cnnlab[bench]'")
    try:
        return _train(settings, model, precision)
    except SkippedError:
        raise
    except Exception as error:
        raise SkippedError(f"PyTorch: {' '.join(str(error).split())[:200]}") from error


def _train(settings: Settings, model: str, precision: str) -> Figures:
    import torch
    from torch.nn import functional

    from cnnlab.data.datasets import load_dataset
    from scripts.bench.with_torch import TorchNetwork, make_optimizer

    device = settings.device.replace("gpu", "cuda")
    if device != "cpu" and not torch.cuda.is_available():
        raise SkippedError("this PyTorch sees no GPU: it is built without CUDA, or for another one")
    if device != "cpu":
        torch.cuda.set_device(0 if device == "cuda" else device)
    if device != "cpu" and precision == "bfloat16" and torch.cuda.get_device_capability()[0] < 8:
        raise SkippedError("this GPU has no bfloat16, which PyTorch would emulate")
    torch.backends.cudnn.benchmark = True  # TensorFlow tries cuDNN's kernels, too
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # as TensorFlow
    workload, split = WORKLOADS[model], load_dataset("shapes", ".").train
    batch_size = settings.images or workload.batch_size
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2).to(device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(split.labels.astype(np.int64)).to(device)
    network = TorchNetwork(workload, split.images.shape[1:])
    network.to(device, memory_format=torch.channels_last).train()
    optimizer = make_optimizer(workload, network, fused=True)
    kind, lower = device.partition(":")[0], getattr(torch, precision)
    scaler = torch.amp.GradScaler(kind, enabled=precision == "float16" and kind == "cuda")

    def run(steps: int) -> None:
        for _ in range(steps):
            batch = torch.randint(len(labels), (batch_size,), device=device)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(kind, lower, enabled=precision != "float32"):
                logits = network(images[batch])
            loss = functional.cross_entropy(
                logits.float(), labels[batch], label_smoothing=workload.label_smoothing
            )
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        if kind == "cuda":
            torch.cuda.synchronize()

    run(2)
    images_per_sec, steps = speed(run, settings, batch_size)
    return {"images_per_sec": images_per_sec, "steps": steps}
