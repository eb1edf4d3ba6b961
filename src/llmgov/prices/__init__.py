"""Prices: pinned data with sources; usage times rates is money, and facts about a request bound what it can cost."""
