"""Runs where they are deployed: exported, quantised, scored on the test split, measured. docs/deploy.md is its page."""
