"""Pictures of a diagnosis, as pixels: uint8 (H, W, 3), each with its caption."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from litconv.diagnostics.field import Field
from litconv.diagnostics.sampling import LEVELS, Offsets, points_over_image

Picture = tuple[np.ndarray, str]
MOST_KERNELS = 64
KERNEL_PIXELS = 48  # a kernel's side in the picture


def receptive_field(field: Field) -> Picture:
    """Brightness is the square root of the gradient, which falls off like a Gaussian; the frame is what is possible."""
    figure, axes = axes_of(1)
    height, width = field.heat.shape
    axes[0].imshow((field.heat / field.heat.max()).sqrt().numpy(), cmap="magma", vmin=0, vmax=1)
    if field.frame is not None:
        (top, bottom), (left, right) = field.frame
        corner, sides = (left - 0.5, top - 0.5), (right - left + 1, bottom - top + 1)
        axes[0].add_patch(Rectangle(corner, *sides, fill=False, edgecolor="#4cc9f0", linewidth=1.5))
    possible = f"{field.theoretical} px" if isinstance(field.theoretical, int) else field.theoretical or "unknown"
    caption = f"receptive field: effective {field.effective:.1f} px, theoretical {possible}"
    axes[0].set_title(caption.replace(": ", "\n", 1), fontsize=9)
    axes[0].set_xlim(-0.5, width - 0.5)
    axes[0].set_ylim(height - 0.5, -0.5)
    return pixels(figure), caption


def sampling_points(layers: list[Offsets], images: Tensor) -> Picture:
    """The central unit of the last deformable layer, and where it samples through the last LEVELS of them."""
    figure, axes = axes_of(len(images))
    height, width = images.shape[-2:]
    for number, (ax, image) in enumerate(zip(axes, images, strict=True)):
        ax.imshow(shown(image))
        points = points_over_image(layers, number, height, width)
        ax.scatter(*points.flip(1).T.numpy(), s=3, color="#e63946", linewidths=0)
        ax.scatter([width / 2 - 0.5], [height / 2 - 0.5], s=22, color="#2dc653", linewidths=0)
        ax.set_xlim(-0.5, width - 0.5)
        ax.set_ylim(height - 0.5, -0.5)
    depth = min(len(layers), LEVELS)
    caption = f"sampling points (red) of the central unit (green) through the last {depth} deformable layer{'s' * (depth > 1)}"
    return pixels(figure), caption


def first_kernels(weight: Tensor) -> Picture:
    """Of three input channels in colour, else the first one in grey; zero is the middle of the range."""
    chosen = weight[:MOST_KERNELS] if weight.shape[1] == 3 else weight[:MOST_KERNELS, :1]
    largest = chosen.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    tiles = ((chosen / largest + 1) * 127.5).round().byte().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    scale = max(1, KERNEL_PIXELS // weight.shape[-1])
    tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    tiles = np.pad(tiles, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=255)
    columns = min(8, len(tiles))
    missing = -len(tiles) % columns
    tiles = np.concatenate([tiles, np.full((missing, *tiles.shape[1:]), 255, np.uint8)])
    lines = [np.concatenate(list(tiles[i : i + columns]), axis=1) for i in range(0, len(tiles), columns)]
    what = "in colour" if weight.shape[1] == 3 else "of the first input channel"
    return np.concatenate(lines), f"kernels of the first layer {what}, each scaled to its largest weight; grey is zero"


def axes_of(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(2.6 * count, 2.9), dpi=120, layout="constrained")
    axes = [figure.add_subplot(1, count, number + 1) for number in range(count)]
    for ax in axes:
        ax.set_axis_off()
    return figure, axes


def shown(image: Tensor) -> np.ndarray:
    """Of a normalised image (C, H, W), its contrast stretched: the mean and deviation of the data are not known here."""
    low, high = image.min(), image.max()
    stretched = ((image - low) / (high - low).clamp(min=1e-12)).permute(1, 2, 0)
    return (stretched if stretched.shape[2] == 3 else stretched[..., :1].expand(-1, -1, 3)).numpy()


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
