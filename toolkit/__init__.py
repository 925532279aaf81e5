"""Customer journeys from exports to evidence: who they are, where they meet us, where we lose them, what helped.

Everything public stands here, in the order of the work. Names are loaded when first used.
"""

from __future__ import annotations

import importlib

_WHERE = {
    "study.opening": ("open_data",),
    "study.attempt": ("attempt",),
    "study.cache": ("erase_cache",),
    "simulate": ("make_data", "write_data", "Truth"),
    "journeys.coverage": ("allows", "identities"),
    "journeys.division": ("division",),
    "journeys.activity": ("activity",),
    "journeys.sessions": ("sessions",),
    "journeys.transitions": ("transitions",),
    "journeys.touchpoints": ("touchpoints", "stages"),
    "journeys.sales": ("sales",),
    "paths.common": ("common_paths", "whole_paths"),
    "paths.flow": ("flow",),
    "paths.exits": ("exits",),
    "funnels.rules": ("FunnelRules",),
    "funnels.funnel": ("funnel",),
    "funnels.convert": ("time_to_convert",),
    "funnels.trend": ("funnel_trend",),
    "funnels.associations": ("associations",),
    "journeys.traps": ("check_traps",),
    "places.touchpoint_map": ("touchpoint_map",),
    "places.vitals": ("vitals",),
    "places.omnichannel": ("omnichannel", "stitching"),
    "pitfall.consistency": ("consistency",),
    "pitfall.pitfalls": ("pitfalls",),
    "maps.journey_map": ("journey_map",),
    "maps.compare": ("compare_maps",),
    "paths.loops": ("loops", "repeated_contacts"),
    "paths.handoffs": ("handoffs", "cart_handoffs"),
    "paths.differences": ("differing_paths",),
    "credit.attribution": ("attribution",),
    "credit.spend": ("spend",),
    "credit.holdout": ("holdout",),
    "credit.rules": ("AttributionRules", "shapley"),
    "experiments.metrics": ("share", "mean", "ratio", "quantile"),
    "experiments.plan": ("plan_experiment", "PlanRules", "Plan"),
    "experiments.guards": ("check_split",),
    "experiments.readout": ("readout", "plan_next"),
    "stats.shares": ("share_of", "compare_shares"),
    "stats.means": ("compare_means",),
    "stats.many": ("adjust",),
    "figures.show": ("plot", "show"),
    "reports.record": ("record", "in_short", "about"),
}
_HOME = {name: module for module, names in _WHERE.items() for name in names}

__all__ = list(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"toolkit has no {name!r}")
    value = getattr(importlib.import_module(f"toolkit.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
