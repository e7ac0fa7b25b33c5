"""The recipe of the best trial."""

from pathlib import Path

from cnnlab.config.options import as_dict
from cnnlab.config.recipes import load_recipe
from cnnlab.tune.crew import Plan
from cnnlab.tune.options import TuneOptions
from cnnlab.tune.results import write_recipe
from cnnlab.tune.space import parse_space
from cnnlab.tune.study import Row


def test_newlines_in_names_do_not_end_the_comments(tmp_path: Path) -> None:
    folder = tmp_path / "a\nseed: 7\nb"
    folder.mkdir()
    options = TuneOptions(
        space={"batch_size": [16, 32]}, dataset="shapes", model="mnist_perceptron"
    )
    plan = Plan(
        options=options.run_options(),
        space=parse_space(options.given_space(), ["batch_size"], []),
        total=1,
        metric="accuracy",
        prunes=False,
        folder=folder,
        log_dir=folder / "logs",
        max_secs=None,
    )
    best = Row(0, "complete", {"batch_size": 16}, 0.5, {"test_accuracy": 0.4})
    path = write_recipe(best, plan, study="s\nseed: 8", ended=1)
    recipe = load_recipe(str(path))
    assert (recipe["batch_size"], recipe["seed"]) == (16, as_dict(options)["seed"])
    assert sum(line.startswith("#") for line in path.read_text().splitlines()) == 3
