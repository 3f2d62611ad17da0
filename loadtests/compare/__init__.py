"""The comparison: shall we move to ONNX Runtime, and what does it buy.

``gateway compare`` asks the backends of a gateway that runs, or that it starts, for the same
predictions and measures them side by side: :mod:`.parity` (do they answer the same), :mod:`.load`
(how fast), :mod:`.cost` (what they take), and :mod:`.advice` (what follows from it). What was
measured is one document, :class:`loadtests.compare.results.Results`; :mod:`.report` shows it.
"""
