"""Listing folders and tables of pictures."""

import os
from pathlib import Path

import pytest

from cnnlab.base.errors import DataError
from cnnlab.data.folders.class_folders import list_folder
from cnnlab.data.folders.csv_list import list_csv
from cnnlab.data.folders.dividing import divide
from cnnlab.data.folders.found import labels_of
from tests.data.folders.pictures import write, write_folder


def splits(root: str) -> dict[tuple[str | None, str], int]:
    found: dict[tuple[str | None, str], int] = {}
    for one in list_folder(root).found:
        found[one.split, one.label] = found.get((one.split, one.label), 0) + 1
    return found


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_folders_for_splits(val: str) -> None:
    write_folder("p", {"train/a": 3, "train/b": 2, f"{val}/a": 1, "test/b": 2})
    assert splits("p") == {
        ("train", "a"): 3,
        ("train", "b"): 2,
        ("validation", "a"): 1,
        ("test", "b"): 2,
    }
    assert "test/b/0.jpg" in {one.name for one in list_folder("p").found}


def test_one_level_and_train_alone() -> None:
    write_folder("p", {"a": 3, "b/deep/er": 2})
    assert splits("p") == {(None, "a"): 3, (None, "b"): 2}
    write_folder("q", {"train/a": 3, "train/b": 2})
    assert splits("q") == {(None, "a"): 3, (None, "b"): 2}


def test_hidden_and_other_files_are_left_out_and_counted() -> None:
    write_folder("p", {"a": 1, "b": 1, "b/.ipynb_checkpoints": 1, ".git/x": 1})
    write("p/a/._0.jpg")
    Path("p/a/Thumbs.db").write_bytes(b"x")
    Path("p/.DS_Store").write_bytes(b"x")
    Path("p/a/notes.txt").write_text("hello")
    Path("p/readme.md").write_text("hello")
    write("p/a/x.png").rename("p/a/without_ending")
    listing = list_folder("p")
    assert [one.name for one in listing.found] == ["a/0.jpg", "a/without_ending", "b/0.jpg"]
    assert sorted(listing.hidden) == [
        "p/.DS_Store",
        "p/.git",
        "p/a/._0.jpg",
        "p/a/Thumbs.db",
        "p/b/.ipynb_checkpoints",
    ]
    assert listing.others == ["p/readme.md", "p/a/notes.txt"]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 2}, "only the class a"),
        ({"train/a": 2, "train/b": 1, "val/c": 1}, "validation has the class c, which train has"),
        ({"Cat": 1, "cat": 1}, "Cat and cat, which differ in case only"),
        ({"train/a": 1, "train/b": 1, "extra/a": 1}, "extra/, which is no split"),
        ({"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1}, "both for validation"),
        ({"test/a": 1, "test/b": 1, "val/a": 1}, "no train/"),
    ],
)
def test_folders_that_are_refused(counts: dict[str, int], message: str) -> None:
    write_folder("p", counts)
    with pytest.raises(DataError, match=message):
        list_folder("p")


