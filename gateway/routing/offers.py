"""What a routing policy may name: the models of a repository, their backends and lineages."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.models.repository import Repository

#: Lineages by backend by model. A model without backends is known, and not served for now.
Offers = Mapping[str, Mapping[str, Collection[str]]]


def offers_of(repository: Repository) -> dict[str, dict[str, list[str]]]:
    """What the manifests of a repository offer, in their order, over all versions.

    A model whose folder cannot be read has no backends here, so that one broken folder does not
    take the policy of all the others out of force.
    """
    offers: dict[str, dict[str, list[str]]] = {name: {} for name in repository.failures}
    for entry in repository:
        backends = offers.setdefault(entry.name, {})
        for name, spec in entry.manifest.backends.items():
            lineages = backends.setdefault(name, [])
            lineages += [lineage for lineage in spec.lineages if lineage not in lineages]
    return offers
