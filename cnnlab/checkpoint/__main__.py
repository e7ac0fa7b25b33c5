"""The command `python -m cnnlab.checkpoint list|rename|diff`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cnnlab.base.errors import UsageError, nearest
from cnnlab.base.printing import print_as_is, print_lines
from cnnlab.checkpoint import CheckpointOptions, diff, list_variables, rename
from cnnlab.config import cli
from cnnlab.config.terminal import render_table

ACTIONS: Final = ("list", "rename", "diff")


def main(words: Sequence[str] | None = None) -> None:
    """Run the command `python -m cnnlab.checkpoint`."""
    cli.run(
        _checkpoint_command,
        CheckpointOptions,
        words,
        usage="python -m cnnlab.checkpoint list|rename|diff CHECKPOINT ... [--name=value ...]",
        about="list: show name, type, shape and size of each variable. rename: write a new "
        "checkpoint with other names. diff: say how two checkpoints differ; exits with 1 if they "
        "do. CHECKPOINT is a run directory, the folder best/ in it, the path of a TensorFlow 1 "
        "checkpoint without its ending .index, or an .npz file of cnnlab export.",
        takes_words=True,
    )


def _checkpoint_command(options: CheckpointOptions, words: tuple[str, ...]) -> Any:
    action, paths = (words[0], words[1:]) if words else ("", ())
    if action not in ACTIONS:
        hint = nearest(action, ACTIONS) or f"; one of {', '.join(ACTIONS)}"
        raise UsageError(f"unknown action {action or '(none)'}{hint}")
    _refuse_unused(action, options)
    if action == "list":
        return _list(options, paths)
    return _rename(options, paths) if action == "rename" else _diff(options, paths)


def _refuse_unused(action: str, options: CheckpointOptions) -> None:
    """Raise UsageError if an option has no meaning for the action."""
    given = {"out": options.out, "map": options.map, "tolerance": options.tolerance}
    used = {"list": (), "rename": ("out", "map"), "diff": ("map", "tolerance")}[action]
    for name, value in given.items():
        if value and name not in used:
            raise UsageError(f"--{name} has no meaning for {action}")


def _list(options: CheckpointOptions, paths: tuple[str, ...]) -> list[dict[str, Any]]:
    if not paths:
        raise UsageError("name a checkpoint, as in: cnnlab checkpoint list ./save")
    answers = [list_variables(path) for path in paths]
    for number, answer in enumerate([] if options.json else answers):
        rows = answer["variables"]
        cells = [
            [
                row["name"],
                row["dtype"],
                " x ".join(map(str, row["shape"])) or "scalar",
                f"{row['values']:,}",
                "" if row["bytes"] is None else f"{row['bytes']:,}",
            ]
            for row in rows
        ]
        sums = f"{len(rows)} variables, {answer['values']:,} values, {answer['bytes']:,} bytes"
        print_lines(("\n" if number else "") + f"{answer['checkpoint']}: {sums}")
        columns = ("variable", "type", "shape", "values", "bytes")
        print_as_is(render_table(columns, cells, left_columns=3))
    return answers


def _rename(options: CheckpointOptions, paths: tuple[str, ...]) -> dict[str, Any]:
    if len(paths) != 1 or options.out is None or not options.map:
        raise UsageError(
            "rename takes one checkpoint, a map and a new path, as in: cnnlab checkpoint rename "
            "old/model.ckpt-1000 --map='{weights$: kernel}' --out=new/model.ckpt-1000"
        )
    answer = rename(paths[0], options.out, options.map)
    if not options.json:
        lines = [f"{old} -> {new}" for old, new in answer["renamed"].items()]
        print_lines("\n".join([*lines, f"{answer['out']}: {len(lines)} names changed"]))
    return answer


def _diff(options: CheckpointOptions, paths: tuple[str, ...]) -> dict[str, Any]:
    if len(paths) != 2:
        raise UsageError("diff takes two checkpoints, as in: cnnlab checkpoint diff run1 run2")
    answer = diff(paths[0], paths[1], renaming=options.map, tolerance=options.tolerance)
    lines = _lines_of(answer)
    if not options.json:
        print_lines("\n".join(lines))
    if len(lines) > 1:
        raise cli.Exit(1, answer)
    return answer


def _lines_of(answer: dict[str, Any]) -> list[str]:
    """Return a line for each variable that differs, and one about the equal ones."""
    first, second = answer["first"], answer["second"]
    lines = [f"only in {first}: {name} ({what})" for name, what in answer["only_first"].items()]
    lines += [f"only in {second}: {name} ({what})" for name, what in answer["only_second"].items()]
    lines += [
        f"other type or shape: {name} is {a} in {first}, {b} in {second}"
        for name, (a, b) in answer["other_signature"].items()
    ]
    for row in answer["other_values"]:
        largest = row["max_difference"]
        size = "" if largest is None else f", by at most {largest:.6g}"
        lines.append(
            f"other values: {row['name']}, {row['different']:,} of {row['values']:,} differ{size}"
        )
    return [*lines, f"{answer['same']} variables are the same"]


if __name__ == "__main__":
    main()
