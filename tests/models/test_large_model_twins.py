"""The larger networks against twins in PyTorch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.base.tf1 import tf
from tests import small_run
from tests.models.test_large_models import build, random_images


def as_torch(weights: dict[str, Any], requires_grad: bool = False) -> dict[str, Any]:
    """Return cnnlab's weights in the layout of PyTorch: kernels [out, in, height, width]."""
    import torch

    tensors = {}
    for name, value in weights.items():
        value = np.asarray(value)
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        tensors[name] = torch.tensor(np.ascontiguousarray(value))
        if requires_grad and "/moving" not in name and value.dtype == np.float32:
            tensors[name].requires_grad_()
    return tensors


def logits_and_weights(name: str, size: int) -> Any:
    """Return cnnlab's logits [2, 10] of the images of `build`, and the weights they come from."""
    with tf.Graph().as_default(), tf.Session() as session:
        logits, _ = build(name, size, 10)
        session.run(tf.global_variables_initializer())
        rng = np.random.default_rng(2)
        for variable in tf.global_variables():
            if variable.op.name.endswith("/bias"):  # zeros would hide a mistake
                variable.load(rng.normal(0, 0.1, variable.shape.as_list()), session)
        weights = session.run({v.op.name: v for v in tf.global_variables()})
        return session.run(logits), as_torch(weights)


def torch_images(size: int) -> Any:
    import torch

    images = random_images(size)
    return torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def conv(w: dict[str, Any], x: Any, name: str, stride: int = 1, padding: int = 0) -> Any:
    from torch.nn import functional

    return functional.relu(
        functional.conv2d(x, w[f"{name}/kernel"], w[f"{name}/bias"], stride, padding)
    )


def torch_squeezenet(w: dict[str, Any], x: Any) -> Any:
    """Compute torchvision's version 1.0, but with a padding of conv1 that gives the paper's sizes
    from pool1 on."""
    import torch
    from torch.nn import functional

    def fire(x: Any, name: str) -> Any:
        x = conv(w, x, f"{name}/squeeze")
        wide = conv(w, x, f"{name}/expand1x1"), conv(w, x, f"{name}/expand3x3", padding=1)
        return torch.cat(wide, dim=1)

    x = conv(w, functional.pad(x, (2, 3, 2, 3)), "conv1", stride=2)
    for number in range(2, 10):
        if number in (2, 5, 9):
            x = functional.max_pool2d(x, 3, 2)
        x = fire(x, f"fire{number}")
    return conv(w, x, "logits").mean(dim=(2, 3))


def torch_alexnet(w: dict[str, Any], x: Any) -> Any:
    from torch.nn import functional

    def response(x: Any) -> Any:  # PyTorch divides alpha by the number of channels
        return functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2)

    x = response(conv(w, x, "conv1", stride=4, padding=2))
    x = response(conv(w, functional.max_pool2d(x, 3, 2), "conv2", padding=2))
    x = functional.max_pool2d(x, 3, 2)
    for name in ("conv3", "conv4", "conv5"):
        x = conv(w, x, name, padding=1)
    x = functional.max_pool2d(x, 3, 2).permute(0, 2, 3, 1).flatten(1)
    for name in ("dense1", "dense2"):
        x = functional.relu(x @ w[f"{name}/kernel"] + w[f"{name}/bias"])
    return x @ w["logits/kernel"] + w["logits/bias"]


