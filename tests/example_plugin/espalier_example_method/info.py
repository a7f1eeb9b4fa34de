"""Metadata of the example method. Imports no torch: the API loads this module."""

from pruning.spec.method_info import MethodInfo, MethodPlugin

PLUGIN = MethodPlugin(
    MethodInfo(
        "leading-columns",
        "The first columns of each matrix stay; an example",
        trains="nothing",
        learning_rate=0.0,
        regularization=0.0,
        two_four=False,
    ),
    "espalier_example_method.masks:LeadingColumns",
)
