"""Augmentation as recipes have it: beside torchvision's own, the same for every arm, and masks follow."""

import random

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from data_helpers import make_image_folder, make_mask_folder
from litconv import build
from litconv.config.composed import compose
from litconv.data import fused
from litconv.data.augment import Augment
from litconv.data.image_folder import ImageFolder
from litconv.data.mask_folder import MaskFolder
from litconv.data.policies import RandAugment, TrivialAugment
from litconv.errors import ConfigError

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}  # values as in the files


def images(count=6, height=24, width=20):
    return torch.randint(256, (count, 3, height, width), generator=torch.Generator().manual_seed(0)).byte()


# -- rectangles --------------------------------------------------------------------------------------------------------


def test_a_resized_crop_is_what_torchvision_makes_of_the_same_rectangle():
    x = images()
    augment = Augment(crop_size=(16, 12), resized_crop=(0.2, 0.8), **PLAIN)
    draws = augment.draw(len(x), (24, 20), seed=0, epoch=3)
    made, _ = augment.in_several_passes(x, torch.zeros(len(x)), draws)
    for number, image in enumerate(x.float()):
        box = [int(draws[f"crop_{name}"][number]) for name in ("top", "left", "height", "width")]
        expected = F.resized_crop(image, *box, [16, 12], antialias=False)
        # torchvision samples inside the rectangle alone, so that its outermost pixels are others
        assert torch.allclose(made[number][:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=1e-2)


def test_resized_crops_have_the_share_and_the_ratio_that_are_asked_for():
    augment = Augment(crop_size=(64, 64), resized_crop=(0.1, 0.5), crop_ratio=(0.5, 2.0), **PLAIN)
    draws = augment.draw(4000, (64, 64), seed=0, epoch=0)
    height, width = draws["crop_height"].double(), draws["crop_width"].double()
    share = height * width / 64**2
    assert (share.min() > 0.09) & (share.max() < 0.52)
    assert share.mean() == pytest.approx(0.3, abs=0.02)
    assert (width / height).log().mean() == pytest.approx(0, abs=0.03)
    assert ((draws["crop_top"] >= 0) & (draws["crop_top"] + height <= 64)).all()
    assert ((draws["crop_left"] >= 0) & (draws["crop_left"] + width <= 64)).all()


def test_a_rectangle_that_never_fits_is_the_middle_of_the_image():
    augment = Augment(crop_size=(8, 8), resized_crop=(1.0, 1.0), crop_ratio=(1.0, 1.0), **PLAIN)
    draws = augment.draw(3, (10, 40), seed=0, epoch=0)
    assert {name: values.unique().tolist() for name, values in draws.items()} == {
        "crop_top": [0],
        "crop_left": [15],
        "crop_height": [10],
        "crop_width": [10],
    }


def test_as_many_images_are_erased_as_the_probability_says_by_areas_like_torchvisions():
    augment = Augment(crop_size=(64, 64), erasing=0.25, **PLAIN)
    draws = augment.draw(4000, (64, 64), seed=0, epoch=0)
    area = (draws["erase_height"] * draws["erase_width"]).double() / 64**2
    assert (area > 0).double().mean() == pytest.approx(0.25, abs=0.03)
    torch.manual_seed(0)
    theirs = [v2.RandomErasing.make_params(v2.RandomErasing(p=1), [torch.zeros(3, 64, 64)]) for _ in range(1000)]
    assert area[area > 0].mean() == pytest.approx(np.mean([p["h"] * p["w"] for p in theirs]) / 64**2, abs=0.02)
    x, _ = augment(torch.full((4000, 3, 64, 64), 200, dtype=torch.uint8), torch.zeros(4000), draws)
    assert torch.allclose((x[:, 0] == 0).double().mean((1, 2)), area)


@pytest.mark.parametrize(
    "options", [{"vertical_flip": True, "crop_padding": 3}, {"resized_crop": (0.1, 1.0), "flip": True}]
)
def test_one_pass_and_several_make_the_same_bits_and_masks_follow(options):
    x = images()
    ids = (x[:, 0] // 8).contiguous()
    augment = Augment(crop_size=(24, 20), ignore_index=255, **options, **PLAIN)
    draws = augment.draw(len(x), (24, 20), seed=1, epoch=0)
    several = augment.in_several_passes(x, ids, draws)
    if fused.wait():
        one = augment(x, ids, draws)
        assert all(torch.equal(*pair) for pair in zip(one, several, strict=True))
    if "resized_crop" not in options:  # pixels are moved, none is blended
        inside = several[1] != 255
        assert torch.equal(several[0][:, 0][inside].long() // 8, several[1][inside])
        flipped = Augment(crop_size=(24, 20), ignore_index=255, crop_padding=3, **PLAIN)
        draws_of = {name: values for name, values in draws.items() if name != "flip_y"}
        plain = flipped.in_several_passes(x, ids, draws_of)[0]
        assert torch.equal(several[0], torch.where(draws["flip_y"][:, None, None, None], plain.flip(-2), plain))
        assert draws["flip_y"].any()


# -- policies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (RandAugment(2, 9), v2.RandAugment(2, 9)),
        (RandAugment(3, 30), v2.RandAugment(3, 30)),
        (TrivialAugment(), v2.TrivialAugmentWide()),
    ],
)
def test_of_one_seed_a_policy_makes_of_an_image_what_torchvision_makes(mine, theirs):
    image = images(1)[0]
    for seed in range(60):
        torch.manual_seed(seed)
        expected = theirs(image)
        torch.manual_seed(seed)
        assert torch.equal(mine(image)[0], expected), seed


@pytest.mark.parametrize("operation", ["ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"])
def test_a_mask_moves_with_its_image_and_is_left_out_where_nothing_comes_from(operation):
    image = images(1)[0].clamp(min=1)
    strength = {"Rotate": 25.0}.get(operation, 5.0 if operation.startswith("T") else 0.25)
    moved, mask = RandAugment(ignore_index=255).apply(operation, strength, (image, image[0].long()))
    assert (mask == 255).any()
    assert torch.equal(moved[0].long(), mask.masked_fill(moved[0] == 0, 0))
    assert (mask[moved[0] == 0] == 255).all()


def test_colours_leave_a_mask_alone():
    mask = torch.arange(480).view(24, 20)
    assert torch.equal(RandAugment().apply("Posterize", 4, (images(1)[0], mask))[1], mask)


# -- image by image ----------------------------------------------------------------------------------------------------


class Noise:
    """From every generator that a user's own may take."""

    def __call__(self, image, *mask):
        shift = int(torch.randint(50, ())) + random.randrange(50) + int(np.random.randint(50))
        return (image // 2 + shift).byte(), *mask


class Larger:
    def __call__(self, image, *mask):
        return F.resize(image, [9, 9]), *mask


@pytest.fixture
def folder(tmp_path):
    return make_image_folder(tmp_path / "set", {"train": 6, "val": 2})


def epoch(folder, make=ImageFolder, number=0, **options):
    data = make(root=str(folder), batch_size=4, **options)
    data.setup()
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    x, y = zip(*loader, strict=True)
    return torch.cat(x), torch.cat(y)


WAYS = [
    {"color_jitter": (0.4, 0.4, 0.4, 0.1)},
    {"rand_augment": (2, 9)},
    {"trivial_augment": True},
    {"augment": Noise()},
]


@pytest.mark.parametrize("option", WAYS, ids=lambda option: next(iter(option)))
def test_an_epoch_is_drawn_from_seed_and_epoch_alone_and_leaves_the_generators_as_they_were(folder, option):
    states = []
    made = []
    for streamed in ({}, {"memory_limit_mb": 0}):
        torch.manual_seed(len(made))
        random.seed(len(made))
        np.random.seed(len(made))
        before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        made.append(epoch(folder, **option, **streamed))
        after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        states.append(torch.equal(before[0], after[0]) and before[1:] == after[1:])
    assert states == [True, True]
    assert torch.equal(made[0][0], made[1][0])
    assert not torch.equal(made[0][0], epoch(folder, **option, seed=1)[0])
    assert not torch.equal(made[0][0], epoch(folder, **option, number=1)[0])


def test_what_comes_image_by_image_leaves_order_crop_and_flip_as_they_were(folder):
    class Nothing:
        def __call__(self, image):
            return image

    plain, labels = epoch(folder)
    same, same_labels = epoch(folder, augment=Nothing())
    assert torch.equal(labels, same_labels)
    assert torch.allclose(plain, same, atol=1e-5)


def test_masks_go_through_policies_and_torchvisions_own_transforms(tmp_path):
    root = make_mask_folder(tmp_path / "set", {"train": 6, "val": 1})
    for option in ({"rand_augment": (2, 20)}, {"trivial_augment": True}, {"augment": v2.RandomRotation(30)}):
        x, y = epoch(root, MaskFolder, **option)
        assert (x.shape[-2:], y.shape[-2:], y.dtype) == ((8, 12), (8, 12), torch.long)
        assert set(y.unique().tolist()) <= {0, 1, 2, 5}


def test_what_returns_something_else_is_one_line(folder):
    reason = r"data.augment: Larger made uint8 \(3, 9, 9\) of uint8 \(3, 8, 8\); it must return"
    with pytest.raises(ConfigError, match=reason):
        epoch(folder, augment=Larger())


def test_one_of_ones_own_is_named_on_the_command_line(folder):
    given = ["data=image_folder", f"data.root={folder}", "data.batch_size=4"]
    own = build.data(
        compose([*given, "+data.augment._target_=torchvision.transforms.v2.RandomInvert", "+data.augment.p=1"])
    )
    assert own.augmentation().per_image.transforms[0].p == 1
    with pytest.raises(ConfigError, match=r"data\.augment\._target_=test_transforms\.Noise may not be built"):
        build.data(compose([*given, "+data.augment._target_=test_transforms.Noise"]))
    allowed = "allowed_packages=[test_transforms]"
    mine = build.data(compose([*given, "+data.augment._target_=test_transforms.Noise", allowed]))
    assert type(mine.augmentation().per_image.transforms[0]).__name__ == "Noise"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"resized_crop": (0.5, 0.1)}, "must be the least and the largest share of the area"),
        ({"resized_crop": (0.1, 1.0), "scale": (0.5, 2.0)}, "both zoom; leave one out"),
        ({"crop_ratio": (0, 1)}, "the least and the largest width ÷ height"),
        ({"erasing": 2}, "data.erasing=2 must be a probability"),
        ({"color_jitter": (0.4, 0.4)}, "must be a list of 4 numbers"),
        ({"color_jitter": (0.4, 0.4, 0.4, 0.9)}, "the last at most 0.5"),
        ({"rand_augment": (0, 9)}, r"data.rand_augment=\[0,9\] must be how many operations"),
        ({"rand_augment": (2, 31)}, "0 to 30"),
        ({"rand_augment": (2, 9), "trivial_augment": True}, "choose one policy"),
        ({"augment": "mine"}, "must be a class: write"),
    ],
)
def test_options_that_cannot_be_are_one_line(folder, options, reason):
    with pytest.raises(ConfigError, match=reason):
        ImageFolder(root=str(folder), **options)


def test_16_bits_are_not_given_to_what_works_on_8(tmp_path):
    from PIL import Image

    for split, name in [("train", "a"), ("train", "b"), ("val", "a"), ("val", "b")]:
        (tmp_path / split / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 9000, np.uint16)).save(tmp_path / split / name / "0.png")
    with pytest.raises(ConfigError, match="work on 8 bits, and the images of train have 16"):
        ImageFolder(root=str(tmp_path), in_channels=1, batch_size=1, trivial_augment=True).setup()
