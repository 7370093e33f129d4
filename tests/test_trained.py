"""litconv.load: a finished run as a thing one uses, its data gone; every new image goes the way of the test split's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import litconv
from data_helpers import make_cifar, make_fashion, make_image_folder, make_mask_folder, noise
from litconv.data.image_folder import ImageFolder
from litconv.data.mask_folder import MaskFolder
from litconv.data.torchvision_sets import CIFAR10, FashionMNIST
from litconv.errors import ConfigError, DataError
from litconv.run.card import Card
from litconv.trained.prediction import UNSAID
from litconv.trained.preparing import Preparing
from trained_runs import labels_gone, make_odd_photos, masks_gone
from untrained_runs import untrained_run


def deep_folder(root: Path) -> Path:
    for split in ("train", "val", "test"):
        for label, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for number in range(3):
                pixels = np.random.default_rng(10 * label + number).integers(
                    0, 65536, (20 + number, 24), dtype=np.uint16
                )
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


# -- the preprocessing is that of the test split -----------------------------------------------------------------------


def seen_by_the_test_loop(data):
    return torch.cat([x for x, _ in data.test_dataloader()])


def seen_as_new_images(data, files):
    """By what card.json says alone."""
    preparing = Preparing(Card.of("classification", data))
    return torch.cat([preparing.normalised(preparing.pixels(preparing.image(file))[None]) for file in files])


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 32},
        {"image_size": (24, 48), "fit": "crop"},
        {"image_size": (48, 24), "fit": "letterbox"},
        {},
        {"image_size": 32, "in_channels": 1},
        {"image_size": 32, "memory_limit_mb": 0},
    ],
    ids=str,
)
def test_files_of_every_form_become_what_the_test_loop_sees(tmp_path, options):
    data = ImageFolder(root=str(make_odd_photos(tmp_path)), batch_size=4, **options)
    data.setup()
    files = data.load()["test"].images
    assert torch.equal(seen_as_new_images(data, files), seen_by_the_test_loop(data))


def test_images_of_sixteen_bits_do_so_too(tmp_path):
    data = ImageFolder(root=str(deep_folder(tmp_path)), batch_size=2, in_channels=1, image_size=16)
    data.setup()
    assert Card.of("classification", data).bits == 16
    assert torch.equal(seen_as_new_images(data, data.load()["test"].images), seen_by_the_test_loop(data))


@pytest.mark.parametrize(("kind", "size"), [(CIFAR10, 32), (CIFAR10, 20), (CIFAR10, 44), (FashionMNIST, 20)])
def test_files_of_a_set_in_arrays_do_so_too(tmp_path, kind, size, monkeypatch):
    if kind is CIFAR10:
        known, *_ = make_cifar(tmp_path, hundred=False)
        for name, value in known.items():
            monkeypatch.setattr(CIFAR10.source, name, value)
        raw = CIFAR10.source(str(tmp_path), train=False).data
    else:
        make_fashion(tmp_path)
        raw = FashionMNIST.source(str(tmp_path), train=False).data.numpy()
    data = kind(root=str(tmp_path), image_size=size)
    data.setup()
    for number, pixels in enumerate(raw):
        Image.fromarray(pixels).save(tmp_path / f"{number:03}.png")
    made = seen_as_new_images(data, sorted(tmp_path.glob("*.png")))
    assert torch.equal(made, seen_by_the_test_loop(data))


def test_a_picture_in_memory_is_read_as_its_file_is(tmp_path):
    data = ImageFolder(root=str(make_odd_photos(tmp_path)), image_size=32)
    data.setup()
    preparing = Preparing(Card.of("classification", data))
    for file in data.load()["test"].images:
        assert np.array_equal(preparing.image(Image.open(file)), preparing.image(file))
    pixels = noise(1, 40, 50)
    assert np.array_equal(preparing.image(pixels), pixels)


# -- the card ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos_run(tmp_path_factory):
    return labels_gone(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def masks_run(tmp_path_factory):
    return masks_gone(tmp_path_factory.mktemp("masks"))


def test_a_run_writes_its_card(photos_run, masks_run):
    card = json.loads((photos_run[0] / "card.json").read_text())
    assert card["class_names"] == ["cat", "dog", "emu"]
    assert (card["task"], card["num_classes"], card["in_channels"]) == ("classification", 3, 3)
    assert (card["image_size"], card["fit"], card["mean"]) == ([32, 32], "letterbox", [0.485, 0.456, 0.406])
    card = Card.read(masks_run[0])
    assert (card.task, card.class_names, card.ignore_index) == ("segmentation", ("sky", "road", "car"), 5)
    assert card.image_size == (32, 48)


def test_predictions_without_the_data_are_those_of_the_test_loop(photos_run):
    run, logits, new = photos_run
    trained = litconv.load(run)
    predicted = trained.predict(new)
    probabilities = torch.from_numpy(np.stack([one.probabilities for one in predicted]))
    torch.testing.assert_close(probabilities, logits.softmax(1), atol=1e-5, rtol=0)
    assert [one.label for one in predicted] == [trained.card.class_names[i] for i in logits.argmax(1).tolist()]
    assert [Path(one.file).parent.name for one in predicted] == ["cat"] * 7 + ["dog"] * 7 + ["emu"] * 7
    one = predicted[0]
    assert one.top(2)[0] == (one.label, one.probability)
    assert sum(probability for _, probability in one.top(3)) == pytest.approx(1, abs=1e-5)


def test_masks_without_the_data_are_those_of_the_test_loop(masks_run):
    run, logits, new = masks_run
    trained = litconv.load(run)
    for file, of_loop, one in zip(sorted(new.iterdir()), logits, trained.predict(new), strict=True):
        torch.testing.assert_close(trained.logits(trained.preprocess(file))[0], of_loop, atol=1e-5, rtol=0)
        assert np.array_equal(one.mask, of_loop.argmax(0))
        assert sum(one.shares().values()) == pytest.approx(1)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_the_batch_size_changes_nothing(photos_run, batch_size):
    run, logits, new = photos_run
    said = litconv.load(run).predict(new, batch_size=batch_size)
    made = torch.from_numpy(np.stack([one.probabilities for one in said]))
    torch.testing.assert_close(made, logits.softmax(1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("fit", "unsaid"), [("stretch", 0), ("letterbox", 0), ("crop", 1 - 32 / 64 * 48 / 48)], ids=lambda value: str(value)
)
def test_a_mask_lies_over_the_photo_that_it_is_of(masks_run, fit, unsaid):
    """A network that says of each pixel whether it is bright, on a photo whose left half is."""
    from dataclasses import replace

    class Bright(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            level = x.mean(1, keepdim=True) * self.weight
            return torch.cat([-level, level, level - 100], 1)

    trained = litconv.load(masks_run[0])
    trained.card = replace(trained.card, fit=fit, image_size=(32, 32), mean=(0.5,) * 3, std=(0.25,) * 3)
    trained.model = Bright()
    photo = np.zeros((48, 96, 3), np.uint8)
    photo[:, :48] = 255
    (one,) = trained.predict(photo)
    assert one.mask.shape == (48, 96)
    said = one.mask != UNSAID
    assert np.mean(~said) == pytest.approx(unsaid)
    assert np.mean((one.mask == photo[..., 0] // 255)[said]) > 0.97
    assert said[:, 40:56].all()


# -- which run ---------------------------------------------------------------------------------------------------------


def test_a_run_is_named_by_folder_path_name_or_checkpoint(photos_run, monkeypatch):
    run, _, new = photos_run
    file = sorted(new.rglob("*.*"))[0]
    monkeypatch.chdir(run.parents[2])
    best = run / "checkpoints" / "best.ckpt"
    said = [litconv.load(one).predict(file)[0].probability for one in (run, str(run), run.name, best, f"{best}")]
    assert said == said[:1] * 5
    assert litconv.load(run, checkpoint="last.ckpt").checkpoint.name == "last.ckpt"
    assert litconv.load(run / "checkpoints" / "last.ckpt").checkpoint.name == "last.ckpt"


def test_a_name_of_several_runs_is_refused_with_all_of_them(photos_run, tmp_path, monkeypatch):
    name = photos_run[0].name
    for sweep in ("a", "b"):
        shutil.copytree(photos_run[0], tmp_path / "outputs" / "sweeps" / sweep / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigError, match=f"is the name of 2 runs: outputs/sweeps/a/{name}, outputs/sweeps/b/{name}; give one"
    ):
        litconv.load(name)


def test_what_cannot_be_loaded_is_one_line(photos_run, tmp_path):
    with pytest.raises(ConfigError, match="is not a run's folder"):
        litconv.load(tmp_path)
    loose = shutil.copy(photos_run[0] / "checkpoints" / "best.ckpt", tmp_path)
    with pytest.raises(ConfigError, match=r"lies in no run's folder, whose config\.yaml says which network"):
        litconv.load(loose)
    run = shutil.copytree(photos_run[0], tmp_path / "run")
    (run / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(ConfigError, match=r"checkpoint=best\.ckpt is not in .*; there: last"):
        litconv.load(run)
    (run / "card.json").write_text('{"format": 1, "task": "classification"}')
    with pytest.raises(ConfigError, match=r"card.json cannot be read \(it lacks 'class_names'\); remove it"):
        litconv.load(run, checkpoint="last")
    (run / "card.json").write_text('{"format": 2}')
    with pytest.raises(ConfigError, match="is of format 2, and this litconv reads 1; update"):
        litconv.load(run, checkpoint="last")


@pytest.mark.parametrize(
    ("key", "value"),
    [("task", "regression"), ("std", [0, 1, 1]), ("image_size", [32]), ("class_names", ["one"]), ("in_channels", 4)],
)
def test_a_card_that_says_what_cannot_be_is_one_line(photos_run, tmp_path, key, value):
    facts = json.loads((photos_run[0] / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(facts | {key: value}))
    with pytest.raises(ConfigError, match=r"card.json cannot be read \(its "):
        Card.read(tmp_path)


def test_an_older_run_gets_its_card_from_its_data_where_they_are_and_keeps_it(tmp_path):
    data = make_image_folder(tmp_path / "data", {"train": 4, "val": 2, "test": 2}, size=(32, 32))
    run = untrained_run(tmp_path, "data=image_folder", f"data.root={data}", "data.batch_size=4", shapes=False)
    data.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"has no card.json, which .* cannot be read: .*data.root=.* is not a folder"):
        litconv.load(run)
    assert litconv.load(run, data_root=tmp_path / "moved").card.class_names == ("cat", "dog", "emu")
    shutil.rmtree(tmp_path / "moved")
    assert litconv.load(run).card.class_names == ("cat", "dog", "emu")


def test_classes_of_ones_own_in_a_run_that_somebody_else_made_are_named(tmp_path, monkeypatch):
    (tmp_path / "own_op.py").write_text("from litconv.conv import Standard\nclass Op(Standard): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    run = untrained_run(tmp_path, "conv._target_=own_op.Op", "allowed_packages=[own_op]")
    with pytest.raises(ConfigError, match=r"conv._target_=own_op.Op may not be built"):
        litconv.load(run)
    assert any(type(m).__name__ == "Op" for m in litconv.load(run, allowed_packages=["own_op"]).model.modules())
    sys.modules.pop("own_op", None)


def test_loading_draws_nothing_and_needs_no_pretrained_weights(photos_run):
    torch.manual_seed(0)
    litconv.load(photos_run[0])
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(1))


def test_litconv_itself_imports_no_torch_until_a_run_is_loaded():
    code = "import sys, litconv; assert 'load' in litconv.__all__; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# -- which images ------------------------------------------------------------------------------------------------------


def test_images_are_files_folders_globs_pictures_or_lists(photos_run):
    run, _, new = photos_run
    trained = litconv.load(run)
    everything = [one.file for one in trained.predict(new)]
    assert everything == sorted(everything)
    assert [one.file for one in trained.predict(str(new / "**" / "*.*"))] == everything
    assert [one.file for one in trained.predict(new / "*" / "turned.jpg")] == [f for f in everything if "turned" in f]
    assert [one.file for one in trained.predict([new / "cat", everything[-1]])] == [*everything[:7], everything[-1]]
    assert trained.predict(Image.open(everything[0]))[0].probability == trained.predict(everything[0])[0].probability


def test_images_that_are_not_there_are_one_line(photos_run, tmp_path):
    trained = litconv.load(photos_run[0])
    for images, said in (
        (tmp_path / "none.jpg", "none.jpg is no file and no folder"),
        (str(tmp_path / "*.jpg"), "matches no file"),
        (tmp_path, "holds no image that can be read"),
        ([], "names no image"),
        ("https://example.org/a.jpg", "is a URL"),
    ):
        with pytest.raises(ConfigError, match=said):
            trained.predict(images)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken.jpg cannot be read as an image"):
        trained.predict(tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((40, 50, 3)),
        np.zeros((3, 40, 50), np.uint8),
        np.zeros((2, 40, 50, 3), np.uint8),
        np.zeros((0, 50, 3), np.uint8),
        np.zeros((40, 50, 3), np.uint16),
        np.zeros(5, np.uint8),
    ],
)
def test_an_array_that_is_no_image_is_one_line(photos_run, array):
    with pytest.raises(DataError, match=r"is no image; give uint8 \(height, width, 3\)"):
        litconv.load(photos_run[0]).predict(array)


@pytest.mark.parametrize("images", [None, 7, torch.zeros(2, 3, 24, 24), [None]])
def test_what_is_no_image_at_all_is_one_line(photos_run, images):
    with pytest.raises(ConfigError, match=r"cannot be read; give a file, a folder"):
        litconv.load(photos_run[0]).predict(images)


def test_colours_of_masks_are_those_of_classes_txt(tmp_path):
    data = make_mask_folder(tmp_path, {"train": 2, "val": 2}, ids=(0,))
    (data / "classes.txt").write_text("sky 70 130 180\nvoid 0 0 0 (ignore)\nroad 128 64 128\n")
    for mask in data.rglob("masks/*.png"):
        Image.fromarray(np.full((8, 12, 3), (70, 130, 180), np.uint8)).save(mask)
    made = MaskFolder(root=str(data))
    made.setup()
    assert Card.of("segmentation", made).class_colours == ((70, 130, 180), (128, 64, 128))
