"""`device=rpi5.csv`: what another machine measured of a configuration's network, found by its architecture."""

from collections.abc import Sequence

from torch import nn

from litconv.cost.architecture import architecture_hash
from litconv.cost.device_csv import DeviceTable
from litconv.errors import ConfigError

LISTED = 8  # arms in a message


def on_devices(tables: Sequence[DeviceTable], model: nn.Module, name: str) -> dict[str, float]:
    """The keys of summary.json; an error where a device has not measured this network."""
    found: dict[str, float] = {}
    for table in tables:
        figures = table.of_network(architecture_hash(model))
        if not figures:
            arms = list(dict.fromkeys(row.arm for row in table.rows))
            more = f" and {len(arms) - LISTED} more" if len(arms) > LISTED else ""
            raise ConfigError(
                f"{table.asked} has no row of the network of {name}; it measured {', '.join(arms[:LISTED])}{more}; pack a run of "
                "this network too (scripts/deploy.py pack=…), or leave it out"
            )
        found |= figures
    return found
