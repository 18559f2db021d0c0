"""This is code; trained models are in the store.

The mathematics of the forecasts: arrays in, values out. Nothing here touches a disk, a clock, a network,
the environment or global randomness.
"""
