"""Whether two ways to ask for a prediction give the same answers.

:func:`.judge.parity` judges two of one lineage and shows the evidence; :mod:`.suspects` looks for
the features to blame where they differ; :func:`.distance.distance` only measures two lineages,
which were trained apart. Rows are asked through any :data:`.answers.Ask`, over HTTP through
:class:`.asking.GatewayAsk`.
"""
