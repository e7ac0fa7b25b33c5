"""Compares the files of a data set with the official ones."""

import itertools
from pathlib import Path

from cnnlab.base.errors import DataError
from cnnlab.data.files import layouts
from cnnlab.data.specs import MADE_FROM, OFFICIAL_FILES, dataset_spec


def files_present(name: str, root: Path, *, verify: bool) -> list[Path]:
    """Return the files of a data set if it is complete in any layout, else an empty list.

    verify: whether the files must be the official ones.
    """
    try:
        if verify and any(state != "ok" for _, state in verify_dataset(name, root)):
            return []
        return list(dict.fromkeys(part.path for part in layouts.find_parts(name, root)))
    except DataError:  # incomplete: a fetch adds the missing files
        return []


def verify_dataset(name: str, data_dir: str | Path) -> list[tuple[str, str]]:
    """Compare every file of a data set in `data_dir`, in any layout, with the official data.

    Returns:
        (file, "ok") or (file, error message) for each file; empty if there are no files.

    Raises:
        UsageError: unknown data set.
        DataError: some files are missing.
    """
    name = MADE_FROM.get(name, name)
    if dataset_spec(name).name not in OFFICIAL_FILES:
        return []
    results = []
    parts = layouts.find_parts(name, data_dir)
    for _, group in itertools.groupby(parts, lambda part: part.path):  # read an archive only once
        unread = list(group)
        try:
            for part, data in layouts.read_parts(tuple(unread)):
                unread.remove(part)
                try:
                    layouts.parse_part(name, part, data, verify=True)
                    results.append((str(part), "ok"))
                except DataError as error:
                    results.append((str(part), str(error)))
        except DataError as error:
            results.extend((str(part), str(error)) for part in unread)
    return results
