"""Code that runs inside TorchServe; packed into the archive by ``serving.export.archive``."""
