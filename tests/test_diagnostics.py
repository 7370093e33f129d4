"""Diagnostics of networks whose answer is known, and against NumPy's own statistics of the activations."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from litconv.conv import Deformable, DepthwiseSeparable, Grouped
from litconv.cost import count
from litconv.diagnostics import diagnose
from litconv.diagnostics.diagnosis import COLUMNS
from litconv.diagnostics.kernels import separability
from litconv.diagnostics.keys import DIAGNOSTIC_KEYS
from litconv.diagnostics.sampling import OffsetsWatched, points_over_image
from litconv.errors import DataError

IMAGES = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Small(nn.Module):
    """Two convolutions, the first followed by a function, the second by a module, the same module twice."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.second(F.relu(self.first(x))))
        return self.relu(x - 0.1)


@pytest.fixture
def small() -> Small:
    return Small().eval()


def columns_of(x: torch.Tensor) -> np.ndarray:
    """(positions, channels) of maps of 4×4, where every position is in the covariance."""
    return x.detach().double().permute(0, 2, 3, 1).reshape(-1, x.shape[1]).numpy()


def test_every_activation_is_found_however_it_is_computed(small):
    assert list(diagnose(small, [IMAGES]).activations) == ["", "relu", "relu#2"]


def test_a_planted_dead_channel_is_the_only_one(small):
    with torch.no_grad():
        small.first.bias[3] = -1e3
    sums = diagnose(small, [IMAGES]).activations[""]
    assert sums.dead == 1
    assert sums.active.argmin() == 3


def test_a_channel_that_one_image_wakes_is_nearly_dead_and_not_dead():
    network = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(2)[..., None, None])
    images = torch.ones(4, 2, 10, 10)
    images[:, 1] = -1
    images[2, 1, :3, 0] = 1  # 3 of 400 positions
    diagnosis = diagnose(network, images.split(1))
    assert diagnosis.activations["1"].active.tolist() == [400, 3]
    assert diagnosis.summary()["diagnostics/dead_channels"] == 0
    assert diagnosis.summary()["diagnostics/nearly_dead_channels"] == 0.5


def test_dead_channels_of_the_network_are_a_share_of_all_layers_channels(small):
    with torch.no_grad():
        small.second.weight.zero_()
        small.second.bias.fill_(-1)
    found = diagnose(small, [IMAGES]).summary()
    assert found["diagnostics/dead_channels"] == 12 / 20  # both calls of relu, 6 channels each


def test_two_equal_channels_correlate_fully_and_count_once(small):
    network = nn.Sequential(small.first, nn.ReLU())
    with torch.no_grad():
        small.first.weight[1:] = small.first.weight[:1]
        small.first.bias[1:] = small.first.bias[:1]
        small.first.weight[4:] *= -2
    sums = diagnose(network, [IMAGES]).activations["1"]
    equal = torch.corrcoef(sums.covariance.matrix())[:4, :4]
    assert torch.allclose(equal, torch.ones(4, 4).double())
    with torch.no_grad():
        small.first.weight[4:] = small.first.weight[:1]
    sums = diagnose(network, [IMAGES]).activations["1"]
    assert sums.covariance.correlation() == pytest.approx(1)
    assert sums.covariance.effective_rank() == pytest.approx(1)


def test_independent_channels_of_equal_variance_have_full_effective_rank():
    images = torch.randn(512, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    network = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.LeakyReLU(1.0))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(4)[..., None, None])
    sums = diagnose(network, images.split(64)).activations["1"]
    assert sums.covariance.effective_rank() == pytest.approx(4, abs=0.01)
    assert sums.covariance.correlation() < 0.02


def test_covariance_and_correlation_are_those_of_numpy(small):
    images = IMAGES[..., :4, :4]
    sums = diagnose(small, images.split(5)).activations[""]
    activation = columns_of(F.relu(small.first(images)))
    assert sums.covariance.matrix().numpy() == pytest.approx(np.cov(activation.T, bias=True), abs=1e-6)
    ρ = np.abs(np.corrcoef(activation.T))
    assert sums.covariance.correlation() == pytest.approx(ρ[~np.eye(8, dtype=bool)].mean(), abs=1e-5)
    values = np.linalg.eigvalsh(np.cov(activation.T))
    shares = values / values.sum()
    assert sums.covariance.effective_rank() == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)


