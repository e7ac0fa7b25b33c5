"""PyTorch: uint8 data in memory, a new permutation each epoch, batches by indexing."""

import functools
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from cnnlab.data.datasets import load_dataset
from scripts.bench import networks
from scripts.bench.contestants import Contestant
from scripts.bench.workloads import DECAY_STEPS, Workload

TUNING_SECS = 0.3


class TorchContestant(Contestant):
    """A plain PyTorch loop; see scripts.bench.contestants.Contestant."""

    def __init__(
        self,
        workload: Workload,
        data_dir: str,
        scratch: Path,
        *,
        is_expert: bool = False,
        compiles: bool = False,
    ) -> None:
        """Build the model.

        Args:
            workload: what to train.
            data_dir: folder of the data files.
            scratch: not used.
            is_expert: True: channels_last, a fused optimizer and the best number of threads. False:
                contiguous images [n, channels, height, width] and PyTorch's defaults.
            compiles: whether torch.compile compiles the network.
        """
        del scratch
        dataset = load_dataset(workload.dataset, data_dir)
        self._batch_size, self._is_expert = workload.batch_size, is_expert
        self._images, self._labels = self._tensors(dataset.train)
        self._test_images, self._test_labels = self._tensors(dataset.test)
        self._model = TorchNetwork(workload, dataset.train.images.shape[1:])
        if is_expert:
            self._model.to(memory_format=torch.channels_last)
        self._optimizer = make_optimizer(workload, self._model, fused=is_expert)
        self._schedule: Any = None
        if workload.decay_rate != 1:
            self._schedule = torch.optim.lr_scheduler.StepLR(
                self._optimizer, DECAY_STEPS, workload.decay_rate
            )
        self._training_loss: Any = functools.partial(
            self._mean_loss, label_smoothing=workload.label_smoothing
        )
        self._forward: Any = self._model
        if compiles:
            self._training_loss = torch.compile(self._training_loss)
            self._forward = torch.compile(self._model)
        self._order = torch.randperm(len(self._labels))
        self._position = 0

    def run(self, steps: int) -> int:
        """Make training steps."""
        self._model.train()
        for _ in range(steps):
            if self._position + self._batch_size > len(self._order):
                self._order, self._position = torch.randperm(len(self._labels)), 0
            batch = self._order[self._position : self._position + self._batch_size]
            self._position += self._batch_size
            self._train(batch)
        return steps

    def tune(self) -> None:
        """Choose the number of threads: 1 or the number of cores."""
        if not self._is_expert:
            return
        speeds = {}
        for threads in {1, len(os.sched_getaffinity(0))}:
            torch.set_num_threads(threads)
            self.run(1)
            started, steps = time.perf_counter(), 0
            while (secs := time.perf_counter() - started) < TUNING_SECS:
                steps += self.run(1)
            speeds[steps / secs] = threads
        torch.set_num_threads(speeds[max(speeds)])

    def load(self, start_file: Path) -> None:
        """Load the weights of a start file."""
        with np.load(start_file) as start:
            self._model.load(dict(start))

    def losses(self, start_file: Path, steps: int) -> list[float]:
        """Start from the file; return each step's loss on the file's batches."""
        self.load(start_file)
        self._model.train()
        with np.load(start_file) as start:
            batches = torch.from_numpy(start["batches"][:steps])
        return [float(self._train(batch)) for batch in batches]

    def evaluate(self, batch_size: int) -> dict[str, float]:
        """Return loss and accuracy of the test set."""
        self._model.eval()
        loss, correct, n = 0.0, 0, len(self._test_labels)
        with torch.inference_mode():
            for first in range(0, n, batch_size):
                part = slice(first, first + batch_size)
                logits, labels = self._forward(self._test_images[part]), self._test_labels[part]
                loss += float(F.cross_entropy(logits, labels, reduction="sum"))
                correct += int((logits.argmax(1) == labels).sum())
        return {"loss": loss / n, "accuracy": correct / n, "n": n}

    def predict(self, batch_size: int) -> Any:
        """Return class probabilities of the test set."""
        self._model.eval()
        with torch.inference_mode():
            batches = [
                F.softmax(self._forward(images), dim=1)
                for images in torch.split(self._test_images, batch_size)
            ]
            return torch.cat(batches).numpy()

    def _tensors(self, split: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images and labels; an expert's images are stored channels last."""
        images = torch.from_numpy(np.ascontiguousarray(split.images)).permute(0, 3, 1, 2)
        if self._is_expert:
            images = images.contiguous(memory_format=torch.channels_last)
        else:
            images = images.contiguous()
        return images, torch.from_numpy(split.labels.astype(np.int64))

    def _train(self, batch: torch.Tensor) -> torch.Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._training_loss(self._images[batch], self._labels[batch])
        loss.backward()
        self._optimizer.step()
        if self._schedule is not None:
            self._schedule.step()
        return loss.detach()

    def _mean_loss(
        self, images: torch.Tensor, labels: torch.Tensor, label_smoothing: float
    ) -> torch.Tensor:
        return F.cross_entropy(self._model(images), labels, label_smoothing=label_smoothing)


class TorchNetwork(nn.Module):
    """A workload's network, from uint8 images [batch, channels, height, width] to logits."""

    def __init__(self, workload: Workload, image_shape: tuple[int, int, int]) -> None:
        """Build the layers.

        Args:
            workload: whose network to build.
            image_shape: (height, width, channels).
        """
        super().__init__()
        factor, summand = (
            torch.tensor(numbers).reshape(-1, 1, 1) for numbers in workload.pixel_scale
        )
        self.register_buffer("factor", factor, persistent=False)
        self.register_buffer("summand", summand, persistent=False)
        self.named: dict[str, nn.Module] = {}
        # The (channels, height, width) that a dense layer's input had before it was flattened.
        self.flattened: dict[str, tuple[int, ...]] = {}
        sample = torch.zeros(1, image_shape[2], *image_shape[:2])
        self.layers, _ = self._build(workload.layers, sample)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 [batch, 10], unscaled."""
        return self.layers(images * self.factor + self.summand)

    def load(self, weights: dict[str, Any]) -> None:
        """Load arrays in TensorFlow's layout, each by its name."""
        for name, module in self.named.items():
            own = {"weight": f"{name}/kernel", "bias": f"{name}/bias"}
            if isinstance(module, nn.BatchNorm2d):
                own = {"weight": f"{name}/gamma", "bias": f"{name}/beta"}
                own["running_mean"] = f"{name}/moving_mean"
                own["running_var"] = f"{name}/moving_variance"
            for attribute, full_name in own.items():
                if full_name in weights:
                    weight = self._in_own_layout(name, torch.tensor(weights[full_name]))
                    with torch.no_grad():
                        getattr(module, attribute).copy_(weight)

    def _build(
        self, layers: Iterable[networks.Layer], sample: torch.Tensor
    ) -> tuple[nn.Module, torch.Tensor]:
        """Return the layers in sequence and their output for the sample."""
        modules: list[nn.Module] = []
        before_flattening: tuple[int, ...] = ()
        for layer in layers:
            if isinstance(layer, networks.Residual):
                inner, _ = self._build(layer.layers, sample)
                module: nn.Module = _Residual(inner, layer.filters - sample.shape[1], layer.stride)
            else:
                module = _torch_module(layer, sample.shape[1])
            if isinstance(layer, networks.Conv | networks.Dense | networks.BatchNorm):
                self.named[layer.name] = module
            if isinstance(layer, networks.Flatten):
                before_flattening = tuple(sample.shape[1:])
            elif isinstance(layer, networks.Dense) and before_flattening:
                self.flattened[layer.name] = before_flattening
                before_flattening = ()
            modules.append(module)
            with torch.no_grad():
                sample = module.eval()(sample)
        return nn.Sequential(*modules), sample

    def _in_own_layout(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        if weight.dim() == 4:
            return weight.permute(3, 2, 0, 1)  # [h, w, in, out] to [out, in, h, w]
        if weight.dim() == 2 and name in self.flattened:
            channels, height, width = self.flattened[name]
            weight = weight.reshape(height, width, channels, -1).permute(2, 0, 1, 3)
            return weight.reshape(channels * height * width, -1).T
        return weight.T if weight.dim() == 2 else weight


class _Residual(nn.Module):
    """See networks.Residual."""

    def __init__(self, inner: nn.Module, more_channels: int, stride: int) -> None:
        super().__init__()
        self.inner, self.more_channels, self.stride = inner, more_channels, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x
        if self.stride > 1:
            shortcut = shortcut[:, :, :: self.stride, :: self.stride]
        if self.more_channels:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.more_channels))
        return F.relu(self.inner(x) + shortcut)


