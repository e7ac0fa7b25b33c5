"""Packaging of cnnlab. The metadata is here; pyproject.toml has only the settings of tools."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
TENSORFLOW = ">=2.21,<2.22"  # for the GPU extra; requirements.txt has the same bounds


def read_version() -> str:
    """Return __version__ without importing the package."""
    text = (HERE / "cnnlab" / "base" / "version.py").read_text(encoding="utf-8")
    match = re.search(r"""^__version__ = ["']([^"']+)["']""", text, re.MULTILINE)
    if match is None:
        raise RuntimeError("cnnlab/base/version.py has no __version__")
    return match[1]


def read_requirements() -> list[str]:
    """Return the packages that cnnlab needs to run, which only requirements.txt lists."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    name="cnnlab",
    version=read_version(),
    description="Train CIFAR- and MNIST-class CNNs the TensorFlow-1 way on today's TensorFlow",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.11",
    # The recipes are in configs/ in a checkout, and inside the package when it is installed.
    packages=[*find_packages(include=["cnnlab", "cnnlab.*"]), "cnnlab.configs"],
    package_dir={"cnnlab.configs": "configs"},
    package_data={"cnnlab.configs": ["*.yaml"], "cnnlab.report": ["templates/*"]},
    install_requires=read_requirements(),
    extras_require={
        "gpu": [f"tensorflow[and-cuda]{TENSORFLOW}"],
        "report": ["Jinja2>=3.1", "matplotlib>=3.8"],
        "tune": ["optuna>=4.0,<6"],
        "sklearn": ["scikit-learn>=1.4"],
        "onnx": ["tf2onnx>=1.17"],
        "bench": ["keras>=3", "torch==2.13.0"],
        "test": [
            "Jinja2>=3.1",
            "matplotlib>=3.8",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "scikit-learn>=1.4",
            "optuna>=4.0,<6",
            "pandas>=2.2",
            "tf2onnx>=1.17",
            "onnxruntime>=1.20",
            "ruff>=0.17,<0.18",  # another minor version formats and checks differently
            "mypy>=2.4,<3",
            "types-PyYAML",
            "types-tqdm",
        ],
    },
    entry_points={"console_scripts": ["cnnlab=cnnlab.config.commands:main"]},
    zip_safe=False,
)
