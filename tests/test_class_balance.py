"""Class weights, focal loss and balanced sampling, against formulas, PyTorch's own and counts of files."""

from collections import Counter
from math import exp, log

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from command import TINY, command
from data_helpers import CLASSES, make_mask_folder, make_unequal_folder
from litconv import build
from litconv.config.composed import compose, plain
from litconv.data.image_folder import ImageFolder
from litconv.data.mask_folder import MaskFolder
from litconv.data.shapes import Shapes
from litconv.errors import ConfigError
from litconv.run.naming import config_hash
from litconv.tasks import losses
from small_tasks import IGNORE, classification, labelled, segmentation

AS_THEY_ARE = {"crop_padding": 0, "flip": False, "mean": (0.0,) * 3, "std": (1.0,) * 3}
HAVE = {"cat": 24, "dog": 12, "emu": 4}  # images of train


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    return make_unequal_folder(tmp_path_factory.mktemp("unequal"), HAVE)


def logits_of(n: int, classes: int = 3) -> torch.Tensor:
    return torch.randn(n, classes, generator=torch.Generator().manual_seed(1)) * 2


# -- losses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_weighted_loss_is_pytorchs_own_weighted_mean(label_smoothing):
    logits, (_, y), weights = logits_of(10), labelled(10), [0.5, 2.0, 3.5]
    task = classification(class_weights=weights, label_smoothing=label_smoothing)
    expected = F.cross_entropy(logits, y, torch.tensor(weights), label_smoothing=label_smoothing)
    assert task.loss(logits, y) == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 3.5]])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_equals_its_formula_in_a_loop(gamma, weights):
    logits, (_, y) = logits_of(7), labelled(7)
    total = share = 0.0
    for row, label in zip(logits.double().tolist(), y.tolist(), strict=True):
        p = exp(row[label]) / sum(map(exp, row))
        alpha = 1.0 if weights is None else weights[label]
        total += -alpha * (1 - p) ** gamma * log(p)
        share += alpha
    task = classification(focal=gamma, class_weights=weights)
    assert task.loss(logits, y).item() == pytest.approx(total / share, rel=1e-5)


def test_focal_loss_has_finite_gradients_where_the_network_is_certain():
    logits = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    classification(focal=0.5).loss(logits, torch.tensor([0, 0])).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[1].any()


@pytest.mark.parametrize("options", [{"focal": 2.0}, {"class_weights": [0.2, 1.0, 3.0]}, {"focal": 0.5}])
def test_the_loss_of_guessing_is_that_of_equal_logits(options):
    task = classification(**options)
    assert task.loss(torch.zeros(6, 3), torch.arange(6) % 3).item() == pytest.approx(task.guessing_loss(), rel=1e-6)


def test_weighted_segmentation_loss_is_pytorchs_own_and_leaves_ignored_pixels_out():
    generator = torch.Generator().manual_seed(2)
    logits, y = torch.randn(2, 4, 5, 6, generator=generator), torch.randint(4, (2, 5, 6), generator=generator)
    y[:, :2] = IGNORE
    weights = [0.1, 1.0, 2.0, 4.0]
    task = segmentation(class_weights=weights, cross_entropy=0.5)
    expected = 0.5 * F.cross_entropy(logits, y, torch.tensor(weights), ignore_index=IGNORE)
    assert task.loss(logits, y).item() == pytest.approx(expected.item(), rel=1e-6)
    assert task.loss(logits, torch.full_like(y, IGNORE)).item() == 0


def test_over_several_processes_both_sums_of_the_mean_are_taken_in_training_alone(monkeypatch):
    monkeypatch.setattr(losses, "summed", lambda x: x + 10)
    logits, (_, y), weights = logits_of(9), labelled(9), [0.5, 2.0, 3.5]
    task = classification(class_weights=weights)
    each = F.cross_entropy(logits, y, torch.tensor(weights), reduction="none").sum().item()
    share = sum(weights[label] for label in y.tolist())
    assert task.train().loss(logits, y).item() == pytest.approx((each + 10) / (share + 10), rel=1e-6)
    assert task.eval().loss(logits, y).item() == pytest.approx(each / share, rel=1e-6)


