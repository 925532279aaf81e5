"""Statistics: numbers in, results out; no tables, no pictures."""

from toolkit.stats.many import Adjusted
from toolkit.stats.many import adjust as adjust_p
from toolkit.stats.means import MeanLift, Moments, compare_means
from toolkit.stats.shares import Share, ShareLift, compare_shares, share_of

__all__ = [
    "Adjusted",
    "MeanLift",
    "Moments",
    "Share",
    "ShareLift",
    "adjust_p",
    "compare_means",
    "compare_shares",
    "share_of",
]
