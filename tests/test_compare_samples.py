"""Sample predictions of a comparison: which images are chosen, and what is shown of them."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.segmentation import mean_iou

from data_helpers import make_mask_folder
from litconv.compare import Question, analyse, load
from litconv.compare.predictions import networks as networks_module
from litconv.compare.predictions.pictures import mask
from litconv.compare.predictions.rebuild import data_of, task_of
from litconv.compare.predictions.samples import sample_predictions
from litconv.compare.predictions.telling import BEST, DISAGREE, WORST, Scan, choose, image_miou, share_that_differs
from litconv.compare.report import write_report
from made_runs import make_run
from untrained_runs import untrained_run

ARMS = ("standard", "grouped", "dilated")


@pytest.fixture(scope="module", params=["classification", "segmentation"])
def made(request, tmp_path_factory):
    """(result, its runs' folders by arm, their task)"""
    root = tmp_path_factory.mktemp("samples")
    folders = {conv: untrained_run(root, f"conv={conv}", f"task={request.param}") for conv in ARMS}
    return analyse(load(root / "sweeps"), "made"), folders, request.param


def outputs(folders):
    """By Lightning's own modules, all images at once: (images, truth, logits of each arm)."""
    data = data_of(folders["standard"], [])
    x, y = (torch.cat(parts) for parts in zip(*data.test_dataloader(), strict=True))
    with torch.no_grad():
        logits = {n: task_of(f / "checkpoints" / "best.ckpt", data, [])(x) for n, f in folders.items()}
    return data, x, y, logits


def test_what_is_shown_of_an_image_is_what_each_networks_checkpoint_makes_of_it(made):
    result, folders, task = made
    shown, notes = sample_predictions(result, 4)
    assert notes == []
    assert len({row.place for row in shown.rows}) == 4
    data, _, y, logits = outputs(folders)
    for row in shown.rows:
        for name, cell in zip(shown.arms, row.cells, strict=True):
            said = logits[name][row.place]
            if task == "classification":
                top = int(said.argmax())
                assert cell.text == f"{data.class_names[top]} {said.softmax(0)[top]:.2f}"
                assert cell.right == (top == int(y[row.place]))
                assert row.truth.text == data.class_names[int(y[row.place])]
            else:
                drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(cell.mask.partition(",")[2]))))
                assert np.array_equal(drawn[..., 3] == 0, said.argmax(0).numpy() == 0)  # the background


def test_the_first_image_is_that_on_which_the_arms_disagree_most_and_the_last_the_best_of_the_others(made):
    result, folders, task = made
    shown, _ = sample_predictions(result, 4)
    _, _, y, logits = outputs(folders)
    if task == "classification":
        truth = torch.stack([one.softmax(1)[range(len(y)), y] for one in logits.values()])
        apart, mean = truth.amax(0) - truth.amin(0), truth.mean(0)
    else:
        classes = torch.stack([one.argmax(1) for one in logits.values()])
        apart = (classes != classes[0]).any(0).float().mean((1, 2))
        mean = torch.tensor([[image_miou(c[None].numpy(), t[None].numpy(), 11, -100)[0] for c, t in zip(one, y, strict=True)]
                             for one in classes]).mean(0)  # fmt: skip
    places = [row.place for row in shown.rows]
    assert [row.why.partition(":")[0].partition(" in ")[0] for row in shown.rows] == [DISAGREE, DISAGREE, WORST, BEST]
    assert places[0] == int(apart.argmax())
    others = [i for i in range(len(y)) if i not in places[:2]]
    assert places[2] == min(others, key=lambda i: mean[i])
    assert places[3] == max(others, key=lambda i: mean[i])
    assert "all 32 images of the test split" in shown.caption


def test_a_scan_that_was_cut_short_says_how_far_it_came(made, monkeypatch):
    monkeypatch.setattr(networks_module, "SECONDS", -1.0)
    shown, _ = sample_predictions(made[0], 2)
    assert "Chosen among 16 of 32 images of the test split, spread over it" in shown.caption
    assert max(row.place for row in shown.rows) < 16


def test_the_batches_lie_at_equal_distances_over_the_set(made, monkeypatch):
    monkeypatch.setattr(networks_module, "SCANNED", 4)
    monkeypatch.setattr(networks_module, "BATCH", 2)
    built, _ = networks_module.networks(made[0].arms, 0, [])
    seen = networks_module.scan(built)
    assert seen.numbers == [0, 1, 16, 17]  # of 32
    (batch,) = networks_module.batches(built, [17])
    assert batch.numbers == [17]
    place = seen.numbers.index(17)
    if made[2] == "classification":
        assert batch.said[0, 0, batch.truth[0]] == pytest.approx(seen.scores[0, place])


def test_no_samples_are_wanted_and_nothing_is_built(made, monkeypatch):
    monkeypatch.setattr(networks_module, "data_of", None)
    assert sample_predictions(made[0], 0) == (None, [])