def test_a_dead_channel_has_no_correlation_and_adds_no_rank(small):
    before = diagnose(nn.Sequential(small.first, nn.ReLU()), [IMAGES]).activations["1"]
    wider = nn.Conv2d(3, 9, 3, padding=1)
    with torch.no_grad():
        wider.weight[:8], wider.bias[:8], wider.bias[8] = small.first.weight, small.first.bias, -1e3
    after = diagnose(nn.Sequential(wider, nn.ReLU()), [IMAGES]).activations["1"]
    assert after.dead == 1
    assert after.covariance.correlation() == pytest.approx(before.covariance.correlation(), rel=1e-5)
    assert after.covariance.effective_rank() == pytest.approx(before.covariance.effective_rank(), rel=1e-5)


def test_correlation_is_unknown_where_one_channel_changes():
    network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU())
    diagnosis = diagnose(network, [IMAGES])
    assert math.isnan(diagnosis.activations["1"].covariance.correlation())
    assert math.isnan(diagnosis.summary()["diagnostics/correlation"])


def white(images: int, channels: int) -> torch.Tensor:
    """(images, channels, 4, 4), whose channels have mean 0, equal variances and no correlation at all."""
    columns = torch.randn(images * 16, channels, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    q, _ = torch.linalg.qr(columns - columns.mean(0))
    return q.float().view(images, 4, 4, channels).permute(0, 3, 1, 2) * 10


@pytest.fixture
def two_groups() -> Grouped:
    """Of the channels a, b and c, d it puts out a, 0.6 a + 0.8 b, b and c, 0.8 c + 0.6 d, d."""
    convolution = Grouped(4, 6, 1, groups=2)
    first, second = [[1, 0], [0.6, 0.8], [0, 1]], [[1, 0], [0.8, 0.6], [0, 1]]
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor(first + second)[..., None, None])
    return convolution


def mixed(images: torch.Tensor) -> torch.Tensor:
    """The third channel becomes 0.5 of the first and √0.75 of itself."""
    mixed = images.clone()
    mixed[:, 2] = 0.5 * images[:, 0] + 0.75**0.5 * images[:, 2]
    return mixed


WITHIN = (0.6 + 0.8 + 0) / 3  # in either group
BETWEEN = 0.5 * (1 + 0.6) * (1 + 0.8) / 9  # a and 0.6 a + 0.8 b against c and 0.8 c + 0.6 d


def test_correlation_within_groups_and_between_them_is_the_one_planted(two_groups):
    network = nn.Sequential(two_groups, nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 2, 1))
    diagnosis = diagnose(network, mixed(white(12, 4)).split(5))
    assert diagnosis.summary()["diagnostics/correlation_within"] == pytest.approx(WITHIN, abs=1e-5)
    assert diagnosis.summary()["diagnostics/correlation_between"] == pytest.approx(BETWEEN, abs=1e-5)
    (row,) = [dict(zip(COLUMNS, row, strict=True)) for row in diagnosis.rows() if row[1] == "groups"]
    assert (row["layer"], row["channels"], row["groups"]) == ("0", 6, 2)
    assert (row["correlation_within"], row["correlation_between"]) == pytest.approx((WITHIN, BETWEEN), abs=1e-5)
    assert row["correlation"] is None


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.inner(x) + 5 * torch.cat([x, x[:, :2]], 1))


@pytest.mark.parametrize("shuffle", [False, True])
def test_neither_a_shuffle_nor_a_residual_blurs_the_groups(two_groups, shuffle):
    two_groups.shuffle = shuffle
    found = diagnose(Residual(two_groups), [mixed(white(12, 4))]).summary()
    assert found["diagnostics/correlation_within"] == pytest.approx(WITHIN, abs=1e-5)
    assert found["diagnostics/correlation_between"] == pytest.approx(BETWEEN, abs=1e-5)


def test_a_norm_after_a_grouped_convolution_changes_none_of_its_correlations(two_groups):
    norm = nn.BatchNorm2d(6).eval()
    norm.running_var.copy_(torch.tensor([1.0, 4, 9, 1, 16, 0.1]))
    norm.weight.data.copy_(torch.tensor([1.0, -2, 3, 1, 2, 1]))
    with torch.no_grad():
        normed = columns_of(norm(two_groups(mixed(white(12, 4)))))
    ρ = np.abs(np.corrcoef(normed.T))
    assert ρ[:3, 3:].mean() == pytest.approx(BETWEEN, abs=1e-5)


def test_a_grouped_layers_dead_channels_are_in_no_pair(two_groups):
    with torch.no_grad():
        two_groups.weight[[2, 4, 5]] = 0  # 0.6 a + 0.8 b and a are left of the first group, c of the second
    found = diagnose(two_groups, [mixed(white(12, 4))]).summary()
    assert found["diagnostics/correlation_within"] == pytest.approx(0.6, abs=1e-5)
    assert found["diagnostics/correlation_between"] == pytest.approx(0.5 * (1 + 0.6) / 2, abs=1e-5)