def test_weights_are_in_no_checkpoint():
    plain_keys = classification().state_dict().keys()
    assert classification(class_weights=[1, 2, 3]).state_dict().keys() == plain_keys


# -- balanced weights --------------------------------------------------------------------------------------------------


def weights_of(data, task: str, **options) -> list[float]:
    data.setup()
    names = {"classification": "data=image_folder", "segmentation": "data=mask_folder"}
    asked = [f"{key}={value}" for key, value in options.items()]
    config = compose([f"task={task}", names[task], "task.class_weights=balanced", *asked])
    return build.task(config, data).weights.tolist()


def test_balanced_weights_are_those_of_the_images_that_are_trained_on(unequal):
    for n_train in (None, 20):
        data = ImageFolder(root=str(unequal), batch_size=4, n_train=n_train)
        found = weights_of(data, "classification")
        counts = HAVE if n_train is None else {"cat": 12, "dog": 6, "emu": 2}
        total = sum(counts.values())
        assert found == pytest.approx([total / (3 * counts[name]) for name in CLASSES])
        assert sum(w * counts[name] for w, name in zip(found, CLASSES, strict=True)) == pytest.approx(total)


@pytest.mark.parametrize("how", [{}, {"memory_limit_mb": 0}, {"image_size": (4, 6)}], ids=str)
def test_balanced_weights_of_masks_count_the_pixels_that_are_not_ignored(tmp_path, how):
    root, size = make_mask_folder(tmp_path, {"train": 5, "val": 2}), how.get("image_size", (8, 12))
    found = weights_of(MaskFolder(root=str(root), batch_size=2, **how), "segmentation")
    pixels = Counter()
    for path in (root / "train" / "masks").iterdir():
        ids = np.asarray(Image.open(path).resize(size[::-1], Image.Resampling.NEAREST))
        pixels.update(ids[ids != 5].tolist())
    total = sum(pixels.values())
    assert total < 5 * size[0] * size[1]
    assert found == pytest.approx([total / (3 * pixels[number]) for number in (0, 1, 2)])


# -- balanced sampling -------------------------------------------------------------------------------------------------


def drawn(root, epoch=0, **options):
    """The labels and the images of an epoch, batch by batch."""
    data = ImageFolder(root=str(root), batch_size=10, sampling="balanced", **{**AS_THEY_ARE, **options})
    data.setup()
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    batches = list(loader)
    return torch.cat([y for _, y in batches]), torch.cat([x for x, _ in batches])


def test_an_epoch_has_all_classes_in_equal_numbers_and_no_image_before_its_turn(unequal):
    labels, images = drawn(unequal)
    assert sorted(labels.bincount().tolist()) == [13, 13, 14]  # 40 images, as many as there are
    for label, name in enumerate(CLASSES):
        times = sorted(Counter(image.numpy().tobytes() for image in images[labels == label]).values())
        count = int((labels == label).sum())
        assert len(times) == min(count, HAVE[name])
        assert times[-1] - times[0] <= 1
        files = (unequal / "train" / name).iterdir()
        own = {np.asarray(Image.open(path)).transpose(2, 0, 1).astype("f").tobytes() for path in files}
        assert {(image * 255).round().numpy().tobytes() for image in images[labels == label]} <= own


def test_the_order_is_by_seed_and_epoch_alone_and_the_same_where_files_are_read_one_by_one(unequal):
    first, again, stream = drawn(unequal), drawn(unequal), drawn(unequal, memory_limit_mb=0)
    assert all(torch.equal(a, b) for other in (again, stream) for a, b in zip(first, other, strict=True))
    for other in (drawn(unequal, epoch=1), drawn(unequal, seed=1)):
        assert not torch.equal(first[1], other[1])
    assert not torch.equal(first[0], first[0].sort().values)


def test_the_class_that_gets_one_image_more_changes(unequal):
    assert len({tuple(drawn(unequal, epoch=epoch)[0].bincount().tolist()) for epoch in range(12)}) == 3


