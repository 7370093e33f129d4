"""What may be written in several ways, and how Hydra reads it.

Hydra wants a plus before a key that no yaml has. Which options of Lightning's Trainer stand in conf/trainer/ is no
user's affair, so those that do not are read with and without one, whether or not the chosen yaml has them.
"""

import re

SWEEPERS = {"hydra/sweeper=optuna": "hydra/sweeper=optuna_pareto"}  # Hydra lets no file stand in for a plugin's own
# What the Trainer takes, conf/trainer/auto.yaml leaves at its default, and litconv does not set itself.
TRAINER_OPTIONS = """
    accumulate_grad_batches benchmark check_val_every_n_epoch detect_anomaly deterministic enable_autolog_hparams
    fast_dev_run gradient_clip_algorithm gradient_clip_val inference_mode limit_predict_batches limit_test_batches
    limit_train_batches limit_val_batches max_steps max_time min_epochs min_steps model_registry num_nodes overfit_batches
    plugins profiler reload_dataloaders_every_n_epochs strategy sync_batchnorm val_check_interval
""".split()  # noqa: SIM905  a list would take a line for each
TRAINER_OPTION = re.compile(rf"\+{{0,2}}(trainer\.(?:{'|'.join(TRAINER_OPTIONS)})(?:\.[^=]*)?=.*)", re.DOTALL)


def as_hydra_reads(argument: str) -> str:
    """An argument of the command line."""
    option = TRAINER_OPTION.fullmatch(argument)
    return f"++{option[1]}" if option else argument


def planned_seeds(arguments: list[str]) -> list[str]:
    """What `seeds=5` means where no `seed=` says which."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if "seed" in given or not given.get("seeds", "").isdigit():
        return []
    return [f"seed=range({given['seeds']})"]
