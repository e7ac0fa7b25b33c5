"""The session loop: where session runs end, what hooks see, how the loop ends."""

from pathlib import Path
from typing import Any

import pytest

from cnnlab import Hook, Train
from cnnlab.base.tf1 import on_calling_thread
from cnnlab.run.hook import is_time
from cnnlab.run.loop import MAX_STEPS_PER_RUN, TARGET_SHARED_RUN_SECS, NonFiniteError, Pacer
from tests import small_run


@pytest.mark.parametrize(
    ("step", "every_steps", "total_steps", "due"),
    [(10, 5, 100, True), (11, 5, 100, False), (100, 7, 100, True), (99, 7, 100, False)],
)
def test_is_time(step: int, every_steps: int, total_steps: int, due: bool) -> None:
    assert is_time(step, every_steps, total_steps) is due


def every(*steps: int) -> list[Hook]:
    hooks = [Hook() for _ in steps]
    for hook, every_steps in zip(hooks, steps, strict=True):
        hook.every_steps = every_steps
    return hooks


@pytest.mark.parametrize(
    ("step", "hooks", "steps"),
    [(0, (), 50), (95, (), 5), (0, (30,), 30), (29, (30,), 1), (30, (30, 45), 15), (0, (400,), 50)],
)
def test_a_run_ends_at_the_next_boundary(step: int, hooks: tuple[int, ...], steps: int) -> None:
    plan = Pacer(50).plan(step, 100, every(*hooks))
    assert (plan.step, plan.steps) == (step, steps)


def test_auto_aims_at_a_tenth_of_a_second() -> None:
    pacer = Pacer("auto")
    made = []
    for _ in range(12):
        made.append(pacer.plan(0, 10**9, []).steps)
        pacer.learn(made[-1], secs=0.001 * made[-1])  # a millisecond a step
    assert made[:4] == [1, 2, 4, 8]  # at most twice as many each time
    assert made[-1] == 100
    pacer.learn(100, secs=10.0)  # the machine is busy
    assert pacer.plan(0, 10**9, []).steps == 1
    for _ in range(20):
        pacer.learn(1000, secs=0.0)
    assert pacer.plan(0, 10**9, []).steps == MAX_STEPS_PER_RUN


def test_several_workers_make_longer_runs() -> None:
    pacer = Pacer("auto", TARGET_SHARED_RUN_SECS)
    for _ in range(12):
        pacer.learn(pacer.plan(0, 10**9, []).steps, secs=0.1 * pacer.plan(0, 10**9, []).steps)
    assert pacer.plan(0, 10**9, []).steps == 5


def test_short_steps_stay_on_the_calling_thread() -> None:
    pacer = Pacer("auto")
    assert pacer.plan(0, 100, []).arguments == {}  # no step has been timed yet
    pacer.learn(10, secs=0.0001 * 10)
    assert pacer.plan(0, 100, []).arguments["options"].inter_op_thread_pool == -1
    pacer.learn(10, secs=0.01 * 10)
    assert pacer.plan(0, 100, []).arguments == {}


@pytest.mark.slow
def test_threads_change_no_bit(tmp_path: Path) -> None:
    found = []
    for name, options in (("a", {}), ("b", {"options": on_calling_thread()})):
        with small_run.make(tmp_path / name) as train:
            train.session.run(train.train_op, {train.steps_ph: 20}, **options)
            found.append(small_run.variables(train))
    small_run.assert_same_bits(*found)


class Watch(Hook):
    """Records each call."""

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps
        self.calls: list[Any] = []

    def begin(self, train: Train) -> None:
        self.calls.append(("begin", train.step))

    def after_step(self, train: Train, state: Any) -> None:
        self.calls.append(("after_step", state.step))
        assert train.step == state.step
        assert state.total_steps == 7
        assert 0 <= state.accuracy <= 1

    def after_run(self, train: Train, state: Any) -> None:
        self.calls.append(("after_run", state.step))

    def end(self, train: Train) -> None:
        self.calls.append(("end", train.step))


