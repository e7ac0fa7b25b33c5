"""Losses over ten steps, and logits, of the small networks against twins in PyTorch.

Both start from the same weights and see the same batches, without dropout. The tests are skipped if
PyTorch is not installed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab.models.lenet import C3_INPUTS, centres
from tests.models.test_small_network_twins import (
    MOMENTUM,
    OPTIONS,
    Ours,
    assert_same,
    batches_for,
    rate_of,
)

# The twins in PyTorch are functions of a dict of weights, with the names of cnnlab's variables, and
# of images [b, channels, height, width].


def conv(w: Any, name: str, x: Any, **settings: Any) -> Any:
    import torch

    kernel = w[f"{name}/kernel"].permute(3, 2, 0, 1)
    return torch.nn.functional.conv2d(x, kernel, w.get(f"{name}/bias"), **settings)


def dense(w: Any, name: str, x: Any) -> Any:
    return x @ w[f"{name}/kernel"] + w.get(f"{name}/bias", 0)


def flat(x: Any) -> Any:
    return x.permute(0, 2, 3, 1).reshape(len(x), -1)


def norm(w: Any, name: str, x: Any, momentum: float, epsilon: float, training: bool) -> Any:
    import torch

    return torch.nn.functional.batch_norm(
        x,
        w[f"{name}/moving_mean"],
        w[f"{name}/moving_variance"],
        w.get(f"{name}/gamma"),
        w[f"{name}/beta"],
        training,
        1 - momentum,
        epsilon,
    )


def cifar_lrn(w: Any, x: Any, training: bool) -> Any:
    import torch

    f = torch.nn.functional
    lrn = torch.nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1)  # divides alpha by 9

    # On even sizes, TensorFlow's padding "same" of a 3x3 window with stride 2 pads below and right.
    def pool(x: Any) -> Any:
        return f.max_pool2d(f.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)

    x = lrn(pool(conv(w, "conv1", x, padding=2).relu()))
    x = pool(lrn(conv(w, "conv2", x, padding=2).relu()))
    x = dense(w, "dense1", flat(x)).relu()
    return dense(w, "logits", dense(w, "dense2", x).relu())


def lenet5_1998(w: Any, x: Any, training: bool) -> Any:
    import torch

    def squash(x: Any) -> Any:
        return 1.7159 * torch.tanh(2 / 3 * x)

    def subsample(name: str, x: Any) -> Any:
        corners = [x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        factor, bias = (w[f"{name}/{part}"][:, None, None] for part in ("coefficient", "bias"))
        return squash(sum(corners) * factor + bias)

    f = torch.nn.functional
    # PyTorch has no mode that mirrors an edge of two pixels, the outermost pixel included.
    places = [1, 0, *range(28), 27, 26]
    x = subsample("s2", squash(conv(w, "c1", x[:, :, places][:, :, :, places])))
    maps, start = [], 0
    for target, inputs in enumerate(C3_INPUTS):
        kernel = w["c3/kernel"][:, :, start : start + len(inputs)].permute(2, 0, 1)[None]
        maps.append(f.conv2d(x[:, list(inputs)], kernel, w["c3/bias"][target : target + 1]))
        start += len(inputs)
    x = subsample("s4", squash(torch.cat(maps, dim=1)))
    x = squash(dense(w, "f6", flat(squash(conv(w, "c5", x)))))
    return -(torch.cdist(x, torch.tensor(centres(10))) ** 2)


def stn(w: Any, x: Any, training: bool) -> Any:
    import torch

    f = torch.nn.functional
    images = x
    x = f.max_pool2d(conv(w, "locate_conv1", f.max_pool2d(x, 2), padding=2).relu(), 2)
    x = dense(w, "locate_dense", flat(conv(w, "locate_conv2", x).relu())).relu()
    theta = dense(w, "theta", x).reshape(-1, 2, 3)
    grid = f.affine_grid(theta, list(images.shape), align_corners=True)
    x = f.grid_sample(images, grid, align_corners=True)
    x = f.max_pool2d(conv(w, "conv1", x).relu(), 2)
    x = f.max_pool2d(conv(w, "conv2", x).relu(), 2)
    return dense(w, "logits", dense(w, "dense1", flat(x)).relu())


def airbench94(w: Any, x: Any, training: bool) -> Any:
    import torch

    f = torch.nn.functional
    x = f.gelu(conv(w, "whitening", x))
    for group in (1, 2, 3):
        x = f.max_pool2d(conv(w, f"conv{group}_1", x, padding=1), 2)
        x = f.gelu(norm(w, f"conv{group}_1_norm", x, 0.6, 1.001e-5, training))
        x = conv(w, f"conv{group}_2", x, padding=1)
        x = f.gelu(norm(w, f"conv{group}_2_norm", x, 0.6, 1.001e-5, training))
    return dense(w, "logits", f.max_pool2d(x, 3).flatten(1)) / 9


def mnist_best(w: Any, x: Any, training: bool) -> Any:
    import torch

    for pair, padding in ((1, 0), (2, 1), (3, 1)):
        for name in (f"conv{pair}_1", f"conv{pair}_2"):
            x = conv(w, name, x, padding=padding)
            x = norm(w, f"{name}_norm", x, 0.9, 1e-3, training).relu()
        x = torch.nn.functional.max_pool2d(x, 2)
    return dense(w, "logits", flat(x))


TWINS: dict[str, Callable[..., Any]] = {
    twin.__name__: twin for twin in (cifar_lrn, lenet5_1998, stn, airbench94, mnist_best)
}
# At the identity each output is sampled exactly at a pixel, where the slope of bilinear sampling
# jumps. The start is therefore another transformation.
STARTS = {
    "stn": {
        "theta/kernel": np.random.default_rng(1).normal(0, 0.1, (20, 6)).astype(np.float32),
        "theta/bias": np.array([0.9, 0.13, 0.07, -0.11, 1.05, 0.03], np.float32),
    }
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TWINS)
def test_same_losses_as_pytorch(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    ours = Ours(name, tmp_path / "save", **STARTS.get(name, {}))
    weights = {n: torch.tensor(v) for n, v in ours.start.items() if "/" in n}
    is_fixed = ("moving_mean", "moving_variance", "whitening/kernel", "Momentum")
    trained = [
        weight.requires_grad_()
        for n, weight in weights.items()
        if not n.endswith(is_fixed) and not n.startswith("input_statistics")
    ]
    optimizer = torch.optim.SGD(trained, rate_of(name), momentum=MOMENTUM, nesterov=True)
    smoothing = OPTIONS.get(name, {}).get("label_smoothing", 0.0)
    losses = []
    for inputs, labels in zip(ours.inputs, batches_for(name)[1], strict=True):
        logits = TWINS[name](weights, torch.tensor(inputs).permute(0, 3, 1, 2), training=True)
        loss = torch.nn.functional.cross_entropy(
            logits, torch.tensor(labels), label_smoothing=smoothing
        )
        if name == "cifar_lrn":
            loss = loss + 0.004 / 2 * sum((weights[f"dense{i}/kernel"] ** 2).sum() for i in (1, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert_same(ours.objectives, losses)
    first = torch.tensor(ours.inputs[0]).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = TWINS[name](weights, first, training=False).numpy()
    np.testing.assert_allclose(ours.logits, logits, rtol=1e-3, atol=1e-3)
    for n, value in weights.items():
        if n.endswith("whitening/kernel"):
            np.testing.assert_array_equal(ours.end[n], value.numpy())