def test_empty_and_missing_folders_are_refused() -> None:
    with pytest.raises(DataError, match="does not exist"):
        list_folder("p")
    Path("file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        list_folder("file")
    write_folder("p", {"a": 1, "b": 1})
    Path("p/c").mkdir()
    with pytest.raises(DataError, match="the class c has no picture in p/c"):
        list_folder("p")
    Path("q").mkdir()
    write("q/1.png")
    with pytest.raises(DataError, match="q has no folder for a class"):
        list_folder("q")


def test_links() -> None:
    write_folder("p", {"a": 1, "real": 2})
    Path("p/real").rename("elsewhere")
    os.symlink("../elsewhere", "p/b")
    assert splits("p") == {(None, "a"): 1, (None, "b"): 2}
    os.symlink("..", "p/a/up")
    with pytest.raises(DataError, match="a link to a folder above"):
        list_folder("p")


def test_an_unreadable_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder("p", {"a": 1, "b": 1})
    real = os.listdir

    def listdir(folder: str) -> list[str]:  # the superuser may list any folder
        if folder == "p/b":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(DataError, match="the folder p/b cannot be listed: Permission denied"):
        list_folder("p")


def table(text: str) -> str:
    write_folder("t", {"x": 4})
    Path("t/list.csv").write_text(text)
    return "t/list.csv"


def test_a_table() -> None:
    listing = list_csv(
        table("Label,path,split\nb,x/1.png,test\na,x/0.jpg,train\nb,x/2.jpg,Train\n")
    )
    assert [(Path(one.path).name, one.label, one.split) for one in listing.found] == [
        ("0.jpg", "a", "train"),
        ("1.png", "b", "test"),
        ("2.jpg", "b", "train"),
    ]


def test_a_table_without_names_of_columns() -> None:
    listing = list_csv(table('\ufeffx/0.jpg,a\n\n"x/1.png",b\n'))
    assert [(one.name, one.label, one.split) for one in listing.found] == [
        ("x/0.jpg", "a", None),
        ("x/1.png", "b", None),
    ]


def test_a_table_with_several_labels() -> None:
    listing = list_csv(table("path,labels\nx/0.jpg,b; a;\nx/1.png,\nx/2.jpg,a\n"))
    assert listing.has_several
    found = [labels_of(one, has_several=True) for one in listing.found]
    assert found == [["a", "b"], [], ["a"]]


def test_a_table_with_a_column_for_each_head() -> None:
    listing = list_csv(
        table("Split,kind,Path,Colour\ntest,b,x/0.jpg,red\ntrain,a,x/1.png,blue\n,b,x/2.jpg,red\n")
    )
    assert listing.heads == ("kind", "Colour")
    first, second, third = (one.label for one in listing.found)
    assert (first, second, third) == ("kind=b;Colour=red", "kind=a;Colour=blue", first)
    assert listing.class_names() == ["kind=a", "kind=b", "Colour=blue", "Colour=red"]


def test_columns_that_are_chosen_as_heads() -> None:
    text = "id,label,path,labels,colour\n7,a,x/0.jpg,u;v,red\n8,b,x/1.png,,blue\n"
    listing = list_csv(table(text), ["colour", "label"])
    assert listing.heads == ("colour", "label")
    assert [one.label for one in listing.found] == ["colour=red;label=a", "colour=blue;label=b"]
    with pytest.raises(DataError, match="has no column color; did you mean colour"):
        list_csv(table(text), ["color"])
    with pytest.raises(DataError, match="does not begin with a line of the names"):
        list_csv(table("x/0.jpg,a,b\n"), ["a"])


def test_a_table_of_numbers_to_predict() -> None:
    listing = list_csv(
        table("note,Path,VALUE_Age,value_size\nn,x/1.png,7,-2\nm,x/0.jpg,23.5,1e3\n")
    )
    assert (listing.values, listing.heads, listing.targets) == (("Age", "size"), (), "values")
    assert [one.values for one in listing.found] == [(23.5, 1000), (7, -2)]
    assert listing.class_names() == ["Age", "size"]
    assert list_csv(table("path,value\nx/0.jpg,1\nx/1.png,1\n")).values == ("value",)
    text = "path,value_a,b\nx/0.jpg,1,u\nx/1.png,2,v\n"
    assert list_csv(table(text), ["value_a", "b"]).heads == ("value_a", "b")
    divided = divide(list_csv(table(text)).found, 0.5, 0.0, None, has_several=True)
    assert sorted(one.split or "" for one in divided) == ["test", "train"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,value\nx/0.jpg,1\nx/1.png,\n", "line 3 has no value; add it or remove the line"),
        ('path,value\nx/0.jpg,"1,5"\n', "line 2 has the value 1,5, which is no finite number"),
        ("path,value_a\nx/0.jpg,nan\n", "line 2 has the value_a nan, which is no finite number"),
        ("path,value\nx/0.jpg,1e39\n", "line 2 has the value 1e39, which is too large"),
        ("path,value_a,Value_a\nx/0.jpg,1,2\n", "has two columns for the value a; rename one"),
        (
            "path,label,split\nx/0.jpg,1.5,train\nx/1.png,2.5,train\nx/2.jpg,3,val\n",
            "if the labels are numbers to predict, give them in the column value of a table",
        ),
    ],
)
def test_tables_of_numbers_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        list_csv(table(text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,a,b\nx/0.jpg,1,2\nx/1.png,2,\n", "line 3 has no b; a picture needs a class in each"),
        ("path,a,b\nx/0.jpg,1,2\nx/1.png,2\n", "line 3 has no b"),
        ("path,a,b\nx/0.jpg,1,2\nx/1.png,2,2\n", "the column b has only the class 2"),
        ("path,a,b\nx/0.jpg,1,2\nx/1.png,2,2;3\n", "line 3 has the b 2;3, but ; separates labels"),
        (
            "path,breed,split\nx/0.jpg,a,train\n",
            "call breed label, or value if it has numbers to predict, or g",
        ),
        ("path,a b,c\nx/0.jpg,1,2\n", "has the head 'a b'; a name has only letters"),
        ("path,a,A\nx/0.jpg,1,2\n", "has the heads a and A; rename one"),
        (
            "path,a,b,split\nx/0.jpg,1,1,train\nx/1.png,2,2,train\nx/2.jpg,2,3,val\n",
            "validation has the class b=3, which train has not",
        ),
    ],
)
def test_tables_of_heads_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        list_csv(table(text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,labels\nx/0.jpg,\nx/1.png,;\n", "has no label; write them into the column"),
        ("path,labels,label,split\nx/0.jpg,a,b,\n", "has 4 columns and no line with their names"),
        ("path,labels,split\nx/0.jpg,a,train\nx/1.png,a;b,val\n", "validation has the label b"),
        ("path,label\nx/0.jpg,a\nx/9.jpg,b\n", "line 3: there is no file .*x/9.jpg"),
        ("path,label\nx/0.jpg,a\nx/0.jpg,b\n", "names x/0.jpg in the lines 2 and 3"),
        ("path,label,split\nx/0.jpg,a,train\nx/1.png,b,vali\n", "line 3 has the split vali"),
        ("path,label\nx/0.jpg,a\nx/1.png,\n", "line 3 has no label"),
        ("path,label\nx/0.jpg,a\nx/1.png,b,c,d\n", "line 3 has 4 cells, expected 2"),
        ("path,label\n", "names no picture"),
        ("path,label,split\nx/0.jpg,a,train\nx/1.png,b,train\n", "has rows for train only; give"),
        ("x/0.jpg\n", "has 1 columns and no line with their names"),
        ("path,label\nx/0.jpg,a\nx/1.png,A\n", "differ in case only"),
        (
            "path,label,split\nx/0.jpg,a,train\nx/1.png,b,train\nx/2.jpg,c,val\n",
            "validation has the class c",
        ),
    ],
)
def test_tables_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list_csv(table(text))
    with pytest.raises(DataError, match="there is no such file"):
        list_csv("gone.csv")
