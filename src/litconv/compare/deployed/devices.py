"""`device=rpi5.csv`: what another machine measured, as figures of the runs."""

from collections.abc import Sequence

import pandas as pd

from litconv.compare.arms import Arm
from litconv.cost.deployed_keys import RUNTIMES, place_of
from litconv.cost.device_csv import DeviceTable
from litconv.errors import ConfigError

LISTED = 5  # names in a message


def on_devices(runs: pd.DataFrame, tables: Sequence[DeviceTable]) -> pd.DataFrame:
    """The runs with the figures of these tables: what was measured of one run is that of its arm, all seeds alike."""
    if not tables or runs.empty:
        return runs
    arms = runs["arm_hash"].where(runs["arm_hash"].notna(), runs["name"]) if "arm_hash" in runs else runs["name"]
    found = runs.copy()
    for table in tables:
        figures = {arm: table.of_runs(own["name"]) for arm, own in runs.groupby(arms, sort=False)}
        if not any(figures.values()):
            names = list(dict.fromkeys(row.run for row in table.rows))
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            listed = ", ".join(names[:LISTED]) + more
            raise ConfigError(f"{table.asked}: none of the runs that it measured is compared here; it has {listed}")
        for key in dict.fromkeys(key for one in figures.values() for key in one):
            found[key] = [figures[arm].get(key, float("nan")) for arm in arms]
        found[f"deploy/{table.name}/about"] = table.about
    return found


def refuse_unmeasured(arms: Sequence[Arm], runs: pd.DataFrame) -> None:
    """A device has measured all arms that are compared, or the order of arms would be that of a part of them."""
    places = {place for key in map(str, runs.columns) if (place := place_of(key)) and place.runtime not in RUNTIMES}
    for place in sorted(places):
        keys = [key for key in map(str, runs.columns) if place_of(key) == place]
        missing = [arm.name for arm in arms if not any(arm.has(key) for key in keys)]
        if missing and len(missing) < len(arms):
            raise ConfigError(
                f"device={place.runtime}.csv has no {place.precision} figures of {', '.join(missing)}; measure a pack of all "
                "arms (scripts/deploy.py pack=… sweep=…), or leave them out with where=…"
            )