def test_what_hooks_see(tmp_path: Path) -> None:
    hook = Watch(3)
    with small_run.make(
        tmp_path / "save", small_run.linear, hooks=[hook], steps=7, steps_per_run=2, eval_steps=7
    ) as train:
        train.train()
    steps = [("after_run", 2), ("after_step", 3), ("after_run", 3), ("after_run", 5)]
    steps += [("after_step", 6), ("after_run", 6), ("after_step", 7), ("after_run", 7)]
    assert hook.calls == [("begin", 0), *steps, ("end", 7)]


class Fail(Hook):
    """Fails in the first step."""

    every_steps = 1

    def after_step(self, train: Train, state: Any) -> None:
        raise RuntimeError("the hook's own")


def test_hooks_end_when_one_fails(tmp_path: Path) -> None:
    hook = Watch(3)
    with (
        small_run.make(tmp_path / "save", small_run.linear, hooks=[Fail(), hook]) as train,
        pytest.raises(RuntimeError, match="the hook's own"),
    ):
        train.train()
    assert hook.calls[-1][0] == "end"


@pytest.mark.parametrize("steps_per_run", [1, 100])
def test_a_loss_that_is_not_finite_stops_at_its_step(steps_per_run: int, tmp_path: Path) -> None:
    """With a rate of 1e30 the first step is finite, but the penalty of its weights is not."""
    with small_run.make(
        tmp_path / "save", learning_rate=1e30, steps_per_run=steps_per_run
    ) as train:
        with pytest.raises(NonFiniteError) as error:
            train.train()
        assert train.step == 2
    message = str(error.value)
    assert message.startswith(("the loss is nan at step 2", "the loss is inf at step 2"))
    assert "none yet" in message
    assert "lower --learning_rate" in message
    assert not list((tmp_path / "save").glob("model.ckpt*"))


def test_an_evaluation_that_is_not_finite_names_the_step(tmp_path: Path) -> None:
    """After the first step the weights are finite, but no logit is."""
    options = {"eval_steps": 1, "learning_rate": 3e38}
    with (
        small_run.make(tmp_path / "save", small_run.linear, **options) as train,
        pytest.raises(NonFiniteError, match=r"step 1\b.*last good checkpoint"),
    ):
        train.train()
    assert not list((tmp_path / "save").rglob("model.ckpt*"))


class Break(Hook):
    """Sets the weights to NaN."""

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps

    def after_step(self, train: Train, state: Any) -> None:
        train.session.run("model/break")


def breakable(images: Any, num_classes: int, *, training: bool, spare: bool = False) -> Any:
    """A model with an op that sets the weights, or a variable that nothing uses, to NaN."""
    logits = small_run.linear(images, num_classes, training=training)
    name = "spare" if spare else "logits/kernel"
    if spare:
        small_run.tf.get_variable("spare", initializer=small_run.tf.zeros([2]))
    if not training:
        (weights,) = (v for v in small_run.tf.trainable_variables() if v.op.name == name)
        weights.assign(weights * float("nan"), name="break")
    return logits


def test_the_last_good_checkpoint_is_kept(tmp_path: Path) -> None:
    with small_run.make(
        tmp_path / "save", breakable, hooks=[Break(5)], checkpoint_steps=2, eval_steps=100
    ) as train:
        with pytest.raises(NonFiniteError, match=r"step 6; last good checkpoint in .*: step 4"):
            train.train()
        assert train.restore() == 4
        assert train.evaluate()["n"] == small_run.NUM_TEST
    names = {path.name for path in (tmp_path / "save").glob("model.ckpt-*.index")}
    assert names == {"model.ckpt-2.index", "model.ckpt-4.index"}


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    options = {"model_options": {"spare": True}, "hooks": [Break(5)], "checkpoint_steps": 3}
    with (
        small_run.make(tmp_path / "save", breakable, **options) as train,
        pytest.raises(NonFiniteError, match=r"not finite after step 6; last good .*: step 3"),
    ):
        train.train()
    assert {path.name for path in (tmp_path / "save").glob("*.index")} == {"model.ckpt-3.index"}
