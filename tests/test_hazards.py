"""Hazards: each is found in a net where it is planted, and none in a net without."""

import json

import pytest
from torch import nn
from torch.nn import functional as F

from command import command
from litconv.conv import Deformable, Standard
from litconv.cost import count
from litconv.cost.hazards import FACTORS, KINDS, Hazard


def clean() -> list[nn.Module]:
    return [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1, groups=2), nn.Conv2d(32, 10, 1)]


def found(*planted: nn.Module) -> dict[str, tuple[str, ...]]:
    """Kind → layers, of 32 channels between the clean layers."""
    first, act, second, last = clean()
    cost = count(nn.Sequential(first, act, second, *planted, last), 3, (16, 16))
    return {hazard.kind: hazard.where for hazard in cost.hazards}


class Uneven(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(32, 32, 3)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 2, 1, 1)))


PLANTED = {
    "few_channels": nn.Conv2d(32, 32, 3, padding=1, groups=8),
    "off_vector": nn.Sequential(nn.Conv2d(32, 12, 1), nn.Conv2d(12, 32, 1)),
    "even_kernel": nn.Sequential(nn.Conv2d(32, 32, 4, padding=1)),
    "uneven_padding": Uneven(),
    "dilated_depthwise": nn.Conv2d(32, 32, 3, padding=2, dilation=2, groups=32),
    "depthwise_int8": nn.Conv2d(32, 32, 3, padding=1, groups=32),
    "deformable": Deformable(32, 32),
}
PLACES = {"off_vector": "3.1", "even_kernel": "3.0", "uneven_padding": "3.conv"}


def test_a_net_of_ordinary_layers_has_none():
    assert found() == {}
    assert found(Standard(32, 32), nn.MaxPool2d(2), nn.Conv2d(32, 32, 2, stride=2)) == {}  # patches that do not overlap


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_found_where_it_is_planted(kind):
    others = {"dilated_depthwise": {"depthwise_int8"}}.get(kind, set())
    hazards = found(PLANTED[kind])
    assert hazards.keys() - others == {kind}
    assert len(hazards[kind]) == 1
    assert hazards[kind][0].startswith(PLACES.get(kind, "3"))


def test_padding_by_words_is_seen_as_the_convolution_does_it():
    assert found(nn.Conv2d(32, 32, 3, padding="same")).keys() == set()
    assert found(nn.Conv2d(32, 32, 2, padding="same")).keys() == {"even_kernel", "uneven_padding"}


def test_every_kind_is_measured_and_says_so_in_one_line_with_its_source():
    measured = json.loads(FACTORS.read_text())
    assert measured["factors"].keys() == KINDS.keys()
    for name, kind in KINDS.items():
        line = str(Hazard(name, tuple(f"layer{i}" for i in range(9))))
        assert "\n" not in line
        assert "layer2, … 9 layers" in line
        assert kind.source in line
        assert measured["processor"] in line
        for of_precisions in measured["factors"][name].values():
            assert all(f"{factor:.1f} {precision}" in line for precision, factor in of_precisions.items())


def test_the_cost_command_warns_beside_its_table(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("conv=depthwise", module="cost") == 0
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if "depthwise convolutions" in line]
    assert KINDS["depthwise_int8"].source in line
    assert "slow where" not in out
    assert command("-m", "conv=standard,depthwise", module="cost") == 0
    assert [line.count("depthwise convolutions") for line in capsys.readouterr().err.splitlines()].count(1) == 1


def test_a_transposed_convolution_is_none():
    assert found(nn.ConvTranspose2d(32, 32, 2, stride=2)) == {}
