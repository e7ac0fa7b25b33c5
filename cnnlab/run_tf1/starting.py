"""TensorFlow 1 in this process: `import tensorflow` gives it, under every name that it had."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import Any, Final

from cnnlab.base.tf1 import tf
from cnnlab.run_tf1 import old_data
from cnnlab.run_tf1.after_import import after_import
from cnnlab.run_tf1.held_constants import hold_large_constants
from cnnlab.run_tf1.importing import OldFinder
from cnnlab.run_tf1.known_downloads import answer_known_downloads
from cnnlab.run_tf1.noted import stands_in
from cnnlab.run_tf1.observing import has_gpu, observe_training
from cnnlab.run_tf1.old_packages import OLD_PACKAGES
from cnnlab.run_tf1.overlay import Lazy, OldModule, importable
from cnnlab.run_tf1.python_names import names_of_scipy_misc, restore_python_names

_QUIET: Final = (  # Python's warnings about the age of what the program uses
    r".*is deprecated and will be removed.*",
    r".*`tf\.layers.*",
    r".*argument is deprecated, use.*",
    r".*FigureCanvasAgg is non-interactive.*",
)


def become_tensorflow_1(data_dir: str) -> None:
    """Make this process one of TensorFlow 1.15: graphs, sessions, and the names of that time.

    Args:
        data_dir: the folder of cnnlab's data files.

    Raises:
        CnnlabError: TensorFlow cannot be loaded.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    old_data.set_data_dir(data_dir)
    tf.disable_v2_behavior()  # loads TensorFlow
    _be_quiet()
    hold_large_constants()
    observe_training(has_gpu=has_gpu())
    answer_known_downloads()
    restore_python_names()
    after_import(OLD_PACKAGES)
    _install()


def _be_quiet() -> None:
    deprecation = importlib.import_module("tensorflow.python.util.deprecation")
    vars(deprecation)["_PRINT_DEPRECATION_WARNINGS"] = False
    tf.logging.set_verbosity(tf.logging.WARN)  # TensorFlow 1's default
    warnings.filterwarnings("ignore", module=r"tf_keras\.")
    for message in _QUIET:
        warnings.filterwarnings("ignore", message=message)


def _install() -> None:
    """Put the old modules where `import` finds them."""
    from cnnlab.run_tf1.contrib_modules import MODULES
    from cnnlab.run_tf1.tf_names import root_stand_ins

    today = sys.modules["tensorflow"]
    modules = {
        f"tensorflow.{name}": _maker(f"tensorflow.{name}", make) for name, make in MODULES.items()
    }
    importable.update(modules)
    modules["scipy.misc"] = lambda: OldModule("scipy.misc", names_of_scipy_misc())
    sys.modules.pop("scipy.misc", None)
    sys.meta_path.insert(0, OldFinder(modules, _keras_overlays()))
    v1 = importlib.import_module("tensorflow.compat.v1")
    root = OldModule("tensorflow", root_stand_ins(), v1, for_libraries=today)
    compat = OldModule("tensorflow.compat", {"v1": root}, today.compat, for_libraries=today.compat)
    vars(root)["_stand_ins"].update(
        compat=compat,
        keras=Lazy(lambda: importlib.import_module("tensorflow.keras")),
        contrib=Lazy(lambda: importlib.import_module("tensorflow.contrib")),
        examples=Lazy(lambda: importlib.import_module("tensorflow.examples")),
        layers=Lazy(_layers),
    )
    sys.modules["tensorflow"] = root


def _layers() -> Any:
    stands_in("tf.layers", "tf_keras's legacy layers")
    return tf.layers


def _maker(name: str, make: Any) -> Any:
    def module() -> Any:
        if name.startswith("tensorflow.contrib") and name != "tensorflow.contrib":
            stands_in(f"tf.{name.removeprefix('tensorflow.')}", "cnnlab's functions of these names")
        return OldModule(name, make())

    return module


def _keras_overlays() -> dict[str, dict[str, Any]]:
    def load_data(name: str) -> Any:
        def load(*args: Any, **kwargs: Any) -> Any:
            return old_data.keras_load_data(name, *args, **kwargs)

        return load

    overlays = {f"datasets.{name}": {"load_data": load_data(name)} for name in old_data.KERAS_NAMES}
    orders = {"tf": "channels_last", "th": "channels_first"}

    def set_order(order: str) -> None:
        tf.keras.backend.set_image_data_format(orders[order])

    def order() -> str:
        return "tf" if tf.keras.backend.image_data_format() == "channels_last" else "th"

    # Keras 1 had these names.
    return {
        **overlays,
        "backend": {"image_dim_ordering": order, "set_image_dim_ordering": set_order},
    }
