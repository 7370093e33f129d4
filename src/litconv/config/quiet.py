"""What reaches the terminal of a command that runs, of all that is logged and warned of."""

import logging
import warnings

from litconv.secrets import Masking


def quiet(speaks: bool = True) -> None:
    """Warnings of ours reach the terminal in one line each; Lightning's chatter does not. Of the processes of one run the
    first `speaks`."""
    console = logging.StreamHandler() if speaks else logging.NullHandler()
    console.setFormatter(Masking("%(message)s"))
    console.setLevel(logging.INFO)
    logging.getLogger("litconv").handlers = [console]
    logging.getLogger("litconv").setLevel(logging.DEBUG)  # train.log keeps all, a failed run's traceback included
    # importing Lightning sets the first of its loggers anew
    chatty = (
        "pytorch_lightning",
        "pytorch_lightning.utilities.rank_zero",
        "pytorch_lightning.accelerators.cuda",
        "lightning_fabric.utilities.distributed",
    )
    for name in (*chatty, "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    warnings.filterwarnings(
        "ignore", module="pytorch_lightning|lightning_fabric|torch.jit|fvcore|torch.optim.lr_scheduler"
    )
