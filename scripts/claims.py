"""Claims about convolutions, tried: python scripts/claims.py only=[dilation,grouped]

Trains what the claims of conf/claims/ need, as one sweep that shares arms and goes on where it stopped, and writes a page with a
verdict on each into outputs/claims/. Real sets: cifar10=FOLDER camvid=FOLDER.
"""

import sys
from collections.abc import Mapping

import hydra
from omegaconf import DictConfig, OmegaConf

from litconv.claims.arguments import check
from litconv.claims.grounds import Ground
from litconv.claims.names import chosen
from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.config.front import spelled
from litconv.config.own_yamls import as_flag
from litconv.errors import JobError


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="claims")
@guarded
def main(config: DictConfig) -> None:
    asked = check(OmegaConf.to_container(config, resolve=True))
    names = chosen(asked.only)
    from litconv.claims.claim import read
    from litconv.claims.facts import facts, in_common
    from litconv.claims.judgement import judge
    from litconv.claims.report import write_report
    from litconv.claims.sweeping import sweep
    from litconv.claims.trials import Trials
    from litconv.run.planned import read_plan

    claims = [read(name, asked.grounds) for name in names]
    trials = Trials(claims, asked.grounds, asked.common)
    status = 0
    if asked.train and trials.points:
        status = sweep(trials.points, asked.folder / "points.txt", asked.launch)
        if status not in (0, 1):  # interrupted
            raise SystemExit(status)
    runs = trials.runs(asked.folder)
    judged = judge(claims, trials, runs, read_plan(asked.folder) or asked.seeds, print)
    write_report(judged, asked.out, facts(trials, runs), in_common(trials), shown_command(asked.grounds))
    for one in judged:
        print(f"{one.word:<12} {one.claim.title}: {one.claim.sentence}")
    for ground in asked.grounds.values():
        if ground.missing and any(ground.name in claim.grounds for claim in claims):
            print(f"note: {ground.missing}, so that {ground.title} is not run")
    print(asked.out / "index.html")
    if status:
        raise JobError("some runs failed; the page says of which arms there are fewer than planned")


def shown_command(grounds: Mapping[str, Ground]) -> str:
    """As it was given, but for the places where data and pages lie on this machine."""
    shown = spelled("claims")
    for key, argument in ((argument.partition("=")[0], argument) for argument in as_flag(sys.argv[1:])):
        if key not in ("out", "output_dir", "train"):
            shown.append(f"{key}=${key.upper()}" if key in grounds else argument)
    return " ".join(shown)


if __name__ == "__main__":
    sys.exit(command_line(main, "claims"))
