"""A stand-in for TensorFlow Serving, for machines that have neither its binary nor its container.

It executes a real SavedModel with real TensorFlow behind the REST interface that TensorFlow Serving
documents and the gRPC services it publishes. It is not TensorFlow Serving and never passes for it:
the log line says ``stand-in``, every HTTP reply carries ``Server: tensorflow-serving-stand-in`` and
``X-Stand-In: tensorflow-serving``, every gRPC reply the latter as trailing metadata.

``rest.py`` is the HTTP server, ``codec.py`` and ``examples.py`` translate between JSON and tensors;
``grpc.py`` is the gRPC server, ``protos.py`` translates between its messages and tensors.
``servable.py`` is one loaded SavedModel, ``manager.py`` knows which versions of which models there
are. The protocols follow the public documentation (``g3doc/api_rest.md``, the ``.proto`` files)
and, where it is silent, the sources of TensorFlow Serving; each module names the source file it
follows.
"""
