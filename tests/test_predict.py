"""scripts/predict.py: labels as CSV or JSON, masks as PNG, of new images with the run's data gone."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import litconv
from command import command
from data_helpers import noise
from litconv.data.class_list import read_class_list
from litconv.data.masks import read_mask
from litconv.trained.writing import names_of
from trained_runs import labels_gone, masks_gone


@pytest.fixture(scope="module")
def photos_run(tmp_path_factory):
    return labels_gone(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def masks_run(tmp_path_factory):
    return masks_gone(tmp_path_factory.mktemp("masks"))


def predict(gone, *arguments, images=None):
    return command(f"run={gone.run}", f"images={images or gone.new}", *arguments, module="predict")


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_labels_says_what_the_loaded_run_says(photos_run, tmp_path, capsys):
    out = tmp_path / "predictions.csv"
    assert predict(photos_run, f"out={out}", "top=2", "batch_size=5") == 0
    predicted = litconv.load(photos_run.run).predict(photos_run.new)
    for row, one in zip(rows(out), predicted, strict=True):
        assert list(row) == ["file", "label", "probability", "label_2", "probability_2"]
        (first, share), (second, other) = one.top(2)
        assert (row["file"], row["label"], row["label_2"]) == (one.file, first, second)
        assert float(row["probability"]) == pytest.approx(share, abs=1e-5)
        assert float(row["probability_2"]) == pytest.approx(other, abs=1e-5)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"  {predicted[0].file}  {predicted[0].label} 0.")
    assert said[-2:] == ["  … and 1 more", f"21 images: {out}"]


def test_json_holds_the_run_and_the_same_labels(photos_run, tmp_path):
    out = tmp_path / "of labels" / "a (1).json"
    assert predict(photos_run, f"out={out}", "top=99", images=photos_run.new / "cat") == 0
    written = json.loads(out.read_text())
    assert (written["run"], written["checkpoint"], written["left_out"]) == (str(photos_run.run), "best.ckpt", [])
    for row, one in zip(
        written["predictions"], litconv.load(photos_run.run).predict(photos_run.new / "cat"), strict=True
    ):
        assert (row["file"], row["label"]) == (one.file, one.label)
        assert [entry["label"] for entry in row["top"]] == [label for label, _ in one.top(3)]


def test_images_are_a_file_a_glob_or_a_list_and_names_may_have_signs(photos_run, tmp_path):
    folder = tmp_path / "my photos [new]"
    shutil.copytree(photos_run.new / "cat", folder)
    (folder / "alpha.png").rename(folder / "IMG (1), größer.png")
    out = tmp_path / "p.csv"
    for images, files in (
        (folder / "ink.jpg", ["ink.jpg"]),
        (tmp_path / "my photos*" / "*.jpg", ["000.jpg", "001.jpg", "ink.jpg", "turned.jpg"]),
        (f"[{photos_run.new}/cat/ink.jpg,{photos_run.new}/cat/grey.png]", ["ink.jpg", "grey.png"]),
        (f"'{folder}/IMG (1), größer.png'", ["IMG (1), größer.png"]),
    ):
        assert predict(photos_run, f"out={out}", images=images) == 0
        assert [row["file"].rpartition("/")[2] for row in rows(out)] == files


def test_an_image_that_cannot_be_read_is_named_and_the_others_go_on(photos_run, tmp_path, capsys):
    folder = tmp_path / "new"
    shutil.copytree(photos_run.new / "cat", folder)
    (folder / "broken.jpg").write_bytes(b"no image")
    Image.fromarray(noise(0, 30, 30).astype(np.float32)[..., 0]).save(folder / "floats.tif")
    out = tmp_path / "p.json"
    assert predict(photos_run, f"out={out}", images=folder) == 0
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(
        f"left out: {folder}/broken.jpg cannot be read as an image (cannot identify image file);"
    )
    assert lines[1].startswith(f"left out: {folder}/floats.tif has F pixels")
    assert printed.out.splitlines()[-1] == f"7 images, 2 left out: {out}"
    written = json.loads(out.read_text())
    assert len(written["predictions"]) == 7
    assert [entry["file"].rpartition("/")[2] for entry in written["left_out"]] == ["broken.jpg", "floats.tif"]


def test_where_none_can_be_read_the_status_is_one(photos_run, tmp_path, capsys):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    assert predict(photos_run, images=tmp_path) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: none of 2 images could be read"


def test_masks_are_ids_paintings_and_overlays_as_large_as_the_photos(masks_run, tmp_path):
    folder, out = tmp_path / "photos", tmp_path / "masks"
    shutil.copytree(masks_run.new, folder / "a")
    (folder / "b").mkdir()
    Image.fromarray(noise(7, 70, 90)).save(folder / "b" / "larger.jpg")
    assert predict(masks_run, f"out={out}", "overlay=true", images=folder) == 0
    predicted = litconv.load(masks_run.run).predict(folder)
    names = ["a/000.png", "a/001.png", "a/002.png", "b/larger.png"]
    for name, one in zip(names, predicted, strict=True):
        ids = np.asarray(Image.open(out / "ids" / name))
        assert np.array_equal(ids, one.mask)
        classes = read_class_list(out / "classes.txt", set())  # as data=mask_folder would read them
        assert classes.names == ("sky", "road", "car")
        assert np.array_equal(read_mask(str(out / "painted" / name), classes, classes.table()), ids)
        photo, over = (
            np.asarray(Image.open(path).convert("RGB"), float) for path in (one.file, out / "overlay" / name)
        )
        painted = np.asarray(Image.open(out / "painted" / name), float)
        assert np.abs(over - (photo + painted) / 2).max() <= 1
    assert Image.open(out / "ids" / "b" / "larger.png").size == (90, 70)


def test_masks_of_files_that_differ_in_their_ending_alone_lie_beside_each_other():
    assert names_of(["x/a.jpg", "x/a.png", "x/b/a.png"]) == {
        "x/a.jpg": "a.png",
        "x/a.png": "a.png.png",
        "x/b/a.png": "b/a.png",
    }


def test_without_out_it_is_written_below_outputs(photos_run, masks_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert predict(photos_run) == 0
    assert len(rows(tmp_path / "outputs" / "predictions" / f"{photos_run.run.name}.csv")) == 21
    assert predict(masks_run) == 0
    assert len(list((tmp_path / "outputs" / "predictions" / masks_run.run.name).glob("painted/*.png"))) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("out=labels.txt",), "out=labels.txt must be a file that ends in .csv or .json"),
        (("overlay=true",), "overlay=true has no effect: "),
        (("top=0",), "top=0 must be a whole number, at least 1"),
        (("batch_size=0",), "batch_size=0 must be a whole number, at least 1"),
        (("device=tpu",), "device=tpu"),
        (("checkpoint=other",), "checkpoint=other is not in "),
        (("image=a.jpg",), "image"),
    ],
)
def test_what_cannot_be_is_one_line(photos_run, tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert predict(photos_run, *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1, error
    assert not list(tmp_path.iterdir())


def test_of_masks_neither(masks_run, tmp_path, capsys):
    (tmp_path / "file").touch()
    for argument, said in (
        ("top=3", "top=3 has no effect: "),
        (f"out={tmp_path}/file", "/file is a file; masks are"),
        (f"out={tmp_path}/new.csv", "/new.csv must be a folder: "),
    ):
        assert predict(masks_run, argument) == 1
        assert said in capsys.readouterr().err


def test_run_and_images_are_asked_for(photos_run, capsys):
    assert command(f"run={photos_run.run}", module="predict") == 1
    assert capsys.readouterr().err.startswith("error: images is missing: a file, a folder, a glob or a list")
    assert command("images=a.jpg", module="predict") == 1
    assert capsys.readouterr().err.startswith("error: run is missing: the folder of the run to predict with, such as")


def test_a_place_that_cannot_be_written_names_the_key_that_moves_it(photos_run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "predictions.csv"
    assert predict(photos_run, f"out={out}") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("; choose another place with out=…, or check its permissions")
