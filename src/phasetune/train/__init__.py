"""What training needs, without Ray: today the splits, so that every workload cuts rows alike."""

from phasetune.train.splits import inner_split, outer_split

__all__ = ["inner_split", "outer_split"]
