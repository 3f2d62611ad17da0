"""From a trained model to a model folder: load, describe, export, compare, write."""
