"""Experiments: the plan, the guards, the read-out, the verdict."""
