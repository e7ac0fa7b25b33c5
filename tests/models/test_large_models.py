"""The larger networks: parameters, variable names, both data formats, twins in PyTorch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import Train
from cnnlab.errors import CnnlabError
from cnnlab.models import MODELS, arrangement
from cnnlab.tf1 import onednn_is_on, tf
from cnnlab.tower import Tower, building
from tests import small as tiny

# With 1000 classes and the moving averages: Keras Applications' count_params() for VGG, ResNet-50
# and 101, Inception-V3 and DenseNet; torchvision's parameters for the others, with 4c in place of
# the 2c of batch norm. ResNet-20 and 56 with 10 classes, see below.
PARAMETERS = {
    "alexnet": 62_378_344,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnet18": 11_689_512 + 9_600,
    "resnet34": 21_797_672 + 17_024,
    "resnet50": 25_636_712,
    "resnet101": 44_707_176,
    "inception_v1": 6_998_552,
    "inception_v3": 23_851_784,
    "squeezenet": 1_248_424,
    "densenet121": 8_062_504,
    "resnet20": 269_722 + 2 * (7 * 16 + 6 * 32 + 6 * 64),
    "resnet56": 853_018 + 2 * (19 * 16 + 18 * 32 + 18 * 64),
}
QUICK = ("alexnet", "vgg11", "vgg16", "squeezenet", "resnet20")
NAMES = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in PARAMETERS]
FOR_CIFAR = {"resnet20", "resnet56"}
HAS_STEMS = set(PARAMETERS) - FOR_CIFAR - {"vgg11", "vgg13", "vgg16", "vgg19"}
GOLDEN = Path(__file__).parent / "variables"


def random_images(size: int) -> Any:
    """float32 [2, size, size, 3], the second darker, so that the networks tell them apart."""
    images = np.random.default_rng(1).uniform(size=(2, size, size, 3)).astype(np.float32)
    images[1] *= 0.3
    return images


def build(name: str, size: int, classes: int, *, training: bool = False, **options: Any) -> Any:
    """The logits of random images of that size, and the tower."""
    images = random_images(size)
    step = tf.constant(0, tf.int64) if training else None
    with building(Tower(1, step)) as tower:
        return MODELS[name](tf.constant(images), classes, training=training, **options), tower


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_names(name: str) -> None:
    """The names stand in users' checkpoints: a change breaks those."""
    size, classes = (32, 10) if name in FOR_CIFAR else (224, 1000)
    with tf.Graph().as_default():
        logits, tower = build(name, size, classes)
        assert logits.shape.as_list() == [2, classes]
        found = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    assert sum(int(np.prod(shape)) for shape in found.values()) == PARAMETERS[name]
    lines = [f"{variable} {'x'.join(map(str, shape))}" for variable, shape in found.items()]
    assert lines == (GOLDEN / f"{name}.txt").read_text().splitlines()
    assert next(iter(tower.activations)).startswith(("conv1", "block1/conv1"))


@pytest.mark.parametrize("name", NAMES)
def test_small_images(name: str) -> None:
    """32x32 and 10 classes; with the cifar stem the last images are not yet a single place."""
    options = {"stem": "cifar"} if name in HAS_STEMS else {}
    with tf.Graph().as_default():
        logits, tower = build(name, 32, 10, **options)
        assert logits.shape.as_list() == [2, 10]
        last = [x.shape.as_list() for x in tower.activations.values() if x.shape.rank == 4][-1]
    if name in HAS_STEMS:
        assert min(last[1:3]) >= 2


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("alexnet", 63, {}),
        ("alexnet", 15, {"stem": "cifar"}),
        ("vgg11", 32, {}),
        ("squeezenet", 29, {}),
        ("squeezenet", 7, {"stem": "cifar"}),
        pytest.param("densenet121", 29, {}, marks=pytest.mark.slow),
        pytest.param("densenet121", 8, {"stem": "cifar"}, marks=pytest.mark.slow),
        pytest.param("inception_v3", 75, {}, marks=pytest.mark.slow),
        pytest.param("inception_v3", 15, {"stem": "cifar"}, marks=pytest.mark.slow),
    ],
)
def test_the_smallest_images(name: str, size: int, options: dict[str, Any]) -> None:
    with tf.Graph().as_default():
        assert build(name, size, 10, **options)[0].shape.as_list() == [2, 10]
    less = size - 1
    message = f"images of {less}x{less} are too small for the model, .* at least {size}x{size}"
    with tf.Graph().as_default(), pytest.raises(CnnlabError, match=message):
        build(name, less, 10, **options)


