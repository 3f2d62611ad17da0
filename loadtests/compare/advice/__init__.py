"""What follows from a comparison, each sentence with the figures it follows from.

:mod:`.advise` has the rules. They are made so that a subject compared with itself is recommended in
fewer than 1 of 20 comparisons, whatever the noise: what is said of speed is decided at one level
for all loads and measures of a lineage together (:mod:`.speeds`), by at least 10 %.
"""

from loadtests.compare.advice.advise import advise

__all__ = ["advise"]
