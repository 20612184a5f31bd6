"""Do responses occur independently of the level? End points, permutation engine, verdict, power."""
