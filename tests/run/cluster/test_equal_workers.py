"""What must be equal on all workers: what is compared, and the one line that names a difference."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from cnnlab import Train, streamed
from cnnlab.base.errors import UsageError
from cnnlab.run.cluster import equal_workers
from cnnlab.run.cluster.equal_workers import Facts, check_count, check_equal, facts_of
from cnnlab.run.cluster.place import Place
from cnnlab.run.disk.fingerprint import fingerprints_of
from tests import small_run
from tests.data.folders.pictures import write, write_folder
from tests.run.cluster import workers

PLACE = Place(("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"), 1)


@pytest.fixture(autouse=True)
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test load TensorFlow to ask it for oneDNN."""
    monkeypatch.setattr(equal_workers, "onednn_is_on", lambda: True)


def facts(data: Any = None, **options: Any) -> Facts:
    run = small_run.make("unused", data=data, **options)
    return facts_of(PLACE, run.config, run.data, fingerprints_of(run.data, {}))


def message(ours: Facts, theirs: Facts, index: int = 2) -> str:
    """Return the refusal if worker `index` has other facts than the rest."""
    every = [copy.deepcopy(ours) for _ in range(4)]
    every[index] = copy.deepcopy(theirs)
    with pytest.raises(UsageError) as refused:
        check_equal(PLACE, every)
    text = str(refused.value)
    assert "\n" not in text
    assert text.startswith(f"worker {index} (10.0.0.{index + 1}:1) differs from worker 0: ")
    return text.partition("worker 0: ")[2]


def test_equal_workers_pass() -> None:
    check_equal(PLACE, [facts() for _ in range(4)])


def test_what_one_worker_may_have_for_itself() -> None:
    own = {"quiet": True, "max_secs": 5, "log_dir": "/elsewhere", "worker_timeout_secs": 9}
    assert facts(**own) == facts()


def test_another_address_is_named() -> None:
    ours, theirs = facts(), facts()
    theirs["address"]["worker 3"] = "10.0.0.9:1"
    assert message(ours, theirs) == (
        "address of worker 3: 10.0.0.9:1 there and 10.0.0.4:1 on worker 0; give all workers the "
        "same list in TF_CONFIG"
    )


def test_another_option_is_named() -> None:
    text = message(facts(), facts(learning_rate=0.5, seed=3))
    assert text == "--seed=3 there and 1 on worker 0; give all workers the same options"


@pytest.mark.parametrize("package", ["python", "cnnlab", "tensorflow", "tf-keras", "numpy"])
def test_another_version_is_named(package: str) -> None:
    ours, theirs = facts(), facts()
    ours["version"][package], theirs["version"][package] = "2.21.0", "2.22.1"
    assert message(ours, theirs, 3) == (
        f"version of {package}: 2.22.1 there and 2.21.0 on worker 0; install the same versions on "
        "all machines"
    )


@pytest.mark.parametrize("part", ["train images", "train labels", "test labels"])
def test_other_data_is_named(part: str) -> None:
    split, kind = part.split()
    arrays = small_run.arrays()
    arrays[split == "test"][kind == "labels"].flat[0] += 1
    text = message(facts(), facts(data=arrays))
    assert text.startswith(f"checksum of {part}: ")
    assert text.endswith("; copy the same data to all machines")


def test_a_data_set_by_name_has_a_checksum() -> None:
    run = Train(dataset="shapes", model="mnist_perceptron", reduce="ring")
    found = facts_of(PLACE, run.config, run.data, {})["checksum"]
    assert found.keys() == {"train", "validation"}
    assert found["train"] != found["validation"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("instruction sets", "sse2"), ("oneDNN", False), ("threads of an operation", 7)],
)
def test_another_processor_is_named_where_exact_bits_are_promised(name: str, value: Any) -> None:
    ours, theirs = facts(), facts()
    theirs["processor"][name] = value
    text = message(ours, theirs)
    assert text.startswith(f"{name}: {value} there and ")
    assert text.endswith("or --reduce=ring, which promises no exact bits")
    assert "processor" not in facts(reduce="ring")


