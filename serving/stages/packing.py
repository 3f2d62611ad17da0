"""Stage ``archive``: from weights to the TorchServe archive."""

from __future__ import annotations

from serving import layout
from serving.export import archive
from serving.stages.work import Work, emptied


def pack(work: Work) -> None:
    """Pack network, preprocessing, manifest and handler; raises OSError without the exports."""
    net = work.pytorch_net()
    emptied(work.archive.parent)
    archive.make_archive(
        work.example.manifest.name,
        net,
        work.example.net_file,
        work.manifest_file,
        work.export / layout.PREPROCESS,
        work.archive,
    )