@pytest.mark.skipif(not onednn_is_on(), reason="this CPU computes channels_first with oneDNN only")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "squeezenet",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("alexnet", "vgg13", "resnet20", "resnet18", "resnet50")
        ),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("inception_v1", "inception_v3", "densenet121")
        ),
    ],
)
def test_channels_first_gives_the_same_logits(name: str, training: bool) -> None:
    """From the same weights, with dropout (whose masks are the same) where it is not on images."""
    options: dict[str, Any] = {"stem": "cifar"} if name in HAS_STEMS else {}
    if name in ("alexnet", "vgg13"):
        options["dense_units"] = 32
    if name == "squeezenet":
        options["dropout"] = 0.0
    found = []
    for data_format in ("channels_last", "channels_first"):
        with tf.Graph().as_default(), tf.Session() as session:
            logits, tower = build(
                name, 32, 10, training=training, data_format=data_format, **options
            )
            session.run(tf.global_variables_initializer())
            shapes = [v.shape.as_list() for v in tf.global_variables()]
            first = next(iter(tower.activations.values())).shape.as_list()
            found.append((session.run(logits), shapes, first))
    (last, shapes, at_last), (first, other_shapes, at_first) = found
    assert shapes == other_shapes
    assert at_last[1:] == [*at_first[2:], at_first[1]]
    np.testing.assert_allclose(first, last, rtol=1e-3, atol=1e-4 * np.abs(last).max())


def test_channels_first_without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrangement, "onednn_is_on", lambda: False)
    options = {"data_format": "channels_first"}
    with pytest.raises(CnnlabError, match="data_format=channels_first needs a GPU: on this CPU, "):
        Train(model="resnet20", model_options=options, device="cpu").build_graph()
    with tf.Graph().as_default(), tf.device("/gpu:0"):
        build("squeezenet", 32, 10, stem="cifar", **options)


# Twins.


def as_torch(weights: dict[str, Any], requires_grad: bool = False) -> dict[str, Any]:
    """Our weights as PyTorch has them: kernels [out, in, height, width]."""
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
    """Our logits [2, 10] of the images of `build`, and the weights behind them."""
    with tf.Graph().as_default(), tf.Session() as session:
        logits, _ = build(name, size, 10)
        session.run(tf.global_variables_initializer())
        rng = np.random.default_rng(2)
        for variable in tf.global_variables():
            if variable.op.name.endswith("/bias"):  # all zeros would hide a mistake
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
    """As torchvision has version 1.0, but for conv1's padding: the paper's sizes from pool1 on."""
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
    """With pools that round up, as GoogLeNet's first implementation has them."""
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
    """He et al. 2015, section 4.2, option A; updates the moving averages in `w`."""
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
    """Six steps of momentum with weight decay: the losses and the moving averages."""
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(4)
    images, labels = rng.integers(0, 256, (48, 32, 32, 3), np.uint8), np.arange(48) % 10
    data = ((images, labels), (images, labels))
    options = {"optimizer": "momentum", "learning_rate": 0.01, "schedule": "constant"}
    with tiny.make(tmp_path / "save", "resnet20", data, augment=[], **options) as train:
        start = tiny.variables(train)
        fetch = train.train_graph.train_loss
        found = []
        for i in range(0, 48, 8):
            feed = {train.images_ph: images[i : i + 8], train.labels_ph: labels[i : i + 8]}
            found.append(train.session.run(fetch, feed))
        end = tiny.variables(train)
    w = as_torch(start, requires_grad=True)
    weights = [tensor for tensor in w.values() if tensor.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9)
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