class _Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.forward = function


def make_optimizer(workload: Workload, model: nn.Module, *, fused: bool) -> torch.optim.Optimizer:
    """Return the optimizer of a workload; fused: one kernel updates all weights."""
    settings: dict[str, Any] = {"lr": workload.learning_rate}
    if fused:
        settings["fused"] = True
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    if workload.optimizer == "adam":
        return torch.optim.Adam(trained, **settings)
    is_nesterov = workload.optimizer == "nesterov"
    return torch.optim.SGD(trained, momentum=workload.momentum, nesterov=is_nesterov, **settings)


def _torch_module(layer: networks.Layer, num_inputs: int) -> nn.Module:
    match layer:
        case networks.Conv(_, filters, side, is_padded, use_bias, is_frozen, stride):
            pixels = side // 2 if is_padded else 0
            conv = nn.Conv2d(num_inputs, filters, side, stride, pixels, bias=use_bias)
            conv.weight.requires_grad_(not is_frozen)
            return conv
        case networks.Dense(_, units, use_bias):
            return nn.Linear(num_inputs, units, bias=use_bias)
        case networks.BatchNorm(_, momentum, epsilon, has_scale):
            norm = nn.BatchNorm2d(num_inputs, epsilon, 1 - momentum)
            norm.weight.requires_grad_(has_scale)
            return norm
        case networks.Activation(function):
            return nn.GELU() if function == "gelu" else nn.ReLU()
        case networks.MaxPool():
            return nn.MaxPool2d(2)
        case networks.GlobalMax():
            return _Function(lambda x: x.amax((2, 3)))
        case networks.GlobalMean():
            return _Function(lambda x: x.mean((2, 3)))
        case networks.Flatten():
            return nn.Flatten()
        case networks.Dropout(rate):
            return nn.Dropout(rate)
        case networks.Scale(factor):
            return _Function(lambda x: x * factor)
    raise TypeError(layer)