def test_arms_without_a_checkpoint_are_named_and_the_others_are_shown(made):
    result, folders, _ = made
    path = folders["grouped"] / "checkpoints" / "best.ckpt"
    kept = path.read_bytes()
    path.write_bytes(b"torn")
    shown, notes = sample_predictions(result, 2)
    path.unlink()
    _, without = sample_predictions(result, 2)
    path.write_bytes(kept)
    assert sorted(shown.arms) == ["dilated", "standard"]
    assert notes[0].startswith("no sample predictions of grouped: ")
    assert without == ["no sample predictions of grouped: seed 0 has no best.ckpt"]


def test_runs_without_checkpoints_have_a_page_without_samples(tmp_path):
    make_run(tmp_path)
    shown, notes = sample_predictions(analyse(load(tmp_path), "made"), 4)
    assert shown is None
    assert notes == ["no sample predictions: no run has its checkpoints/best.ckpt"]


def test_grey_images_and_images_of_unlike_sizes_are_shown(tmp_path):
    """Two arms that were trained on one set at two sizes: each network sees its own, the masks are shown at the first's."""
    root = make_mask_folder(tmp_path / "set", {"train": 17, "val": 4, "test": 5}, size=(20, 30))
    of_set = ("task=segmentation", "data=mask_folder", f"data.root={root}", "data.in_channels=1", "data.batch_size=4")
    for size in ("[20,30]", "[40,30]"):
        untrained_run(tmp_path, f"data.image_size={size}", *of_set, shapes=False)
    result = analyse(load(tmp_path / "sweeps"), "made", Question(mix=True))
    shown, notes = sample_predictions(result, 3)
    assert notes == []
    assert len(shown.arms) == 2
    for row in shown.rows:
        pictures = [row.image, row.truth.mask, *(cell.mask for cell in row.cells)]
        opened = [Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) for uri in pictures]
        assert {picture.size for picture in opened} == {row.size}
        assert row.size in ((30, 20), (30, 40))
        grey = np.asarray(opened[0])
        assert (grey[..., 0] == grey[..., 2]).all()


def test_no_image_is_chosen_twice_and_a_single_arm_has_its_best_and_worst():
    scores = np.array([[0.9, 0.1, 0.5, 0.6], [0.9, 0.2, 0.5, 0.1]])
    scan = Scan(list(range(scores.shape[1])), scores, np.ptp(scores, 0))
    assert choose(scan, 4) == [(3, DISAGREE), (1, DISAGREE), (2, WORST), (0, BEST)]
    assert choose(scan, 1) == [(3, DISAGREE)]
    assert len(choose(scan, 50)) == 4
    assert choose(Scan([0, 1, 2, 3], scores[:1], np.zeros(4)), 2) == [(1, WORST), (0, BEST)]
    same = Scan([0, 1, 2], np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5]]), np.zeros(3))
    assert choose(same, 2) == [(1, WORST), (2, WORST)]  # arms that agree on every image


def test_the_miou_of_an_image_is_torchmetrics_and_leaves_out_what_is_ignored():
    made_up = np.random.default_rng(0)
    predicted, truth = made_up.integers(0, 4, (2, 5, 6, 7))
    expected = mean_iou(torch.tensor(predicted), torch.tensor(truth), 4, input_format="index", per_class=False)
    assert image_miou(predicted, truth, 4, -100) == pytest.approx(expected.numpy())
    truth[:, 0] = 255
    predicted[:, 0] = 3 - predicted[:, 0]
    assert image_miou(predicted, truth, 4, 255) == pytest.approx(image_miou(predicted[:, 1:], truth[:, 1:], 4, 255))


def test_pixels_that_are_ignored_are_no_disagreement():
    said = np.zeros((3, 1, 2, 2), int)
    said[1, 0, 0, 0] = said[2, 0, 1, 1] = 1
    truth = np.zeros((1, 2, 2), int)
    assert share_that_differs(said, truth, 255) == pytest.approx([0.5])
    truth[0, 0, 0] = 255
    assert share_that_differs(said, truth, 255) == pytest.approx([1 / 3])


def test_a_mask_lets_the_image_through_where_there_is_background_and_is_white_where_it_is_ignored():
    palette = np.array([[1, 2, 3], [200, 0, 0]], np.uint8)
    uri = mask(np.array([[0, 1, 255]]), palette, 255, 0)
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
    assert drawn[0, :, 3].tolist() == [0, 255, 255]
    assert drawn[0, 1:, :3].tolist() == [[200, 0, 0], [255, 255, 255]]


def test_a_page_says_right_and_wrong_in_words(made, tmp_path):
    result, _, task = made
    write_report(result, result.runs, tmp_path, ["compare"], samples=4)
    page = (tmp_path / "index.html").read_text()
    assert page.count("data-why=") == 4
    if task == "classification":
        assert page.count("✓ right") + page.count("✗ wrong") == 4 * len(ARMS)
    else:
        assert page.count('<img src="data:image/png;base64,') == 4 * (1 + len(ARMS))
