"""What may be written in several ways, and how Hydra reads it.

Hydra wants a plus before a key that no yaml has. Which options of Lightning's Trainer stand in conf/trainer/ is no
user's affair, so those that do not are read with and without one, whether or not the chosen yaml has them. `~/` is the
user's folder, and what Hydra wants in quotes of its own, inside those of the shell, is put into them: letters of other
languages, and signs that stand in the names of folders. `deploy=onnxruntime,openvino` is a list, in a sweep too: where a
network is deployed is no other network.
"""

import json
import os
import re

from litconv.config.root_keys import MOST_SEEDS

SWEEPERS = {"hydra/sweeper=optuna": "hydra/sweeper=optuna_pareto"}  # Hydra lets no file stand in for a plugin's own
# What the Trainer takes, conf/trainer/auto.yaml leaves at its default, and litconv does not set itself.
TRAINER_OPTIONS = """
    accumulate_grad_batches benchmark check_val_every_n_epoch detect_anomaly deterministic enable_autolog_hparams
    fast_dev_run gradient_clip_algorithm gradient_clip_val inference_mode limit_predict_batches limit_test_batches
    limit_train_batches limit_val_batches max_steps max_time min_epochs min_steps model_registry num_nodes overfit_batches
    plugins profiler reload_dataloaders_every_n_epochs strategy sync_batchnorm val_check_interval
""".split()  # noqa: SIM905  a list would take a line for each
PATHS = ("output_dir", "data.root", "data.cache_dir", "data_root", "run", "out", "images")
OF_SEVERAL = (
    "deploy",
    "deploy.runtimes",
    "deploy.precision",
    "runtime",
    "precision",
)  # a list, commas or not: never a sweep
CONDITION = re.compile(r"""(?:"[^"]*"|'[^']*'|\[[^]]*\]|[^,])+""")  # commas in quotes and brackets part none
TRAINER_OPTION = re.compile(rf"\+{{0,2}}(trainer\.(?:{'|'.join(TRAINER_OPTIONS)})(?:\.[^=]*)?=.*)", re.DOTALL)


def as_hydra_reads(argument: str) -> str:
    """An argument of the command line."""
    if argument.startswith("where="):
        return f"where={conditions(argument.removeprefix('where='))}"
    if argument.startswith("reference="):  # the name of an arm: it has equals signs, commas, a ×
        return f"reference={quoted(argument.removeprefix('reference='))}"
    key, _, value = argument.partition("=")
    if key in OF_SEVERAL and (several := re.fullmatch(r"\[?([\w.-]+(?:,[\w.-]+)*)\]?", value)):
        return f"{'deploy.runtimes' if key == 'deploy' else key}=[{several[1]}]"
    if value.startswith("~/"):  # the shell leaves it as it is behind a key
        return f"{key}={quoted(os.path.expanduser(value))}"  # noqa: PTH111 a string
    if needs_quotes(key, value):
        return f"{key}={quoted(value)}"
    option = TRAINER_OPTION.fullmatch(argument)
    return f"++{option[1]}" if option else argument


def needs_quotes(key: str, value: str) -> bool:
    """Of a plain value, which is no list, no sweep and no interpolation."""
    if re.search(r"""^["'\[{]|,|\$\{""", value):
        return False
    return not value.isascii() or (key.lstrip("+") in PATHS and re.search(r"[=()'#&;!\[\]]", value) is not None)


def conditions(given: str) -> str:
    """`epochs=2` or `[epochs=2,data=shapes]`: an equals sign inside a value has to be quoted for Hydra."""
    several = given.startswith("[") and given.endswith("]")
    parts = CONDITION.findall(given[1:-1] if several else given)
    quoted_ones = [quoted(part) if "=" in part else part for part in parts]
    return f"[{','.join(quoted_ones)}]" if several else "".join(quoted_ones)


def quoted(text: str) -> str:
    """What is more than words and numbers, unless it is quoted already."""
    plain = re.fullmatch(r"[\w .+*/-]*", text, re.ASCII) or text[0] in "'\""
    return text if plain else json.dumps(text, ensure_ascii=False)


def planned_seeds(arguments: list[str]) -> list[str]:
    """What `seeds=5` means where no `seed=` says which."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    seeds = given.get("seeds", "")
    if "seed" in given or not seeds.isdecimal() or not 1 <= int(seeds) <= MOST_SEEDS:
        return []  # what is wrong with them the configuration's check says
    return [f"seed=range({seeds})"]
