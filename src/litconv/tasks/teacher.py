"""Distillation: a network that has been trained tells another one what it sees in the training images.

loss = (1 − w)·L + w·T²·KL(p_t(T) ‖ p_s(T)) + β·A

L    the task's own loss, of the labels;
p(T) softmax(logits / T), of the teacher and of the student (Hinton et al., https://arxiv.org/abs/1503.02531); of masks the mean
     over labelled pixels;
A    how far their attention maps are apart, mean over the stages of the backbone: Q = Σ_c F_c², divided by its norm, of either,
     ‖Q_t − Q_s‖² (Zagoruyko & Komodakis, https://arxiv.org/abs/1612.03928). A map has no channels, so that networks of
     unlike widths compare without a layer in between, which an arm would have to learn besides.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litconv.distributed import summed
from litconv.errors import ConfigError


class Teacher:
    """No part of the task: it is neither trained nor saved. It sees each batch as the student does, mixed images included.

    weight       w above, in (0, 1]
    temperature  T above
    features     β above; 0: logits alone
    """

    def __init__(self, network: nn.Module, *, weight: float, temperature: float, features: float) -> None:
        self.network = network.eval().requires_grad_(False)
        self.weight, self.temperature, self.features = weight, temperature, features
        self.own = Features(network) if features else None

    def __deepcopy__(self, memo: dict) -> "Teacher":
        return self  # Lightning copies a task for the average of its weights

    def watch(self, student: nn.Module) -> None:
        """Where features count, `student` gives them from here on."""
        self.students = Features(student) if self.features else None

    def guided(self, x: Tensor, logits: Tensor, loss: Tensor, labelled: Tensor | None = None) -> dict[str, Tensor]:
        """The scalars of a step. x (N, C, H, W); logits (N, classes) or (N, classes, H, W), float32; `loss`: of the labels;
        `labelled` (N, H, W): the pixels that count."""
        told = self.tell(x)
        distance = self.temperature**2 * divergence(logits, told, self.temperature, labelled)
        total = (1 - self.weight) * loss + self.weight * distance
        values = {"loss_labels": loss, "loss_teacher": distance}
        if self.own is not None and self.students is not None:
            apart = attention_distance(self.students.maps, self.own.maps)
            total = total + self.features * apart
            values["loss_features"] = apart
        return {"loss": total, **values}

    @torch.no_grad()
    def tell(self, x: Tensor) -> Tensor:
        """Its logits, float32."""
        weight = next(self.network.parameters())
        if weight.device != x.device or (weight.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type)):
            self.network.to(x.device, x.dtype)
        return self.network(x).float()


class Features:
    """What the backbone of a network gave last, a map (N, C, H, W) for each stage."""

    def __init__(self, network: nn.Module) -> None:
        self.maps: Sequence[Tensor] = ()
        network.backbone.register_forward_hook(self.keep)

    def keep(self, module: nn.Module, inputs: object, output: Sequence[Tensor]) -> None:
        if isinstance(output, Tensor):
            raise ConfigError(
                "distillation.features needs a backbone that gives a map for each stage, and a whole network of another "
                "library gives logits alone; use distillation.features=0"
            )
        self.maps = output


def divergence(logits: Tensor, told: Tensor, temperature: float, labelled: Tensor | None) -> Tensor:
    """KL(teacher ‖ student) of their softened probabilities, mean over images or labelled pixels; 0 where none is labelled."""
    ours, theirs = (F.log_softmax(values / temperature, 1) for values in (logits, told))
    each = F.kl_div(ours, theirs, reduction="none", log_target=True).sum(1)
    if labelled is None:
        return each.mean()
    total, count = (each * labelled).sum(), labelled.sum().float()
    return summed(total) / summed(count).clamp(min=1)


def attention_distance(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Mean over the stages and images. Maps of unlike sizes meet at the smaller one, by mean over areas."""
    if len(ours) != len(theirs):
        raise ConfigError(
            f"distillation.features: the teacher's backbone has {len(theirs)} stages and this one has {len(ours)}; "
            "choose a teacher with as many, or distillation.features=0"
        )
    apart = []
    for a, b in zip(ours, theirs, strict=True):
        maps = [features.float().square().sum(1, keepdim=True) for features in (a, b)]  # (N, 1, H, W)
        size = [min(sides) for sides in zip(*(m.shape[-2:] for m in maps), strict=True)]
        q, p = (F.normalize(F.adaptive_avg_pool2d(m, size).flatten(1)) for m in maps)
        apart.append((q - p).square().sum(1).mean())
    return torch.stack(apart).mean()