def torch_inception_v1(w: dict[str, Any], x: Any) -> Any:
    """Compute GoogLeNet with pooling layers that round up, as in its first implementation."""
    import torch
    from torch.nn import functional

    def pool(x: Any) -> Any:
        return functional.max_pool2d(x, 3, 2, ceil_mode=True)

    def response(x: Any) -> Any:
        return functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2)

    def module(x: Any, name: str) -> Any:
        branches = [
            conv(w, x, f"{name}/branch1x1"),
            conv(w, conv(w, x, f"{name}/branch3x3_reduce"), f"{name}/branch3x3", padding=1),
            conv(w, conv(w, x, f"{name}/branch5x5_reduce"), f"{name}/branch5x5", padding=2),
            conv(w, functional.max_pool2d(x, 3, 1, 1), f"{name}/branch_pool"),
        ]
        return torch.cat(branches, dim=1)

    x = response(pool(conv(w, functional.pad(x, (2, 3, 2, 3)), "conv1", stride=2)))
    x = response(conv(w, conv(w, x, "conv2_reduce"), "conv2", padding=1))
    for stage, letters in ((3, "ab"), (4, "abcde"), (5, "ab")):
        x = pool(x)
        for letter in letters:
            x = module(x, f"inception{stage}{letter}")
    return x.mean(dim=(2, 3)) @ w["logits/kernel"] + w["logits/bias"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("squeezenet", torch_squeezenet),
        ("alexnet", torch_alexnet),
        ("inception_v1", torch_inception_v1),
    ],
)
def test_same_logits_as_the_twin(name: str, twin: Any) -> None:
    found, weights = logits_and_weights(name, 224)
    expected = twin(weights, torch_images(224)).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3 * np.abs(expected).max()
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def torch_resnet20(w: dict[str, Any], x: Any, is_training: bool = True) -> Any:
    """Compute ResNet-20 of He et al. 2015, section 4.2, option A.

    In training, update the moving averages in `w`.
    """
    from torch.nn import functional

    def conv_norm(x: Any, name: str, stride: int = 1) -> Any:
        x = functional.conv2d(x, w[f"{name}/kernel"], None, stride, 1)
        mean, variance, gamma, beta = (
            w[f"{name}_norm/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return functional.batch_norm(
            x, mean, variance, gamma, beta, is_training, momentum=0.1, eps=1.001e-5
        )

    x = functional.relu(conv_norm(x, "conv1"))
    for stage in (1, 2, 3):
        for block in (1, 2, 3):
            scope, stride = f"stage{stage}/block{block}", 2 if stage > 1 and block == 1 else 1
            y = functional.relu(conv_norm(x, f"{scope}/conv1", stride))
            y = conv_norm(y, f"{scope}/conv2")
            if stride == 2:
                x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, x.shape[1]))
            x = functional.relu(x + y)
    return x.mean(dim=(2, 3)) @ w["logits/kernel"] + w["logits/bias"]


@pytest.mark.slow
def test_resnet20_trains_as_its_twin(tmp_path: Path) -> None:
    """Six steps of momentum give the same losses and moving averages."""
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(4)
    images, labels = rng.integers(0, 256, (48, 32, 32, 3), np.uint8), np.arange(48) % 10
    data = ((images, labels), (images, labels))
    options = {"optimizer": "momentum", "learning_rate": 0.003, "schedule": "constant"}
    with small_run.make(tmp_path / "save", "resnet20", data, augment=[], **options) as train:
        start = small_run.variables(train)
        fetch = train.train_graph.train_loss
        found = []
        for i in range(0, 48, 8):
            feed = {train.images_ph: images[i : i + 8], train.labels_ph: labels[i : i + 8]}
            found.append(train.session.run(fetch, feed))
        end = small_run.variables(train)
    w = as_torch(start, requires_grad=True)
    weights = [tensor for tensor in w.values() if tensor.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=0.003, momentum=0.9)
    expected = []
    for i in range(0, 48, 8):
        x = torch.tensor(images[i : i + 8].transpose(0, 3, 1, 2).astype(np.float32) / 255)
        loss = functional.cross_entropy(torch_resnet20(w, x), torch.tensor(labels[i : i + 8]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(float(loss.detach()))
    assert abs(expected[0] - expected[-1]) > 1e-2
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)
    averages = [name for name in end if "/moving" in name]
    assert len(averages) == 2 * 19
    for name in averages:
        np.testing.assert_allclose(end[name], w[name], rtol=1e-3, atol=1e-4, err_msg=name)