def test_the_instruction_sets_of_onednn_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equal_workers, "cpu_features", lambda: ["avx2", "avx512f"])
    monkeypatch.setattr(equal_workers, "onednn_uses_avx512", lambda: True)
    ours = facts()
    monkeypatch.setattr(equal_workers, "cpu_features", lambda: ["avx2"])
    assert message(ours, facts()).startswith("instruction sets: avx2 there and avx2 avx512f on")


def test_other_code_is_named() -> None:
    run = small_run.make("unused")
    ours = facts_of(PLACE, run.config, run.data, {"model code": "a"})
    theirs = facts_of(PLACE, run.config, run.data, {"model code": "b"})
    text = message(ours, theirs)
    assert text == "code of model: b there and a on worker 0; copy the same files to all machines"


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_pictures_are_compared_by_their_files(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(machine: str) -> Facts:
        monkeypatch.chdir(tmp_path / machine)
        options = {"dataset": "folder:pets", "cache": cache, "image_size": [8, 8]}
        run = Train(model="mnist_perceptron", batch_size=2, **options)
        prints = fingerprints_of(run.data, {})
        monkeypatch.setattr(run.data, "split", None)  # nothing is read once more
        return facts_of(PLACE, run.config, run.data, prints)

    folders = {f"{split}/{kind}": 3 for split in ("train", "test") for kind in ("cat", "dog")}
    shutil.copytree(write_folder(tmp_path / "ours" / "pets", folders), tmp_path / "theirs" / "pets")
    ours = found("ours")
    assert ours["checksum"].keys() == {"class names", "train images", "test images"}
    assert ours == found("theirs")
    write(next((tmp_path / "theirs" / "pets" / "train" / "cat").iterdir()), (9, 9))
    assert message(ours, found("theirs")).startswith("checksum of train images: ")


def test_a_stream_is_compared_by_its_first_examples() -> None:
    (images, labels), test = small_run.arrays()

    def stream(order: int) -> Any:
        def read() -> Any:
            yield from zip(images[::order], labels[::order], strict=True)

        return (streamed(read, examples_per_epoch=len(labels)), test)

    ours = facts(data=stream(1))
    assert ours == facts(data=stream(1))
    text = message(ours, facts(data=stream(-1)))
    assert text.startswith("checksum of the stream's first examples: ")


@pytest.mark.parametrize(
    ("count", "options", "problem"),
    [
        (3, {"micro_batches": 3}, "TF_CONFIG has 3 workers; their number must be a power of two"),
        (4, {"micro_batches": 2}, "4 workers cannot share --micro_batches=2; make it a multiple"),
        (2, {"micro_batches": 2, "profile": True}, "--trace_steps and --profile measure one"),
    ],
)
def test_what_workers_cannot_share(count: int, options: dict[str, Any], problem: str) -> None:
    run = small_run.make("unused", **options)
    with pytest.raises(UsageError, match=problem):
        check_count(Place(PLACE.addresses[:count], 0), run.config)


@pytest.mark.slow
def test_real_workers_refuse_each_difference(tmp_path: Path) -> None:
    runs: dict[str, Any] = {name: {} for name in ("version", "data", "processor", "options")}
    other = {
        "version": {"fake": "version"},
        "data": {"fake": "data"},
        "processor": {"fake": "processor"},
        "options": {"learning_rate": 0.5},
    }
    expected = {
        "version": "version of numpy: 1.0 there and ",
        "data": "checksum of train images: ",
        "processor": "instruction sets: sse2 there and ",
        "options": "learning_rate=0.5 there and 0.01 on worker 0; give all workers",
    }
    started = workers.start(2, tmp_path, runs, of_worker={1: other})
    for code, output in workers.finish(started):
        assert code == 2, output
        for name, problem in expected.items():
            line = f"{name}: error: worker 1 (127.0.0.1:"
            assert line in output, output
            assert problem in output.partition(line)[2].partition("\n")[0]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