@pytest.mark.parametrize(
    "convolution",
    [nn.Conv2d(3, 6, 3), nn.Conv2d(3, 6, 3, groups=3), DepthwiseSeparable(3, 6)],
    ids=["one", "depthwise", "both"],
)
def test_where_no_group_has_several_channels_there_are_no_groups(convolution):
    diagnosis = diagnose(nn.Sequential(convolution, nn.ReLU()), [IMAGES])
    assert not any("within" in key or "between" in key for key in diagnosis.summary())
    assert "groups" not in [row[1] for row in diagnosis.rows()]


def test_every_figure_but_the_pass_itself_is_in_the_table_of_keys():
    network = nn.Sequential(Grouped(3, 6, groups=3), nn.Conv2d(6, 6, 1), Grouped(6, 6), nn.ReLU(), Deformable(6, 4))
    found = set(diagnose(network, [IMAGES]).summary())
    assert found == {one.key for one in DIAGNOSTIC_KEYS} | {"diagnostics/images", "diagnostics/seconds"}


def test_correlations_of_the_network_are_means_over_its_grouped_layers(two_groups):
    network = nn.Sequential(two_groups, nn.ReLU(), nn.Conv2d(6, 4, 1, groups=2))
    diagnosis = diagnose(network, [white(12, 4)])
    of_layers = list(diagnosis.of_groups.values())
    assert len(of_layers) == 2
    within, between = (np.mean(column) for column in zip(*of_layers, strict=True))
    assert diagnosis.summary()["diagnostics/correlation_within"] == pytest.approx(within)
    assert diagnosis.summary()["diagnostics/correlation_between"] == pytest.approx(between)


def figures(model, batches) -> dict[str, float]:
    diagnosis = diagnose(model, batches)
    values = {k: v for k, v in diagnosis.summary().items() if k != "diagnostics/seconds"}
    cells = {(row[0], i): cell for row in diagnosis.rows() for i, cell in enumerate(row[2:]) if cell is not None}
    return values | cells


@pytest.mark.parametrize("operator", ["standard", "grouped", "deformable"])
def test_the_figures_are_the_same_for_any_batch_size_and_number_of_threads(arm, operator):
    model = arm(operator, "width=0.5")
    if operator == "deformable":
        for module in model.modules():
            if isinstance(module, Deformable):
                nn.init.normal_(module.offset.weight, std=0.02)
    whole = figures(model, [IMAGES])
    for size in (1, 5):
        assert figures(model, IMAGES.split(size)) == pytest.approx(whole, rel=1e-4, abs=1e-5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert figures(model, IMAGES.split(5)) == pytest.approx(whole, rel=1e-4, abs=1e-5)
    finally:
        torch.set_num_threads(threads)


def test_the_model_and_its_mode_stay_as_they_were(small):
    model = nn.Sequential(small, nn.BatchNorm2d(6), nn.ReLU()).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    hooks = [len(module._forward_hooks) for module in model.modules()]
    state = torch.get_rng_state()
    diagnose(model, [(IMAGES, torch.zeros(12))])
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert torch.equal(torch.get_rng_state(), state)


def test_a_kernel_that_is_a_column_times_a_row_is_separable():
    sobel = torch.tensor([1.0, 2, 1]).outer(torch.tensor([1.0, 0, -1]))
    laplace = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    shares = separability(torch.stack([sobel, laplace, torch.eye(3), torch.zeros(3, 3)])[:, None])
    values = np.linalg.svd(laplace.numpy(), compute_uv=False)
    assert shares.tolist() == pytest.approx([1, values[0] ** 2 / (values**2).sum(), 1 / 3])  # none of the zero kernel


def test_separability_of_the_network_is_the_mean_over_all_its_kernels():
    network = nn.Sequential(nn.Conv2d(3, 1, 3), nn.ReLU(), nn.Conv2d(1, 1, 3), nn.Conv2d(1, 5, 1))
    with torch.no_grad():
        network[0].weight.fill_(1)
        network[2].weight.copy_(torch.eye(3))
    diagnosis = diagnose(network, [IMAGES])
    assert list(diagnosis.kernels) == ["0", "2"]
    assert diagnosis.summary()["diagnostics/separability"] == pytest.approx((3 * 1 + 1 / 3) / 4)


def test_offsets_are_no_kernels():
    assert list(diagnose(nn.Sequential(Deformable(3, 4), nn.ReLU()), [IMAGES]).kernels) == ["0"]


def test_the_receptive_field_is_the_one_that_is_counted(arm):
    model = arm("standard", "width=0.5")
    found = diagnose(model, [torch.randn(2, 3, 32, 32)]).summary()
    expected = count(model, 3, (32, 32), effective_field=True)
    assert found["diagnostics/receptive_field"] == expected.receptive_field
    assert found["diagnostics/effective_field"] == expected.effective_receptive_field


def test_the_map_of_one_convolution_is_its_kernel():
    network = nn.Conv2d(3, 4, 5, padding=2)
    field = diagnose(network, [IMAGES]).field
    rows, columns = field.heat.nonzero().unbind(1)
    assert field.theoretical == 5
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 10, 6, 10)
    assert field.effective == 5


