"""The weights that Keras Applications trained on ImageNet, `--init_from=imagenet`.

DATA_DIR/keras_applications/FILE   complete, under Keras's own name
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final, NamedTuple

from cnnlab.base.errors import CnnlabError
from cnnlab.base.files import translate_os_errors
from cnnlab.data.files.download import SourceError, TerminalProgress, download
from cnnlab.models.pretrained.keras_weights import check_network

FOLDER: Final = "keras_applications"


class WeightsFile(NamedTuple):
    """A file without the dense layers at the end ("notop").

    address: of the file, https.
    md5: checksum that Keras's source states; None: it states none.
    """

    address: str
    md5: str | None


_KERAS: Final = "https://storage.googleapis.com/tensorflow/keras-applications"
_KERNELS: Final = "weights_tf_dim_ordering_tf_kernels"

# Addresses and checksums are those in keras/src/applications/NAME.py of Keras 3.
FILES: dict[str, WeightsFile] = {
    "densenet121": WeightsFile(
        f"{_KERAS}/densenet/densenet121_{_KERNELS}_notop.h5", "30ee3e1110167f948a6b9946edeeb738"
    ),
    "efficientnet_b0": WeightsFile(
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        "50bc09e76180e00e4465e1a485ddc09d",
    ),
    "inception_v3": WeightsFile(
        f"{_KERAS}/inception_v3/inception_v3_{_KERNELS}_notop.h5",
        "bcbd6486424b2319ff4ef7d526e38f63",
    ),
    "mobilenet_v2": WeightsFile(
        f"{_KERAS}/mobilenet_v2/mobilenet_v2_{_KERNELS}_1.0_224_no_top.h5", None
    ),
    "resnet50": WeightsFile(
        f"{_KERAS}/resnet/resnet50_{_KERNELS}_notop.h5", "4d473c1dd8becc155b73f8504c6f6626"
    ),
    "resnet101": WeightsFile(
        f"{_KERAS}/resnet/resnet101_{_KERNELS}_notop.h5", "88cf7a10940856eca736dc7b7e228a21"
    ),
    "vgg16": WeightsFile(
        f"{_KERAS}/vgg16/vgg16_{_KERNELS}_notop.h5", "6d6bbae143d832006294945121d1f1fc"
    ),
    "vgg19": WeightsFile(
        f"{_KERAS}/vgg19/vgg19_{_KERNELS}_notop.h5", "253f8cb515780f3b799900260a226db6"
    ),
}


def fetch_imagenet_weights(model: str, data_dir: str | Path) -> Path:
    """Return the file of a network's trained weights; download it if it is not there.

    The connection is encrypted, and the MD5 that Keras's source states is compared each time. MD5
    finds an accident, but not a forgery. For mobilenet_v2 Keras states no checksum.

    Args:
        model: a key of FILES.
        data_dir: the file is in its folder FOLDER, which is made if there is none.

    Raises:
        UsageError: there are no such weights for the model.
        CnnlabError: the file cannot be fetched or written, or its checksum is wrong.
    """
    check_network(model)
    source = FILES[model]
    path = Path(data_dir) / FOLDER / re.sub(".*/", "", source.address)
    if path.is_file():
        if source.md5 is not None and (found := _md5(path)) != source.md5:
            raise CnnlabError(
                f"{path}: expected MD5 {source.md5}, found {found}; delete the file, so that it is "
                "downloaded again"
            )
        return path
    progress = TerminalProgress()
    try:
        with translate_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            download(source.address, path, progress, md5=source.md5)
    except SourceError as error:
        raise CnnlabError(
            f"--init_from=imagenet: {source.address}: {error}; put the file into {path.parent} "
            "yourself, or write one with Keras and give --init_from=FILE"
        ) from error
    finally:
        progress.close()
    return path


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