def test_validation_and_test_are_gone_through_as_ever(unequal):
    data = ImageFolder(root=str(unequal), batch_size=10, sampling="balanced")
    data.setup()
    assert torch.cat([y for _, y in data.test_dataloader()]).tolist() == [0] * 4 + [1] * 4 + [2] * 4


# -- what is refused ---------------------------------------------------------------------------------------------------

REFUSED = {
    "task.monitor=f1": "task.monitor=f1 is never logged; choose one of accuracy, top5, macro_f1, balanced_accuracy, ece, loss",
    "task=segmentation task.monitor=accuracy": "task.monitor=accuracy is never logged; choose one of miou, pixel_accuracy,",
    "task=segmentation task.monitor=iou/sky": "task.monitor=iou/sky is never logged; logged are val/iou/background,",
    "task.class_weights=[1,2]": "task.class_weights has 2 weights, and the set has 10 classes; give one for each of disc, ring,",
    "task.class_weights=[1,0]": "task.class_weights=[1, 0] holds 0; each class needs a weight greater than 0",
    "task.class_weights=[]": "task.class_weights=[] is empty; each class needs a weight",
    "task.class_weights=equal": "task.class_weights=equal must be a list or balanced or null",
    "task=segmentation task.class_weights=[1,a]": "task.class_weights=[1, 'a'] holds a; each class needs a weight greater",
    "task=segmentation task.class_weights=balanced task.cross_entropy=0": "task.class_weights has no effect where",
    "task.focal=-1": "task.focal=-1 must be 0 (off) or the γ > 0 of focal loss, such as 2.0",
    "task.focal=2 task.label_smoothing=0.1": "task.focal=2 and task.label_smoothing=0.1: focal loss is defined for whole",
    "data.sampling=even": "data.sampling=even must be uniform or balanced",
    "task=segmentation data.sampling=balanced": "data.sampling=balanced needs a label for each image, and task=segmentation",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_cannot_be_is_one_line_with_the_remedy(arguments, tmp_path, capsys):
    assert command(*TINY, f"output_dir={tmp_path}", "logger=csv", *arguments.split()) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert said[0].startswith(f"error: {REFUSED[arguments]}")


def test_a_class_without_an_image_is_named_where_classes_are_to_be_balanced():
    options = {"n_train": 8, "n_val": 10, "n_test": 10, "batch_size": 4}  # shapes take turns, and there are ten
    with pytest.raises(ConfigError, match=r"data\.sampling=balanced: train has no image of triangle, star; add some"):
        Shapes(sampling="balanced", **options).setup()
    data = Shapes(**options)
    data.setup()
    with pytest.raises(
        ConfigError, match=r"class_weights=balanced: train shows nothing of triangle, star, whose weight"
    ):
        build.task(compose(["task.class_weights=balanced"]), data)


def test_a_class_without_a_pixel_is_named_where_weights_are_to_be_balanced(tmp_path):
    root = make_mask_folder(tmp_path, {"train": 3, "val": 2}, ids=(0, 1, 5))
    with pytest.raises(ConfigError, match="class_weights=balanced: train shows nothing of car, whose weight would be"):
        weights_of(MaskFolder(root=str(root), batch_size=2), "segmentation")


# -- hashes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_where_the_keys_are_off_the_hash_is_that_of_before_there_were_such_keys(task):
    now = plain(compose([f"task={task}"]))
    new = {"data": ("sampling",), "task": ("monitor", "class_weights", "focal")}
    before = {k: {o: v for o, v in node.items() if o not in new[k]} if k in new else node for k, node in now.items()}
    assert before != now
    assert config_hash(before) == config_hash(now)
    asked = ["data.sampling=balanced", "task.monitor=loss", "task.class_weights=balanced", "task.class_weights=[1,2]"]
    asked += ["task.focal=2"] if task == "classification" else []
    assert (
        len({config_hash(plain(compose([f"task={task}", one]))) for one in asked} | {config_hash(now)})
        == len(asked) + 1
    )
