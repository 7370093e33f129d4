"""`init_from=` and `distill=`: which file and which run of this machine they name. No torch."""

from glob import escape
from pathlib import Path

from litconv.config import composed
from litconv.config.front import spelled
from litconv.errors import ConfigError, did_you_mean
from litconv.files import local
from litconv.run import naming, state
from litconv.run.asked import Asked
from litconv.run.finished import Finished, config_of

STANDARD = "standard"
NOT_OF_IT = (  # overrides that make an arm another one than the standard arm's run of seed 0
    *("conv=", "conv@", "conv.", "distill", "seed=", "match", "init_from=", "sweep=", "hydra"),
    *(f"{name}=" for name in composed.SHORT_NAMES),
)


def weights_of(asked: Asked) -> Path | None:
    """The file of `init_from=RUN|FILE`: of a run the checkpoint that validation chose."""
    value = asked.config.get("init_from")
    if value is None:
        return None
    path = run_called(value, "init_from", asked)
    if path.is_dir():
        path = best_of(path, f"init_from={value}")
    if not path.is_file():
        raise ConfigError(
            f"init_from={value} is neither a run nor a file; name one, such as init_from=outputs/runs/NAME or weights.pt"
        )
    if composed.select(asked.config, "backbone.pretrained"):
        raise ConfigError(
            f"init_from={value} and backbone.pretrained={asked.config.backbone.pretrained} would both give the weights to begin "
            "with; remove one"
        )
    return path


def teacher_of(asked: Asked) -> Finished | None:
    """The finished run of `distill=RUN`; `distill=standard`: the standard arm of this very comparison, with seed 0."""
    value = asked.config.get("distill")
    if value is None:
        return None
    folder = standard_arm(asked) if value == STANDARD else run_called(value, "distill", asked)
    if not folder.is_dir():
        raise ConfigError(
            f"distill={value} is no run's folder{did_you_mean(value, [STANDARD])}; name one, such as "
            f"distill=outputs/runs/NAME, or distill={STANDARD} for the standard arm"
        )
    checkpoint = best_of(folder, f"distill={value}")
    if (status := state.status(folder)) != "completed":
        raise ConfigError(f"distill={value}: that run is {status}; a teacher must be a completed one")
    config = config_of(folder, asked.config.get("allowed_packages") or [])
    if config.choices.task != asked.choices["task"]:
        raise ConfigError(
            f"distill={value} was trained for task={config.choices.task} and this is task={asked.choices['task']}; choose a "
            "teacher of the same task"
        )
    return Finished(folder, config, checkpoint)


def run_called(value: str, key: str, asked: Asked) -> Path:
    """What the key names; of a name alone the one run below `output_dir` that has it."""
    place, output = local(value, key), Path(asked.config.output_dir)
    if place.exists() or len(place.parts) != 1:
        return place
    found = [
        path for path in (output / "runs" / place, *output.glob(f"sweeps/*/{escape(place.name)}")) if path.is_dir()
    ]
    if len(found) > 1:
        raise ConfigError(
            f"{key}={value} is the name of {len(found)} runs: {', '.join(map(str, found))}; give one of them"
        )
    return found[0] if found else place


def best_of(folder: Path, what: str) -> Path:
    path = folder / "checkpoints" / "best.ckpt"
    if not path.exists():
        raise ConfigError(f"{what} holds no checkpoints/best.ckpt; name the folder of a finished run")
    return path


def standard_arm(asked: Asked) -> Path:
    """Where its run of seed 0 lies below `output_dir`: one teacher for all arms and seeds."""
    plain = composed.with_values(composed.with_standard(asked.config), {"distill": None, "init_from": None, "seed": 0})
    settings = {key: value for key, value in composed.plain(plain).items() if key != "match"}
    output, name = Path(asked.config.output_dir), f"*_{naming.config_hash(settings)}"
    for folder in [*output.glob(f"runs/{name}"), *sorted(output.glob(f"sweeps/[!.]*/{name}"))]:
        if state.status(folder) == "completed":
            return folder
    rest = [override for override in asked.overrides if not override.lstrip("+").startswith(NOT_OF_IT)]
    raise ConfigError(
        f"distill=standard: below {output} lies no completed run of the standard arm with seed 0; train it first: "
        f"{' '.join([*spelled('train'), 'conv=standard', *rest])}"
    )