def test_nothing_outside_the_frame_is_listened_to_and_its_edges_are(arm):
    field = diagnose(arm("standard", "width=0.5"), [torch.randn(1, 3, 40, 48)]).field
    rows, columns = field.heat.nonzero().unbind(1)
    assert field.frame == [(rows.min(), rows.max()), (columns.min(), columns.max())]


def test_a_network_without_a_map_has_no_field():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    diagnosis = diagnose(network, [IMAGES])
    assert diagnosis.field is None
    assert "diagnostics/effective_field" not in diagnosis.summary()
    assert diagnosis.pictures().keys() == {"first_kernels"}


def test_without_offsets_the_points_are_those_of_dilated_convolutions():
    network = nn.Sequential(Deformable(3, 4), nn.ReLU(), Deformable(4, 4, stride=2), nn.ReLU(), Deformable(4, 4))
    offsets = diagnose(network, [IMAGES]).offsets
    points = points_over_image(list(offsets.values()), 0, 16, 16)
    assert points.shape == (9**3, 2)
    assert [offset.mean_length for offset in offsets.values()] == [0, 0, 0]
    lower = diagnose(nn.Sequential(*network[:3]), [IMAGES]).offsets
    two = points_over_image(list(lower.values()), 0, 16, 16)
    assert sorted(set(two[:, 0].tolist())) == [6, 7, 8, 9, 10]  # unit 4 of stride 2 lies on 8, and reaches 1 + 1


def test_points_move_by_the_offsets():
    layer = Deformable(3, 4)
    with torch.no_grad():
        layer.offset.bias.copy_(torch.tensor([3.0, -4.0] * 9))  # down, and to the left
    watched = OffsetsWatched(layer)
    with torch.no_grad():
        layer(IMAGES)
    (offsets,) = watched.layers.values()
    points = points_over_image([offsets], 0, 16, 16)
    assert offsets.mean_length == pytest.approx(5)
    assert points.mean(0).tolist() == [8 + 3, 8 - 4]


def test_the_value_at_a_sampled_point_is_what_the_layer_reads():
    """A unit reads a map that is lit at one of its points alone, and at no other."""
    layer = Deformable(1, 1, stride=2, dilation=2)
    nn.init.ones_(layer.weight)
    with torch.no_grad():
        layer.offset.bias.copy_(torch.tensor([1.0, -1.0] * 9))
        watched = OffsetsWatched(layer)
        layer(torch.zeros(1, 1, 16, 16))
        points = watched.layers[""].sampled(0, torch.tensor([[4, 3]])).long()
        lit = torch.eye(256).view(256, 1, 16, 16)
        read = layer(lit)[:, 0, 4, 3].nonzero().flatten()
    assert set(read.tolist()) == {int(row * 16 + column) for row, column in points}


def test_pictures_are_pixels_with_a_caption():
    network = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.ReLU(), Deformable(10, 4), nn.ReLU())
    pictures = diagnose(network, IMAGES.split(3)).pictures()
    assert pictures.keys() == {"receptive_field", "first_kernels", "sampling_points"}
    for image, caption in pictures.values():
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert caption
    kernels = pictures["first_kernels"][0]
    weight = network[0].weight[1, :, 0, 0].detach()
    side = 3 * (48 // 3) + 4
    painted = kernels[2 + 3, side + 2 + 3].astype(float) / 127.5 - 1
    assert painted == pytest.approx((weight / network[0].weight[1].detach().abs().max()).numpy(), abs=0.01)


def test_no_images_are_one_line(small):
    with pytest.raises(DataError, match="there is no image to diagnose the network by"):
        diagnose(small, [])
