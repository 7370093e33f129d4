"""From a model to a file that is known to compute the same, or to one line on why there is none."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from litconv.errors import ExportError
from litconv.export.folding import deployed
from litconv.export.formats import FORMATS, Format, Options
from litconv.export.kinds import check_path, kind_named
from litconv.export.metadata import metadata_of
from litconv.export.parity import Parity, parity_of

log = logging.getLogger(__name__)


def export(
    model: nn.Module, images: Tensor, path: Path, *, to: str, options: Options, facts: Mapping[str, Any], images_of: str
) -> Parity:
    """`model`: of float32 images, or a `Preprocessing` of one of whole numbers. `images`: what parity is seen on, and an example
    of what the file takes. `facts`: what stands in the file besides. Its parity is written beside it, `<file>.parity.json`.

    Nothing lies at `path` before it is found right; what lay there before stays until then.
    """
    runtime, kind = kind_named(to).runtime, FORMATS[to]
    check_path(path, to)
    form = deployed(model, images[:2], fused=options.fused)
    metadata = metadata_of(facts, whole_numbers=not images.is_floating_point())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
            made = Path(folder, path.name)
            write(kind, form, images[:2], made, options, metadata)
            parity = parity_of(model, kind.runner(made), images, runtime=runtime, images_of=images_of)
            if not parity.holds:
                raise ExportError(f"to={to}: {parity}; no file is written")
            parity.write(beside(made))
            for file in Path(folder).iterdir():
                file.replace(path.parent / file.name)
    except OSError as error:
        raise ExportError(f"out={path} cannot be written: {error.strerror or error}") from error
    return parity


def write(
    kind: Format, model: nn.Module, images: Tensor, path: Path, options: Options, metadata: Mapping[str, str]
) -> None:
    """Where the model allows no free size, of the one size that it has."""
    try:
        kind.write(model, images, path, options, metadata)
    except ExportError as error:
        if not options.dynamic_size:
            raise
        kind.write(model, images, path, replace(options, dynamic_size=False), metadata)
        size = "×".join(map(str, images.shape[2:] if images.is_floating_point() else images.shape[1:3]))
        log.warning("dynamic_size=true: the file takes images of %s alone; %s", size, error)


def beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.parity.json")
