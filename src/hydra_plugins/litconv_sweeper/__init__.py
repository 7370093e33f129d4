"""Hydra plugins are found in `hydra_plugins`, a namespace package."""
